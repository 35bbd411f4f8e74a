//! Dunes one behind the other under a warm sky.

use super::{Description, Footing, WARM, parts::Sky};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "desert",
    phrases: &["in the desert"],
    footing: Footing::Ground,
    light: WARM,
    draw,
};

const SKIES: [(Rgb, Rgb); 3] = [
    (rgb(0x4fa3dd), rgb(0xf6e2bb)),
    (rgb(0x7db6d8), rgb(0xfbd7a6)),
    (rgb(0xe0a56c), rgb(0xfbe2b0)),
];
/// In the light and in the shade.
const SANDS: [(Rgb, Rgb); 3] = [
    (rgb(0xf0b062), rgb(0xb56a38)),
    (rgb(0xe89856), rgb(0xa05034)),
    (rgb(0xf2bf70), rgb(0xc07f42)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let mut sky = Sky::new(random, &SKIES);
    sky.clouds *= 0.5;
    let sand = random.pick(&SANDS);
    let horizon = random.range(0.28, 0.44);
    canvas.paint(|x, y| sky.at(x, (horizon - y) / 0.45));
    let sun = (random.range(0.1, 0.9), random.range(0.06, horizon - 0.12));
    canvas.spot(sun, 0.2, 1.0, rgb(0xfff6d8), 0.7);
    canvas.spot(sun, random.range(0.035, 0.06), 0.15, rgb(0xfffbe8), 1.0);

    let from_left = random.chance(0.5);
    let dunes = 4 + random.below(2);
    let near = |i: usize| i as f32 / (dunes - 1) as f32;
    let crest = |i: usize| mix(horizon, 0.74, near(i) * near(i));
    for i in 0..dunes {
        // The next dune hides the rest.
        let bottom = if i + 1 < dunes { crest(i + 1) + 0.06 } else { 1.0 };
        dune(canvas, random, (crest(i), bottom, near(i)), sand, from_left, sky.bottom);
    }
}

/// A dune from its crest down to `bottom`: lit on one side of each summit, with
/// ripples.
fn dune(
    canvas: &mut Canvas,
    random: &mut Random,
    (crest, bottom, near): (f32, f32, f32),
    (lit, shaded): (Rgb, Rgb),
    from_left: bool,
    haze: Rgb,
) {
    let noise = Noise::new(random);
    let waves = random.range(1.2, 2.2);
    let height = mix(0.08, 0.16, near);
    let line = |x: f32| crest - height * (noise.at(x * waves + 5.0, 0.5) - 0.3);
    let edge = canvas.pixel() * 1.5;
    canvas.blend(Area { top: crest - height, bottom, ..Area::ALL }, |x, y| {
        let top = line(x);
        if y < top - edge {
            return (lit, 0.0);
        }
        let down = (y - top) / 0.3;
        let slope = (line(x + 0.02) - top) / 0.02;
        let facing = if from_left { -slope } else { slope };
        let wind = noise.at(x * 3.0, y * 5.0);
        let ripple = libm::sinf((y * 150.0 + wind * 20.0 + x * 24.0) * mix(1.3, 0.7, near)) * 0.035;
        let light = smooth(-0.25, 0.3, facing + (wind - 0.5) * 0.3) * (1.0 - 0.3 * down.min(1.0));
        let sand = shaded.mix(lit, light) * (1.0 + ripple * near);
        (haze.mix(sand, mix(0.55, 1.0, near)), smooth(top - edge, top + edge, y))
    });
}
