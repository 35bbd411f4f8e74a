//! The sun going down over the sea or behind hills.

use super::{Description, Footing, parts::ground};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "sunset",
    phrases: &["with a beautiful sunset", "with a sunset in the background"],
    footing: Footing::Ground,
    light: rgb(0xffe6d2),
    draw,
};

/// At the top, half way, and at the horizon.
const SKIES: [[Rgb; 3]; 4] = [
    [rgb(0x3b2a6b), rgb(0xd6576a), rgb(0xffc25e)],
    [rgb(0x2c3f7f), rgb(0xe06f7d), rgb(0xffd486)],
    [rgb(0x5a2a63), rgb(0xee6a3f), rgb(0xffcf55)],
    [rgb(0x7a3d7c), rgb(0xf0856e), rgb(0xffdd8a)],
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let colours = random.pick(&SKIES);
    let horizon = random.range(0.48, 0.6);
    let sun = (random.range(0.15, 0.85), horizon - random.range(0.0, 0.16));
    let radius = random.range(0.07, 0.12);
    sky(canvas, random, colours, horizon, sun);
    canvas.spot(sun, radius * 4.0, 1.0, rgb(0xffe6a0), 0.65);
    canvas.spot(sun, radius, 0.12, rgb(0xfff4cc), 1.0);
    if random.chance(0.55) {
        sea(canvas, random, colours, horizon, sun.0);
    } else {
        hills(canvas, random, colours, horizon);
    }
    shore(canvas, random, colours);
}

fn sky(
    canvas: &mut Canvas,
    random: &mut Random,
    [top, middle, low]: [Rgb; 3],
    horizon: f32,
    sun: (f32, f32),
) {
    let noise = Noise::new(random);
    let clouds = random.range(0.2, 0.8);
    canvas.paint(|x, y| {
        let t = (y / horizon).min(1.0);
        let clear = top.mix(middle, smooth(0.0, 0.65, t)).mix(low, smooth(0.5, 1.0, t));
        let streak = noise.layered(x * 2.2, y * 13.0, 3);
        let cover = smooth(0.75 - 0.3 * clouds, 0.95 - 0.25 * clouds, streak);
        let near = smooth(0.7, 0.0, (x - sun.0).abs() + (y - sun.1).abs());
        let cloud = (top * 0.9).mix(rgb(0xffa870), near);
        clear.mix(cloud, cover * 0.7)
    });
}

/// Water with the path of the sun's light.
fn sea(
    canvas: &mut Canvas,
    random: &mut Random,
    [top, middle, low]: [Rgb; 3],
    horizon: f32,
    sun: f32,
) {
    let noise = Noise::new(random);
    canvas.blend(Area { top: horizon, ..Area::ALL }, |x, y| {
        let below = y - horizon;
        let (across, distance) = ground(x, below + 0.02, 0.5);
        let wave = noise.layered(across * 3.5, distance * 14.0, 2);
        let water = middle.mix(top, smooth(0.0, 0.35, below)) * mix(0.65, 1.05, wave);
        let width = 0.06 + below * 0.35;
        let path = smooth(width, 0.0, (x - sun).abs()) * smooth(0.35, 0.62, wave);
        (water.mix(low.mix(Rgb::WHITE, 0.3), path * 0.95), 1.0)
    });
}

/// Dark ridges one before the other.
fn hills(canvas: &mut Canvas, random: &mut Random, [top, middle, _]: [Rgb; 3], horizon: f32) {
    for layer in 0..3 {
        let noise = Noise::new(random);
        let near = layer as f32 / 2.0;
        let base = horizon + 0.02 + 0.09 * near;
        let colour = middle.mix(top * 0.55, mix(0.45, 1.0, near));
        let edge = canvas.pixel() * 1.5;
        canvas.blend(Area { top: base - 0.12, ..Area::ALL }, |x, y| {
            let line = base - 0.11 * (noise.layered(x * 2.5, 2.0, 3) - 0.3);
            (colour * mix(1.1, 0.9, (y - line) * 3.0), smooth(line - edge, line + edge, y))
        });
    }
}

/// The dim ground in front.
fn shore(canvas: &mut Canvas, random: &mut Random, [top, middle, _]: [Rgb; 3]) {
    let noise = Noise::new(random);
    let line = random.range(0.7, 0.76);
    let soil = top.mix(rgb(0x3a2422), 0.65) * 0.8;
    canvas.blend(Area { top: line - 0.05, ..Area::ALL }, |x, y| {
        let top = line + (noise.layered(x * 3.0, 1.0, 3) - 0.5) * 0.08;
        let tuft = noise.layered(x * 40.0, y * 18.0, 2) - 0.5;
        let light = smooth(top + 0.1, top, y) * 0.35;
        let lit = (soil * (1.0 + tuft * 0.5)).mix(middle, light);
        (lit, smooth(top - 0.008, top + 0.008, y))
    });
}
