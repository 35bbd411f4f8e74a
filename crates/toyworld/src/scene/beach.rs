//! Sand, a strip of sea and the sky.

use super::{
    Description, Footing,
    parts::{Sky, ground},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "beach",
    phrases: &["on the beach"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

const SKIES: [(Rgb, Rgb); 4] = [
    (rgb(0x3f9de8), rgb(0xd6f0fb)),
    (rgb(0x5ab8ea), rgb(0xf3f6e6)),
    (rgb(0x6f9fe0), rgb(0xfbe3cf)),
    (rgb(0x7cc7ee), rgb(0xe4f7f6)),
];
/// Far and near.
const SEAS: [(Rgb, Rgb); 3] = [
    (rgb(0x126fa8), rgb(0x5fd6d0)),
    (rgb(0x0f869c), rgb(0x83e2cb)),
    (rgb(0x1b5ca6), rgb(0x58b9dd)),
];
const SANDS: [Rgb; 4] = [rgb(0xf1d694), rgb(0xf6e3b6), rgb(0xe6c386), rgb(0xf3dca4)];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky::new(random, &SKIES);
    let (far, near) = random.pick(&SEAS);
    let sand = random.pick(&SANDS);
    let horizon = random.range(0.22, 0.38);
    let shore = horizon + random.range(0.1, 0.2);
    let slope = random.range(-0.16, 0.16);
    let noise = Noise::new(random);

    canvas.paint(|x, y| {
        if y < horizon {
            return sky.at(x, (horizon - y) / 0.4);
        }
        let wave = (noise.at(x * 4.0, 3.0) - 0.5) * 0.05 + (noise.at(x * 13.0, 9.0) - 0.5) * 0.012;
        let edge = shore + slope * (x - 0.5) + wave;
        if y < edge {
            let near_ness = (y - horizon) / (edge - horizon);
            let (across, distance) = ground(x, y - horizon, 0.7);
            let glint = smooth(0.62, 0.8, noise.at(across * 5.0, distance * 6.0));
            let sea = far.mix(near, near_ness * near_ness).mix(Rgb::WHITE, glint * 0.35);
            return sea.mix(Rgb::WHITE, smooth(edge - 0.03, edge - 0.004, y) * 0.9);
        }
        let wet = smooth(edge + 0.07, edge + 0.01, y);
        let (across, distance) = ground(x, y - horizon, 0.7);
        let ripple = noise.layered(across * 3.0, distance * 9.0, 3);
        let grain = noise.at(x * 150.0, y * 150.0) - 0.5;
        let lit = sand * (mix(0.86, 1.08, ripple) + grain * 0.1 + (y - 0.8) * 0.08);
        lit.mix(sand.under(rgb(0xb09880)), wet * 0.7)
    });
    for _ in 0..random.below(7) {
        let (x, y) = (random.unit(), random.range(shore + 0.12, 1.0));
        let size = 0.008 + 0.014 * y * random.unit();
        let shell = random.pick(&[rgb(0xfff3e6), rgb(0xf2b8a0), rgb(0xb99a7d)]);
        canvas.blend(Area::around(x, y + size * 0.5, size * 1.3, size * 0.7), |_, _| {
            (sand * 0.7, 0.5)
        });
        canvas.spot((x, y), size, 0.4, shell, 0.95);
    }
}
