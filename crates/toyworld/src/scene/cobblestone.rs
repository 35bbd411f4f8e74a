//! A street of round stones.

use super::{Description, Footing, parts::ground};
use crate::canvas::Canvas;
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "cobblestone",
    phrases: &["on a cobblestone street"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

/// The middle tone of the stones and the gaps between them.
const STONES: [(Rgb, Rgb); 5] = [
    (rgb(0x9a9896), rgb(0x3c3836)),
    (rgb(0x8a909c), rgb(0x30343c)),
    (rgb(0xb0a08c), rgb(0x4a4036)),
    (rgb(0x868080), rgb(0x2e2a2c)),
    (rgb(0xa4948e), rgb(0x423634)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let (stone, gap) = random.pick(&STONES);
    // The horizon lies above the picture: the street fills it.
    let horizon = -random.range(0.25, 0.9);
    let columns = random.range(4.6, 7.5);
    let rows = columns * random.range(1.2, 1.7);
    let wet = if random.chance(0.35) { random.range(0.3, 0.8) } else { 0.0 };
    let light = (random.range(-0.6, 0.6), random.range(-0.8, -0.2));
    let shadow = random.range(0.0, 0.35);
    let slant = random.range(-0.6, 0.6);

    canvas.paint(|x, y| {
        let full = 1.0 - horizon;
        let (across, distance) = ground(x, y - horizon, full);
        // Rows become narrower with the distance as 1 / below does.
        let v = distance * rows * full * 0.55;
        let row = v.floor();
        let offset = noise.cell(row as i32, 77) + 0.5 * (row * 0.5).fract();
        let u = across * columns + offset;
        let column = u.floor();
        let (i, j) = (column as i32, row as i32);
        let centre = 0.08 * (noise.cell(i + 500, j) - 0.5);
        // Square-ish stones: the fourth power rounds only the corners.
        let (du, dv) = ((u - column - 0.5 - centre) * 2.0, (v - row - 0.5) * 2.0);
        let (du2, dv2) = (du * du, dv * dv);
        let rim = du2 * du2 + dv2 * dv2;
        let size = 0.62 + 0.3 * noise.cell(i, j + 300);
        let top = smooth(size + 0.2, size - 0.18, rim);
        let tone = stone * mix(0.76, 1.2, noise.cell(i, j));
        let tone = tone.mix(tone.under(rgb(0xf0d8c0)), noise.cell(i + 90, j));
        let dome = 1.0 - 0.28 * rim + 0.3 * (du * light.0 - dv * light.1);
        let rough = noise.layered(u * 9.0, v * 9.0, 2) - 0.5;
        let shine = wet * smooth(0.4, 0.0, (du - light.0).abs() + (dv + light.1).abs()) * 0.6;
        let lit = (tone * (dome * (1.0 - 0.2 * wet) + rough * 0.28)).mix(Rgb::WHITE, shine);
        let shade = 1.0 - shadow * smooth(0.42, 0.6, noise.at((x + slant * y) * 2.2, 3.3));
        gap.mix(lit, top) * (shade * mix(0.9, 1.06, y))
    });
}
