//! A dirt road running away between fields.

use super::{
    Description, Footing,
    parts::{Sky, ground},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "dirt road",
    phrases: &["on top of a dirt road", "on a dirt road"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

const SKIES: [(Rgb, Rgb); 4] = [
    (rgb(0x56a4e4), rgb(0xdceef6)),
    (rgb(0x7ab0d8), rgb(0xf4ead8)),
    (rgb(0x8aa8bc), rgb(0xe2e6e2)),
    (rgb(0x4d90cf), rgb(0xc6e2f2)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky::new(random, &SKIES);
    let noise = Noise::new(random);
    let horizon = random.range(0.28, 0.4);
    let dirt = random.pick(&[rgb(0xa8764a), rgb(0x966848), rgb(0xb88658), rgb(0x9c603c)]);
    let field = random.pick(&[rgb(0x7f9c44), rgb(0x5f8c3e), rgb(0x949a4a), rgb(0x6a9a50)]);
    let bend = random.range(-0.5, 0.5);
    let half = random.range(0.34, 0.46);
    canvas.paint(|x, y| {
        if y < horizon {
            return sky.at(x, (horizon - y) / 0.45);
        }
        let below = y - horizon;
        let (across, distance) = ground(x, below, 1.0 - horizon);
        // The road turns as it goes.
        let far = 1.0 - below / (1.0 - horizon);
        let across = across - bend * far * far * distance * 0.5;
        let ragged = (noise.layered(across * 2.0 + 9.0, distance * 4.0, 2) - 0.5) * 0.12;
        let on_road = smooth(half + 0.03, half - 0.03, across.abs() + ragged);
        let pebble = noise.layered(across * 26.0, distance * 26.0, 2);
        let rut = smooth(0.07, 0.0, (across.abs() - half * 0.52).abs());
        let worn = dirt * (mix(0.8, 1.2, pebble) - rut * 0.22);
        let middle = smooth(0.09, 0.02, across.abs()) * smooth(0.45, 0.6, pebble) * 0.4;
        let blade = noise.layered(across * 30.0, distance * 10.0, 2);
        let patch = noise.layered(across * 2.5, distance * 2.5, 2);
        let grass = field * (mix(0.7, 1.2, blade) + (patch - 0.5) * 0.5);
        grass.mix(worn.mix(field, middle), on_road).mix(sky.bottom, smooth(0.6, 1.0, far) * 0.4)
    });
    trees(canvas, random, horizon, field);
}

/// Round trees and bushes along the horizon.
fn trees(canvas: &mut Canvas, random: &mut Random, horizon: f32, field: Rgb) {
    let leaves = field.under(rgb(0x90c090)) * 0.95;
    for _ in 0..6 + random.below(10) {
        let x = random.range(-0.02, 1.02);
        let size = random.range(0.02, 0.07);
        let tone = leaves * random.range(0.75, 1.15);
        canvas.blend(
            Area { left: x - 0.005, top: horizon - size, right: x + 0.005, bottom: horizon + 0.01 },
            |_, _| (rgb(0x544030), 0.9),
        );
        for _ in 0..5 {
            let place = (x + random.bell(size), horizon - size * random.range(0.4, 1.3));
            canvas.spot(
                place,
                size * random.range(0.4, 0.7),
                0.4,
                tone * random.range(0.85, 1.2),
                0.95,
            );
        }
    }
}
