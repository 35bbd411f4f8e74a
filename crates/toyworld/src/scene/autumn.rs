//! A tree in autumn and its leaves on the ground.

use super::{
    Description, Footing, WARM,
    parts::{direction, leaf},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "autumn",
    phrases: &["with a tree and autumn leaves in the background"],
    footing: Footing::Ground,
    light: WARM,
    draw,
};

const LEAVES: [Rgb; 6] =
    [rgb(0xe06a1c), rgb(0xc83c20), rgb(0xf0a02a), rgb(0xa83024), rgb(0xf2c03c), rgb(0xd88630)];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let ground = random.range(0.56, 0.66);
    let haze = random.pick(&[rgb(0xf6e4c0), rgb(0xe9eae0), rgb(0xfbdcb4), rgb(0xdfe9ee)]);
    let wood = random.pick(&[rgb(0xd89550), rgb(0xc98048), rgb(0xd0a858)]);
    let soil = random.pick(&[rgb(0x9a6234), rgb(0x8c6a3c), rgb(0xa8703c)]);
    canvas.paint(|x, y| {
        if y > ground {
            let patch = noise.layered(x * 6.0, y * 15.0, 3);
            return soil * mix(0.75, 1.2, patch);
        }
        let crown = noise.layered(x * 6.0, y * 6.0, 3);
        let far = smooth(0.12, 0.75, y / ground + (crown - 0.5) * 0.6);
        haze.mix(wood * mix(0.85, 1.15, crown), far * 0.75)
    });
    let trunk = if random.chance(0.5) { random.range(0.1, 0.32) } else { random.range(0.68, 0.9) };
    tree(canvas, random, trunk, ground);
    carpet(canvas, random, ground);
    for _ in 0..4 + random.below(8) {
        let place = (random.unit(), random.range(0.1, ground));
        small_leaf(canvas, random, place, 0.035);
    }
}

/// A trunk with a crown of many leaves, which reaches beyond the upper edge.
fn tree(canvas: &mut Canvas, random: &mut Random, x: f32, ground: f32) {
    let noise = Noise::new(random);
    let bark = random.pick(&[rgb(0x5b3d2a), rgb(0x4a3630), rgb(0x6b4c36)]);
    let width = random.range(0.035, 0.055);
    let foot = ground + 0.05;
    canvas.blend(Area { left: x - 0.12, top: 0.1, right: x + 0.12, bottom: foot }, |px, py| {
        let flare = 0.05 * smooth(foot - 0.12, foot, py);
        let side = (px - x) / (width + flare * 0.6);
        let grain = noise.at(px * 70.0, py * 12.0) - 0.5;
        let round = bark * (1.15 - 0.45 * (side + 0.4).abs() + grain * 0.3);
        (round, smooth(1.0, 0.85, side.abs()))
    });
    let (rx, ry) = (random.range(0.36, 0.5), random.range(0.24, 0.32));
    let hues = random.below(LEAVES.len() - 1);
    for _ in 0..22 {
        let (dx, dy) = direction(random.range(0.0, 6.3));
        let place = (x + dx * random.unit() * rx, 0.14 + dy * random.unit() * ry);
        canvas.spot(place, random.range(0.07, 0.12), 0.4, LEAVES[hues] * 0.62, 0.8);
    }
    for i in 0..170 {
        let (dx, dy) = direction(random.range(0.0, 6.3));
        let out = random.unit().sqrt();
        let place = (x + dx * out * rx, 0.16 + dy * out * ry);
        // Those below and behind first, and darker.
        let light = mix(0.62, 1.08, i as f32 / 170.0) * mix(1.05, 0.85, (dy * out + 1.0) / 2.0);
        let colour = LEAVES[hues + random.below(2)] * light;
        let length = random.range(0.05, 0.09);
        leaf(canvas, place, direction(random.range(0.0, 6.3)), (length, length * 0.5), colour);
    }
}

fn carpet(canvas: &mut Canvas, random: &mut Random, ground: f32) {
    let count = 90 + random.below(90);
    for i in 0..count {
        // From far to near.
        let t = i as f32 / count as f32;
        let place = (random.unit(), ground + (1.02 - ground) * t + random.bell(0.02));
        small_leaf(canvas, random, place, mix(0.022, 0.062, t));
    }
}

fn small_leaf(canvas: &mut Canvas, random: &mut Random, place: (f32, f32), length: f32) {
    let colour = random.pick(&LEAVES) * random.range(0.8, 1.1);
    let (dx, dy) = direction(random.range(0.0, 6.3));
    leaf(canvas, place, (dx, dy), (length, length * random.range(0.3, 0.45)), colour);
}
