//! Nebulae, stars and a spiral galaxy.

use std::f32::consts::PI;

use super::{
    Description, Footing,
    parts::{direction, stars},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "galaxy",
    phrases: &["in a dream of a distant galaxy", "in a distant galaxy"],
    footing: Footing::Space,
    light: rgb(0xece6ff),
    draw,
};

/// The colours of two nebulae.
const NEBULAE: [(Rgb, Rgb); 5] = [
    (rgb(0x8a2cc8), rgb(0x2c58e0)),
    (rgb(0xc82c90), rgb(0x5c2cd0)),
    (rgb(0x2484c0), rgb(0xa03cd0)),
    (rgb(0xe05080), rgb(0x3c48c8)),
    (rgb(0x1c9ca8), rgb(0x6c38d8)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let (first, second) = random.pick(&NEBULAE);
    let density = random.range(0.65, 1.1);
    let scale = random.range(1.5, 2.8);
    canvas.paint(|x, y| {
        let warp = noise.layered(x * 2.0, y * 2.0, 2);
        let a = noise.layered(x * scale + warp * 1.5, y * scale, 4);
        let b = noise.layered(x * scale + 30.0, y * scale + warp * 1.5, 4);
        let space = rgb(0x09061c).mix(first, smooth(0.38, 0.85, a) * density);
        let clouds = space.mix(second, smooth(0.42, 0.85, b) * density * 0.9);
        clouds.mix(rgb(0xffd8f4), smooth(0.62, 0.92, (a + b) / 2.0 + 0.08) * 0.7)
    });
    let count = 50 + random.below(70);
    stars(canvas, random, count, 1.0);
    spiral(canvas, random, noise);
}

/// A galaxy seen at an angle: two arms around a bright core.
fn spiral(canvas: &mut Canvas, random: &mut Random, noise: Noise) {
    let (cx, cy) = (random.unit(), random.range(0.05, 0.6));
    let radius = random.range(0.22, 0.38);
    let flat = random.range(0.35, 0.75);
    let (cos, sin) = direction(random.range(0.0, PI));
    let wound = random.pick(&[-7.0, 7.0]) * random.range(0.8, 1.2);
    let glow = random.pick(&[rgb(0xffe8c8), rgb(0xd8e4ff), rgb(0xffd4ec)]);
    canvas.blend(Area::around(cx, cy, radius, radius), |x, y| {
        let (dx, dy) = ((x - cx) / radius, (y - cy) / radius);
        let (u, v) = (dx * cos + dy * sin, (dy * cos - dx * sin) / flat);
        let out = (u * u + v * v).sqrt();
        let arms = libm::cosf(2.0 * libm::atan2f(v, u) + out * wound) * 0.5 + 0.5;
        let dust = noise.layered(x * 22.0, y * 22.0, 2);
        let arm = smooth(1.0, 0.1, out) * mix(0.25, 1.0, arms) * mix(0.5, 1.3, dust);
        let core = smooth(0.28, 0.0, out);
        (glow.mix(Rgb::WHITE, core), (arm * 0.75 + core).min(1.0))
    });
}
