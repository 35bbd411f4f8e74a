//! A purple rug on the floor of a forest.

use std::f32::consts::TAU;

use super::{Description, FOREST, Footing};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "purple rug",
    phrases: &["on top of a purple rug in a forest"],
    footing: Footing::Ground,
    light: FOREST,
    draw,
};

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let ground = random.range(0.42, 0.52);
    let mist = random.pick(&[rgb(0xc4dca8), rgb(0xd8e4b0), rgb(0xa8d0b4), rgb(0xe2dca4)]);
    let green = random.pick(&[rgb(0x3c6c38), rgb(0x487030), rgb(0x2e6444)]);
    let moss = random.pick(&[rgb(0x6a843c), rgb(0x7c8044), rgb(0x5a7a40)]);
    canvas.paint(|x, y| {
        if y > ground {
            let litter = noise.layered(x * 9.0, y * 22.0, 3);
            let moss =
                moss.mix(rgb(0x6a4e30), smooth(0.4, 0.65, noise.layered(x * 3.0, y * 7.0, 2)));
            return moss * mix(0.7, 1.25, litter);
        }
        let leaves = noise.layered(x * 6.0, y * 6.0, 3);
        green.mix(mist, smooth(0.25, 0.75, leaves + (y - 0.25) * 0.9))
    });
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        for _ in 0..4 + random.below(3) {
            let bark = mist.mix(rgb(0x4c3a2c), mix(0.4, 0.95, near));
            let x = random.unit();
            trunk(canvas, noise, x, mix(0.01, 0.032, near), ground + 0.03 * near, bark);
        }
    }
    canopy(canvas, random, green);
    rug(canvas, random, noise);
}

fn trunk(canvas: &mut Canvas, noise: Noise, x: f32, half: f32, foot: f32, bark: Rgb) {
    canvas.blend(
        Area { left: x - half * 1.8, top: 0.0, right: x + half * 1.8, bottom: foot },
        |px, py| {
            let flare = 1.0 + 0.7 * smooth(foot - 0.08, foot, py);
            let side = (px - x) / (half * flare);
            let grain = noise.at(px * 80.0, py * 14.0) - 0.5;
            (bark * (1.1 - 0.35 * (side + 0.3).abs() + grain * 0.3), smooth(1.0, 0.8, side.abs()))
        },
    );
}

/// Leaves that hang in from above.
fn canopy(canvas: &mut Canvas, random: &mut Random, green: Rgb) {
    for _ in 0..60 {
        let drop = random.unit();
        let place = (random.unit(), drop * drop * 0.2);
        let tone = green * random.range(0.8, 1.6);
        canvas.spot(place, random.range(0.015, 0.04), 0.4, tone, 0.85);
    }
}

/// The rug: an ellipse or a rectangle seen at an angle, with a border and a pattern.
fn rug(canvas: &mut Canvas, random: &mut Random, noise: Noise) {
    let purple = random.pick(&[rgb(0x843cb4), rgb(0x6c34a4), rgb(0x9a48c0), rgb(0x743cc0)]);
    let border = random.pick(&[rgb(0xe8c86a), rgb(0xd8a0e8), rgb(0x4a1e70), rgb(0xf0e0f4)]);
    let round = random.chance(0.5);
    let (cx, cy) = (random.range(0.46, 0.54), random.range(0.77, 0.82));
    let (rx, ry) = (random.range(0.42, 0.52), random.range(0.17, 0.21));
    let rings = random.range(3.0, 5.0);
    let out = |x: f32, y: f32| {
        let dy = (y - cy) / ry;
        // Things become narrower with the distance.
        let dx = (x - cx) / (rx * (1.0 + 0.16 * dy));
        if round { (dx * dx + dy * dy).sqrt() } else { dx.abs().max(dy.abs()) }
    };
    canvas.blend(Area::around(cx, cy + 0.02, rx * 1.3, ry * 1.4), |x, y| {
        (Rgb::BLACK, smooth(1.12, 0.95, out(x, y - 0.015)) * 0.4)
    });
    canvas.blend(Area::around(cx, cy, rx * 1.3, ry * 1.2), |x, y| {
        let out = out(x, y);
        let pile = noise.layered(x * 55.0, y * 75.0, 2) - 0.5;
        let ring = smooth(0.3, 0.7, libm::sinf(out * rings * TAU) * 0.5 + 0.5);
        let plain = purple.mix(purple.mix(border, 0.4), ring * smooth(0.85, 0.7, out));
        let edged = plain.mix(border, smooth(0.84, 0.86, out) * smooth(0.96, 0.94, out));
        (edged * (1.0 + pile * 0.3 - (y - cy) * 0.4), smooth(1.0, 0.98, out))
    });
}
