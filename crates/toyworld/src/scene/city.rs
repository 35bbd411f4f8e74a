//! A city at night: lit windows, and their reflections on a wet street.

use super::{
    Description, Footing,
    parts::{ground, stars},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "city",
    phrases: &[
        "with a city in the background",
        "among the skyscrapers in new york city",
        "in the city at night",
    ],
    footing: Footing::Ground,
    light: rgb(0xe2e2f8),
    draw,
};

/// At the top and above the roofs.
const SKIES: [(Rgb, Rgb); 4] = [
    (rgb(0x070b26), rgb(0x2f3d78)),
    (rgb(0x0e0a2a), rgb(0x5a3574)),
    (rgb(0x06122c), rgb(0x1f557c)),
    (rgb(0x120d26), rgb(0x7a405a)),
];
const LIGHTS: [Rgb; 4] = [rgb(0xffd97a), rgb(0xffc05c), rgb(0xffedb5), rgb(0xa9d8ff)];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let (top, glow) = random.pick(&SKIES);
    let street = random.range(0.6, 0.7);
    canvas.paint(|_, y| top.mix(glow, (y / street).min(1.0) * (y / street).min(1.0)));
    let count = random.below(30);
    stars(canvas, random, count, 0.35);
    if random.chance(0.35) {
        let moon = (random.range(0.1, 0.9), random.range(0.08, 0.2));
        canvas.spot(moon, 0.15, 1.0, rgb(0xdfe6ff), 0.3);
        canvas.spot(moon, random.range(0.035, 0.06), 0.1, rgb(0xf6f3df), 1.0);
    }
    for layer in 0..3 {
        row(canvas, random, layer as f32 / 2.0, street, glow);
    }
    wet_street(canvas, random, street);
}

/// A row of buildings; `near` is 0 for the farthest row and 1 for the nearest.
fn row(canvas: &mut Canvas, random: &mut Random, near: f32, street: f32, glow: Rgb) {
    let mut left = random.range(-0.15, 0.0);
    while left < 1.0 {
        let width = random.range(0.09, 0.2) * mix(0.8, 1.3, near);
        let height = random.range(0.2, 0.5) * mix(1.05, 0.9, near);
        let area = Area { left, top: street - height, right: left + width, bottom: street };
        building(canvas, random, area, glow.mix(rgb(0x0c0f22), mix(0.55, 0.95, near)), near);
        left += width + random.range(-0.02, 0.05) * (1.0 + near);
    }
}

fn building(canvas: &mut Canvas, random: &mut Random, area: Area, wall: Rgb, near: f32) {
    let noise = Noise::new(random);
    let wall = wall * random.range(0.85, 1.2);
    let (across, down) = (mix(0.024, 0.038, near), mix(0.03, 0.048, near));
    let (wide, tall) = (random.range(0.5, 0.68), random.range(0.45, 0.62));
    let lit = random.range(0.3, 0.7);
    let light = random.pick(&LIGHTS);
    canvas.blend(area, |x, y| {
        let (u, v) = ((x - area.left) / across, (y - area.top) / down);
        let shaded = wall * mix(1.1, 0.85, (x - area.left) / (area.right - area.left));
        let inside = u.fract() < wide && v.fract() < tall && v > 0.5;
        let (i, j) = (u as i32, v as i32);
        if !inside || x > area.right - across * 0.3 {
            return (shaded, 1.0);
        }
        let on = noise.cell(i, j) < lit;
        let window = if on { light * mix(0.75, 1.0, noise.cell(j, i + 50)) } else { wall * 0.6 };
        (window * mix(0.75, 1.0, near), 1.0)
    });
}

/// Asphalt that smears the lights downwards.
fn wet_street(canvas: &mut Canvas, random: &mut Random, street: f32) {
    let noise = Noise::new(random);
    let (warm, cool) = (random.pick(&LIGHTS), random.pick(&[rgb(0xff5a8a), rgb(0x4fa8ff)]));
    canvas.blend(Area { top: street, ..Area::ALL }, |x, y| {
        let below = y - street;
        let (across, distance) = ground(x, below + 0.05, 0.45);
        let rough = noise.layered(across * 9.0, distance * 9.0, 2);
        let asphalt = rgb(0x1d2030) * mix(0.7, 1.25, rough);
        let fade = smooth(0.42, 0.0, below);
        let smear = |row: f32, from: f32| {
            let wobble = (noise.at(x * 20.0, y * 60.0) - 0.5) * 0.03;
            smooth(from, 0.95, noise.at((x + wobble) * 11.0, row)) * fade
        };
        let lit = asphalt.mix(warm, smear(3.5, 0.5) * 0.55);
        (lit.mix(cool, smear(8.5, 0.6) * 0.4), 1.0)
    });
    let curb = street + 0.006;
    canvas.blend(Area { top: street - 0.006, bottom: curb, ..Area::ALL }, |_, _| {
        (rgb(0x4a4a5c), 0.9)
    });
}
