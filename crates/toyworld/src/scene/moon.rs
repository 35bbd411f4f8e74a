//! The grey ground of the Moon under a black sky, with the Earth.

use super::{
    Description, Footing,
    parts::{ground, stars},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "moon",
    phrases: &["with a landscape from the moon", "on the moon"],
    footing: Footing::Ground,
    light: rgb(0xf0f2fa),
    draw,
};

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let horizon = random.range(0.36, 0.5);
    let dust = random.pick(&[rgb(0xb8b8ba), rgb(0xa8a6a4), rgb(0xc2c0bc), rgb(0x9ca0a8)]);
    canvas.paint(|_, _| rgb(0x05060c));
    let count = 30 + random.below(40);
    stars(canvas, random, count, horizon);
    let earth = (random.range(0.14, 0.86), random.range(0.12, horizon - 0.1));
    planet(canvas, noise, earth, random.range(0.07, 0.13));

    let edge = canvas.pixel() * 1.5;
    canvas.blend(Area { top: horizon - 0.1, ..Area::ALL }, |x, y| {
        let ridge = horizon - 0.1 * (noise.layered(x * 2.6, 8.0, 3) - 0.35);
        let (across, distance) = ground(x, (y - horizon + 0.1).max(0.02), 0.7);
        let bumps = noise.layered(across * 4.0, distance * 6.0, 3);
        let grain = noise.at(x * 130.0, y * 130.0) - 0.5;
        let light = mix(0.55, 1.1, smooth(0.2, 0.8, bumps)) + grain * 0.1;
        let near = smooth(ridge, 1.0, y);
        (dust * (light * mix(0.8, 1.0, near)), smooth(ridge - edge, ridge + edge, y))
    });
    let from_left = random.chance(0.5);
    let count = 7 + random.below(8);
    for i in 0..count {
        let t = i as f32 / count as f32;
        let place = (random.unit(), mix(horizon + 0.05, 1.0, t * t));
        let size = mix(0.03, 0.15, t * t) * random.range(0.6, 1.2);
        crater(canvas, place, size, dust, from_left);
    }
}

/// A bowl: one wall in the shade, the other and the rim's outside lit.
fn crater(canvas: &mut Canvas, (cx, cy): (f32, f32), radius: f32, dust: Rgb, from_left: bool) {
    let flat = radius * 0.42;
    canvas.blend(Area::around(cx, cy, radius, flat), |x, y| {
        let (dx, dy) = ((x - cx) / radius, (y - cy) / flat);
        let out = (dx * dx + dy * dy).sqrt();
        let side = if from_left { dx } else { -dx } * 0.8 + dy * 0.5;
        let bowl = dust * mix(0.32, 1.1, smooth(-0.7, 0.7, side));
        let rim = dust * mix(1.18, 0.6, smooth(-0.6, 0.6, side));
        (rim.mix(bowl, smooth(0.86, 0.74, out)), smooth(1.0, 0.88, out) * 0.85)
    });
}

/// The Earth, lit from the side.
fn planet(canvas: &mut Canvas, noise: Noise, (cx, cy): (f32, f32), radius: f32) {
    canvas.spot((cx, cy), radius * 1.35, 0.5, rgb(0x5aa0ff), 0.3);
    let edge = canvas.pixel() / radius;
    canvas.blend(Area::around(cx, cy, radius, radius), |x, y| {
        let (dx, dy) = ((x - cx) / radius, (y - cy) / radius);
        let out = (dx * dx + dy * dy).sqrt();
        let land = smooth(0.5, 0.56, noise.layered(dx * 1.8 + 60.0, dy * 1.8, 3));
        let cloud = smooth(0.52, 0.7, noise.layered(dx * 2.2 + 90.0, dy * 4.5, 3));
        let globe = rgb(0x2c78d8).mix(rgb(0x589c50), land).mix(Rgb::WHITE, cloud * 0.85);
        let light = smooth(1.3, -0.4, dx + dy * 0.4) * (1.0 - 0.3 * out * out);
        (globe * light, smooth(1.0, 1.0 - 1.5 * edge, out))
    });
}
