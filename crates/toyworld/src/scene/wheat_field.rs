//! Ripe wheat up to the horizon.

use super::{
    Description, Footing, WARM,
    parts::{Sky, direction},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "wheat field",
    phrases: &["with a wheat field in the background"],
    footing: Footing::Ground,
    light: WARM,
    draw,
};

const SKIES: [(Rgb, Rgb); 4] = [
    (rgb(0x3a8fe0), rgb(0xcde8f8)),
    (rgb(0x5ba6e2), rgb(0xe8f0ee)),
    (rgb(0x6a9ad6), rgb(0xfae6c8)),
    (rgb(0x4a7fc4), rgb(0xbfdcf0)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky::new(random, &SKIES);
    let horizon = random.range(0.3, 0.46);
    let noise = Noise::new(random);
    let (far, near) = random.pick(&[
        (rgb(0xe8c462), rgb(0xc88c2c)),
        (rgb(0xf0d074), rgb(0xd09c3a)),
        (rgb(0xdcb450), rgb(0xb47c24)),
    ]);
    let wood = random.pick(&[rgb(0x557a4c), rgb(0x4c7058), rgb(0x6a844a)]);
    canvas.paint(|x, y| {
        if y > horizon {
            let t = (y - horizon) / (1.0 - horizon);
            let gust = noise.layered(x * 2.0, t * 7.0, 3);
            let stalk = noise.at(x * mix(90.0, 45.0, t), y * mix(50.0, 12.0, t)) - 0.5;
            return far.mix(near, t) * (mix(0.82, 1.18, gust) + stalk * 0.35);
        }
        let trees = horizon - 0.015 - 0.045 * noise.layered(x * 5.0, 7.0, 3);
        let hills = sky.at(x, (horizon - y) / 0.45);
        hills.mix(wood, smooth(trees - 0.006, trees + 0.006, y) * 0.85)
    });
    let count = 110 + random.below(60);
    for i in 0..count {
        let t = i as f32 / count as f32;
        let foot = (random.unit(), mix(horizon + 0.08, 1.15, t));
        let light = random.range(0.85, 1.2);
        let size = mix(0.05, 0.17, t);
        ear(canvas, random, foot, size, far.mix(near, t * 0.5) * light);
    }
}

/// An ear of wheat on its stalk, bent by the wind.
fn ear(canvas: &mut Canvas, random: &mut Random, (x, y): (f32, f32), size: f32, colour: Rgb) {
    let (dx, dy) = direction(-1.45 + random.bell(0.5));
    let reach = size * 0.3;
    let area = Area { left: x - reach, top: y - size, right: x + reach, bottom: y };
    let edge = canvas.pixel();
    canvas.blend(area, |px, py| {
        let along = ((px - x) * dx + (py - y) * dy) / size;
        let across = ((py - y) * dx - (px - x) * dy).abs() / size;
        if !(0.0..=1.0).contains(&along) {
            return (colour, 0.0);
        }
        let grains = 0.8 + 0.2 * libm::sinf(along * 60.0);
        let in_ear = smooth(0.5, 0.6, along);
        let half = mix(0.012, 0.055 * grains * smooth(1.02, 0.75, along), in_ear);
        let cover = smooth(half + edge / size, half, across);
        (colour * mix(0.75, 1.12, along * grains), cover * mix(0.5, 1.0, in_ear))
    });
}
