//! The surface of water with waves and glints.

use super::{Description, Footing, parts::ground};
use crate::canvas::Canvas;
use crate::colour::{Rgb, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "water",
    phrases: &["floating on top of water", "floating on water"],
    footing: Footing::Water,
    light: Rgb::WHITE,
    draw,
};

/// In the depth, on the surface, and far away.
const WATERS: [[Rgb; 3]; 5] = [
    [rgb(0x0f55a0), rgb(0x2c8cd8), rgb(0x7cc4f0)],
    [rgb(0x0c6c98), rgb(0x28a8c8), rgb(0x90e0ec)],
    [rgb(0x124888), rgb(0x3478c0), rgb(0x84b0e4)],
    [rgb(0x087890), rgb(0x30c0c4), rgb(0xa0ece4)],
    [rgb(0x1c4078), rgb(0x3c84b4), rgb(0x9cc8dc)],
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let [deep, surface, far] = random.pick(&WATERS);
    // The horizon lies above the picture: the water fills it.
    let horizon = -random.range(0.08, 0.6);
    let scale = random.range(2.2, 4.0);
    let choppy = random.range(0.5, 1.0);
    let glints = random.range(0.3, 0.9);
    canvas.paint(|x, y| {
        let full = 1.0 - horizon;
        let (across, distance) = ground(x, y - horizon, full);
        let (u, v) = (across * scale, distance * scale * 2.4 * full);
        let warp = noise.layered(u * 0.8, v * 0.8, 2);
        let swell = libm::sinf(v * 2.6 + warp * 5.0) * 0.5 + 0.5;
        let ripple = noise.layered(u * 2.2 + warp, v * 2.8 - warp, 2);
        let crest = (swell * 0.55 + ripple * 0.6 * choppy + 0.1).clamp(0.0, 1.0);
        let body = deep.mix(surface, smooth(0.15, 0.75, crest));
        let away = smooth(0.9, -0.1, y) * 0.55;
        // Crossing ridges of two noises make the net of light.
        let net = 1.0 - (ripple - 0.5).abs() * 9.0;
        let glint = net.max(0.0) * smooth(0.45, 0.9, crest) * glints;
        body.mix(far, away).mix(Rgb::WHITE, glint.min(1.0) * 0.75)
    });
}
