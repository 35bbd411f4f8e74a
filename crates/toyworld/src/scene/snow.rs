//! A snowy field with conifers, under falling flakes.

use super::{
    Description, Footing,
    parts::{Sky, pine},
};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "snow",
    phrases: &["in the snow"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

const SKIES: [(Rgb, Rgb); 4] = [
    (rgb(0x9db9d6), rgb(0xe9f0f6)),
    (rgb(0x7fb3e6), rgb(0xe2f1fb)),
    (rgb(0xa5a9c9), rgb(0xf4e3e4)),
    (rgb(0xb4c2cc), rgb(0xe6eaec)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let mut sky = Sky::new(random, &SKIES);
    sky.clouds *= 0.7;
    let horizon = random.range(0.34, 0.5);
    let noise = Noise::new(random);
    let shade = random.pick(&[rgb(0xb4c8e4), rgb(0xc2cde8), rgb(0xbbd4e6)]);
    let hill = |x: f32| horizon - 0.07 * noise.at(x * 2.2, 31.0);
    canvas.paint(|x, y| sky.at(x, (horizon - y) / 0.45));

    let green = random.pick(&[rgb(0x2c574c), rgb(0x355b45), rgb(0x2b4d5c)]);
    let haze = sky.bottom;
    for layer in 0..3 {
        let near = layer as f32 / 2.0;
        for _ in 0..3 + random.below(6) {
            let x = random.range(-0.05, 1.05);
            let height = mix(0.1, 0.3, near) * random.range(0.7, 1.25);
            let foot = hill(x) + 0.025 + 0.03 * near;
            pine(canvas, (x, foot), height, haze.mix(green, mix(0.45, 1.0, near)), Rgb::WHITE);
        }
        // The next layer hides the rest.
        let bottom = if layer < 2 { horizon + 0.07 } else { 1.0 };
        let area = Area { top: horizon - 0.07, bottom, ..Area::ALL };
        ground(canvas, area, noise, shade, |x| hill(x) + 0.02 + 0.03 * near);
    }
    for _ in 0..20 + random.below(60) {
        let size = random.unit();
        let place = (random.unit(), random.unit());
        canvas.spot(place, mix(0.005, 0.017, size * size), 0.7, Rgb::WHITE, 0.9);
    }
}

/// Snow from a line downwards, with soft blue hollows and a sparkle.
fn ground(canvas: &mut Canvas, area: Area, noise: Noise, shade: Rgb, line: impl Fn(f32) -> f32) {
    let edge = canvas.pixel() * 2.0;
    canvas.blend(area, |x, y| {
        let top = line(x);
        if y < top - edge {
            return (shade, 0.0);
        }
        let down = y - top;
        let hollow = noise.layered(x * 2.4, y * 6.5, 3);
        let light = smooth(0.3, 0.68, hollow) * 0.8 + smooth(0.1, 0.0, down) * 0.25;
        let sparkle = smooth(0.93, 1.0, noise.at(x * 120.0, y * 120.0)) * 0.4;
        let snow = shade.mix(rgb(0xfbfcff), (light + sparkle).min(1.0));
        (snow, smooth(top - edge, top + edge, y))
    });
}
