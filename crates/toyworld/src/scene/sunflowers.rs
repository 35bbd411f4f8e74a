//! Green grass with sunflowers around.

use super::{
    Description, Footing,
    parts::{Sky, direction, leaf},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "sunflowers",
    phrases: &["on top of green grass with sunflowers around it", "on green grass with sunflowers"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

const SKIES: [(Rgb, Rgb); 2] = [(rgb(0x58acea), rgb(0xdaf0f8)), (rgb(0x86c4ee), rgb(0xf2f6e2))];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky::new(random, &SKIES);
    let noise = Noise::new(random);
    // Often the grass fills the picture.
    let horizon = if random.chance(0.4) { random.range(0.1, 0.26) } else { -0.3 };
    let (light, dark) = random.pick(&[
        (rgb(0x8ccc4c), rgb(0x3c8c34)),
        (rgb(0x7cc450), rgb(0x2c7c38)),
        (rgb(0xa0cc50), rgb(0x509030)),
    ]);
    canvas.paint(|x, y| {
        if y < horizon {
            return sky.at(x, (horizon - y) / 0.3);
        }
        let t = (y - horizon) / (1.0 - horizon);
        let patch = noise.layered(x * 4.0, y * 6.0, 3);
        let blade = noise.layered(x * mix(70.0, 38.0, t), y * mix(30.0, 11.0, t), 2);
        dark.mix(light, (patch * 0.6 + blade * 0.7 - 0.15).clamp(0.0, 1.0)) * mix(1.12, 0.95, t)
    });
    tufts(canvas, random, (light, dark), horizon);
    let count = 9 + random.below(8);
    for i in 0..count {
        // From far to near, at the sides and behind; small ones before the object.
        let t = i as f32 / (count - 1) as f32;
        let y = mix(horizon.max(0.02) + 0.05, 0.97, t);
        let side =
            if random.chance(0.5) { random.range(0.0, 0.26) } else { random.range(0.74, 1.0) };
        let x = if (0.3..0.93).contains(&t) { side } else { random.unit() };
        let radius = mix(0.05, 0.095, t) * random.range(0.8, 1.2);
        sunflower(canvas, random, (x, y), radius);
    }
}

fn tufts(canvas: &mut Canvas, random: &mut Random, (light, dark): (Rgb, Rgb), horizon: f32) {
    for _ in 0..70 {
        let t = random.unit();
        let foot = (random.unit(), mix(horizon.max(0.0) + 0.06, 1.05, t));
        let tone = dark.mix(light, random.range(0.3, 1.1));
        let length = mix(0.03, 0.1, t);
        leaf(canvas, foot, direction(-1.57 + random.bell(0.9)), (length, length * 0.1), tone);
    }
}

/// A flower's head turned to the viewer, on a short stem with leaves.
fn sunflower(canvas: &mut Canvas, random: &mut Random, (x, y): (f32, f32), radius: f32) {
    let green = rgb(0x3e8630) * random.range(0.85, 1.15);
    for turn in [0.4, 2.7] {
        let length = radius * random.range(0.9, 1.3);
        leaf(canvas, (x, y + radius), direction(turn), (length, length * 0.3), green);
    }
    let stem =
        Area { left: x - radius * 0.1, top: y, right: x + radius * 0.1, bottom: y + radius * 2.0 };
    canvas.blend(stem, |_, _| (green * 0.9, 1.0));
    let phase = random.range(0.0, 6.0);
    let gold = random.pick(&[rgb(0xffc81e), rgb(0xffb814), rgb(0xffd838)]);
    let edge = canvas.pixel() / radius;
    canvas.blend(Area::around(x, y, radius, radius), |px, py| {
        let (dx, dy) = ((px - x) / radius, (py - y) / radius);
        let out = (dx * dx + dy * dy).sqrt();
        if out > 1.0 {
            return (gold, 0.0);
        }
        let petal = libm::cosf(libm::atan2f(dy, dx) * 12.0 + phase) * 0.5 + 0.5;
        let rim = 0.72 + 0.28 * petal.sqrt();
        let yellow = gold * mix(0.78, 1.08, petal * smooth(0.4, 0.9, out));
        let seeds = rgb(0x5a3414).mix(rgb(0x8c5820), smooth(0.0, 0.35, out));
        (yellow.mix(seeds, smooth(0.46, 0.42 - edge, out)), smooth(rim, rim - edge * 1.5, out))
    });
}
