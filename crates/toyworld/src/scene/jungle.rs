//! Dense leaves around a dim glade, with shafts of light.

use super::{
    Description, FOREST, Footing,
    parts::{direction, leaf},
};
use crate::canvas::Canvas;
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "jungle",
    phrases: &["in the jungle"],
    footing: Footing::Ground,
    light: FOREST,
    draw,
};

const GREENS: [Rgb; 5] =
    [rgb(0x2f8a3a), rgb(0x4ca53d), rgb(0x1f7445), rgb(0x6fb53c), rgb(0x2c975d)];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let glow = random.pick(&[rgb(0x8fb85a), rgb(0x6fb080), rgb(0xa9bb62), rgb(0x4f935a)]);
    let dark = random.pick(&[rgb(0x0e2e1c), rgb(0x123316), rgb(0x0c2b24)]);
    let (gx, gy) = (random.range(0.25, 0.75), random.range(0.1, 0.45));
    let slant = random.range(-0.7, 0.7);
    let floor = random.range(0.62, 0.78);

    canvas.paint(|x, y| {
        let (dx, dy) = (x - gx, (y - gy) * 0.9);
        let near = smooth(0.62, 0.0, (dx * dx + dy * dy).sqrt());
        let shaft = smooth(0.5, 0.85, noise.at((x + slant * y) * 6.0, 2.0)) * (1.0 - y) * 0.3;
        let dapple = noise.layered(x * 7.0, y * 7.0, 3) - 0.5;
        let deep = dark.mix(glow, (near * 0.8 + shaft + dapple * 0.25).clamp(0.0, 1.0));
        let soil = rgb(0x3d3a1e) * mix(0.6, 1.4, noise.layered(x * 9.0, y * 22.0, 3));
        let moss = soil.mix(rgb(0x4a6e2a), smooth(0.35, 0.7, noise.layered(x * 5.0, y * 11.0, 2)));
        deep.mix(moss, smooth(floor - 0.04, floor + 0.05, y))
    });
    vines(canvas, random);
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        for _ in 0..8 + random.below(8) {
            frond(canvas, random, near);
        }
    }
}

fn vines(canvas: &mut Canvas, random: &mut Random) {
    for _ in 0..random.below(5) {
        let (x, bend, end) = (random.unit(), random.bell(0.3), random.range(0.3, 0.9));
        for step in 0..40 {
            let t = step as f32 / 40.0;
            let place = (x + bend * t * t, end * t);
            canvas.spot(place, 0.012, 0.5, rgb(0x2c3d18), 0.8);
        }
    }
}

/// One plant's leaves: from a place at the rim, fanned out towards the middle.
fn frond(canvas: &mut Canvas, random: &mut Random, near: f32) {
    let (x, y) = rim(random);
    let inwards = libm::atan2f(0.55 - y, 0.5 - x);
    let green = random.pick(&GREENS) * mix(0.5, 1.0, near);
    let length = random.range(0.18, 0.36) * mix(0.8, 1.1, near);
    let width = length * random.range(0.1, 0.24);
    let count = 2 + random.below(3);
    for _ in 0..count {
        let angle = inwards + random.bell(2.2);
        let size = random.range(0.75, 1.15);
        let tone = green * random.range(0.85, 1.15);
        leaf(canvas, (x, y), direction(angle), (length * size, width * size), tone);
    }
}

/// A place near the left, right, upper or, sometimes, lower edge.
fn rim(random: &mut Random) -> (f32, f32) {
    let along = random.range(-0.05, 1.05);
    match random.below(7) {
        0 | 1 => (random.range(-0.08, 0.1), along),
        2 | 3 => (random.range(0.9, 1.08), along),
        4 | 5 => (along, random.range(-0.08, 0.12)),
        _ => (along, random.range(0.98, 1.08)),
    }
}
