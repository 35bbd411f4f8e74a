//! Snow-capped mountains behind a wood and a meadow.

use super::{
    Description, Footing,
    parts::{Sky, pine},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "mountain",
    phrases: &["with a mountain in the background"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

const SKIES: [(Rgb, Rgb); 4] = [
    (rgb(0x3c8edc), rgb(0xcfe8f6)),
    (rgb(0x5fa5d8), rgb(0xf2eadc)),
    (rgb(0x6d93c9), rgb(0xf6d9cc)),
    (rgb(0x82bfe4), rgb(0xe3f3f4)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky::new(random, &SKIES);
    let meadow = random.range(0.52, 0.62);
    canvas.paint(|x, y| sky.at(x, (meadow - y) / 0.6));

    let rock = random.pick(&[rgb(0x6a6f86), rgb(0x756c72), rgb(0x586b80)]);
    let from_left = random.chance(0.5);
    let summits = 2 + random.below(2);
    for i in 0..summits {
        let slot = (i as f32 + 0.5) / summits as f32;
        let peak = (slot + random.bell(0.25), meadow - random.range(0.3, 0.48));
        let haze = sky.bottom.mix(rock, 0.6 + 0.4 * i as f32 / summits as f32);
        summit(canvas, random, peak, meadow, haze, from_left);
    }
    let green = random.pick(&[rgb(0x2f5f45), rgb(0x3a693c), rgb(0x2c5852)]);
    for _ in 0..26 {
        let x = random.range(-0.03, 1.03);
        let tree = green.mix(sky.bottom, random.range(0.0, 0.3));
        pine(canvas, (x, meadow + 0.02), random.range(0.06, 0.14), tree, tree * 1.25);
    }
    grass(canvas, random, meadow);
}

/// A mountain with its top at `peak`: two faces, a jagged ridge, snow above the snow line.
fn summit(
    canvas: &mut Canvas,
    random: &mut Random,
    (px, py): (f32, f32),
    foot: f32,
    rock: Rgb,
    from_left: bool,
) {
    let noise = Noise::new(random);
    let steep = random.range(0.75, 1.15);
    let snow = py + (foot - py) * random.range(0.3, 0.55);
    let edge = canvas.pixel() * 1.5;
    canvas.blend(Area { top: py - 0.03, bottom: foot + 0.03, ..Area::ALL }, |x, y| {
        let rough = noise.layered(x * 7.0, 4.0, 3) - 0.5;
        let top = py + (x - px).abs() * steep + rough * 0.1;
        if y < top - edge {
            return (rock, 0.0);
        }
        let crag = noise.layered(x * 9.0 + y * 4.0, y * 7.0, 3) - 0.5;
        // The border between the two faces zigzags down from the peak.
        let side = x - px + crag * 0.22;
        let facing = smooth(-0.02, 0.02, if from_left { -side } else { side });
        let stone = rock * mix(0.72, 1.15, facing) * (1.0 + crag * 0.4);
        let white = rgb(0xa9bcdd).mix(rgb(0xfcfdff), facing);
        let snowy = smooth(0.02, -0.02, y - snow + crag * 0.22);
        (stone.mix(white, snowy), smooth(top - edge, top + edge, y))
    });
}

fn grass(canvas: &mut Canvas, random: &mut Random, meadow: f32) {
    let noise = Noise::new(random);
    let (far, near) = random.pick(&[
        (rgb(0x9cb854), rgb(0x4e8c38)),
        (rgb(0x86b05a), rgb(0x3f7c3c)),
        (rgb(0xb3b45c), rgb(0x6d8c3a)),
    ]);
    let edge = canvas.pixel() * 2.0;
    canvas.blend(Area { top: meadow - 0.03, ..Area::ALL }, |x, y| {
        let top = meadow + (noise.at(x * 3.0, 1.0) - 0.5) * 0.04;
        let t = ((y - top) / (1.0 - meadow)).clamp(0.0, 1.0);
        let patch = noise.layered(x * 5.0, y * 14.0, 3);
        let blade = noise.at(x * 90.0, y * 26.0) - 0.5;
        let green = far.mix(near, t) * (mix(0.8, 1.15, patch) + blade * 0.22 * t);
        (green, smooth(top - edge, top + edge, y))
    });
}
