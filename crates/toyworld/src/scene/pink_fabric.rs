//! Soft folds of pink cloth.

use std::f32::consts::PI;

use super::{Description, Footing, parts::direction};
use crate::canvas::Canvas;
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "pink fabric",
    phrases: &["on top of pink fabric", "on pink fabric"],
    footing: Footing::Surface,
    light: Rgb::WHITE,
    draw,
};

const PINKS: [Rgb; 5] = [rgb(0xf280b4), rgb(0xf89cc0), rgb(0xe85c9c), rgb(0xfaa8b8), rgb(0xf070a0)];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let pink = random.pick(&PINKS);
    let (cos, sin) = direction(random.range(0.0, PI));
    let folds = random.range(13.0, 24.0);
    let bend = random.range(0.1, 0.4);
    let satin = random.range(0.1, 0.55);
    let weave = random.range(0.0, 0.1);

    // How high the cloth lies: waves across a direction, bent by noise.
    let height = |x: f32, y: f32| {
        let warp = noise.layered(x * 2.2, y * 2.2, 2);
        let across = x * cos + y * sin + bend * warp;
        let wave = libm::sinf(across * folds + 3.0 * noise.at(x * 1.7 + 9.0, y * 1.7));
        wave * mix(0.45, 1.0, warp) + 1.2 * warp
    };
    let step = 0.012;
    canvas.paint(|x, y| {
        let here = height(x, y);
        let (dx, dy) = (height(x + step, y) - here, height(x, y + step) - here);
        // Light from the upper left.
        let slope = (dx * 0.6 + dy * 0.8) / step * 0.055;
        let light = (1.0 - slope * 0.55 + here * 0.05).clamp(0.62, 1.3);
        let thread = noise.at(x * 160.0, y * 160.0) - 0.5;
        let shine = smooth(0.25, 0.75, -slope) * satin;
        let shaded = pink.under(Rgb::WHITE.mix(rgb(0xd8709a), smooth(0.98, 0.6, light)));
        (shaded * (mix(1.0, light, 0.8) + thread * weave)).mix(Rgb::WHITE, shine)
    });
}
