//! A fluffy white rug on a dark floor.

use super::{Description, Footing, parts::direction};
use crate::canvas::Canvas;
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "white rug",
    phrases: &["on top of a white rug", "on a white rug"],
    footing: Footing::Surface,
    light: Rgb::WHITE,
    draw,
};

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let white = random.pick(&[rgb(0xf8f6f0), rgb(0xf2ece0), rgb(0xf4f4f6), rgb(0xfaf2e6)]);
    let floor =
        random.pick(&[rgb(0x6a442c), rgb(0x544038), rgb(0x8a5c3a), rgb(0x5c5a60), rgb(0x3c3438)]);
    let round = random.chance(0.5);
    let (cx, cy) = (0.5 + random.bell(0.12), 0.5 + random.bell(0.12));
    let (rx, ry) = (random.range(0.4, 0.5), random.range(0.38, 0.48));
    let (cos, sin) = direction(random.bell(0.5));
    let tufts = random.range(26.0, 44.0);
    let planks = random.range(6.0, 9.0);

    canvas.paint(|x, y| {
        let shag = noise.layered(x * 34.0, y * 34.0, 2) - 0.5;
        let out = |x: f32, y: f32| {
            let (dx, dy) = (x - cx, y - cy);
            let (dx, dy) = ((dx * cos + dy * sin) / rx, (dy * cos - dx * sin) / ry);
            if round { (dx * dx + dy * dy).sqrt() } else { dx.abs().max(dy.abs()) }
        };
        let here = out(x, y) + shag * 0.09;
        let board = y * planks;
        let grain = noise.layered(x * 4.0, board * 7.0, 2) - 0.5;
        let seam = smooth(0.06, 0.02, board.fract()) * 0.5;
        let tone = mix(0.85, 1.12, noise.cell(board as i32, 3));
        let wood = floor * ((tone + grain * 0.35) * (1.0 - seam));
        let under = wood * (1.0 - 0.5 * smooth(1.12, 0.98, out(x - 0.015, y - 0.02)));

        // Long fibres, combed this way and that.
        let (sway, part) = (noise.at(x * 4.0, y * 4.0), noise.at(x * 4.0 + 50.0, y * 4.0));
        let fibre = noise.layered(x * tufts + 9.0 * sway, y * tufts * 0.45 + 9.0 * part, 2);
        let depth = smooth(0.15, 0.75, fibre * 0.75 + sway * 0.25);
        let pile = white.under(rgb(0xc4bab2)).mix(white, depth);
        let lit = pile * (1.0 - 0.12 * smooth(0.8, 1.0, here));
        under.mix(lit.mix(Rgb::WHITE, 0.1), smooth(1.02, 0.98, here))
    });
}
