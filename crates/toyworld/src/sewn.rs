//! Clothes that the package of pictures lacks, drawn here: each is a colour and an opacity for
//! every place of a square, 0..1 in both directions.

use image::{Rgba, RgbaImage};

use crate::colour::{Rgb, mix, rgb, smooth};
use crate::sprite::Sprite;
use crate::tint::Tint;

/// How wide the edges are.
const SOFT: f32 = 0.006;

/// A piece of clothing as a sprite.
pub(crate) fn picture(cloth: fn(f32, f32) -> (Rgb, f32)) -> Sprite {
    const SIDE: u32 = 256;
    let unit = |pixel| (pixel as f32 + 0.5) / SIDE as f32;
    let picture = RgbaImage::from_fn(SIDE, SIDE, |x, y| {
        let (colour, opacity) = cloth(unit(x), unit(y));
        let [r, g, b] = colour.bytes();
        Rgba([r, g, b, (opacity * 255.0 + 0.5) as u8])
    });
    Sprite::trimmed(&picture).expect("clothes are not transparent")
}

/// A red felt hat: a crown with a dark band on a wide brim.
pub(crate) fn red_hat(x: f32, y: f32) -> (Rgb, f32) {
    let felt = |light: f32| rgb(0x8c0a14).mix(rgb(0xff4a40), light);
    let dx = x - 0.5;

    let brim = ellipse((dx / 0.47, (y - 0.7) / 0.13));
    let mut result = (felt(smooth(0.86, 0.56, y + dx * 0.1)), smooth(1.0, 1.0 - SOFT / 0.13, brim));

    // The crown narrows upwards and has a dent in the top.
    let half = mix(0.2, 0.29, smooth(0.2, 0.72, y));
    let top = 0.24 + 0.05 * smooth(0.12, 0.0, dx.abs()) + 0.1 * (dx / half) * (dx / half);
    let foot = 0.68 + 0.05 * (1.0 - (dx / half) * (dx / half));
    let beside = smooth(half, half - SOFT, dx.abs());
    let cover = beside * smooth(top - SOFT, top, y) * smooth(foot, foot - SOFT, y);
    let cloth = felt(smooth(0.9, -0.8, dx / half) * mix(1.0, 0.8, y));
    let band = smooth(foot - 0.13, foot - 0.12, y);
    result.0 = result.0.mix(cloth.mix(rgb(0x3a0a12), band * 0.9), cover);
    result.1 = f32::max(result.1, cover);
    result
}

/// A red cap bent to one side, with a white brim and bobble.
pub(crate) fn santa_hat(x: f32, y: f32) -> (Rgb, f32) {
    let fur = |light: f32| rgb(0xd4ccdc).mix(rgb(0xfffdfa), light);

    // The cloth: from the brim up to the tip, which falls to the right.
    let up = ((0.8 - y) / 0.66).clamp(0.0, 1.0);
    let centre = 0.46 + 0.3 * up * up;
    let half = mix(0.36, 0.06, smooth(0.0, 1.05, up));
    let side = (x - centre) / half;
    let red = rgb(0x9c1020).mix(rgb(0xf2383c), smooth(1.0, -0.7, side));
    let above = smooth(0.12 - SOFT, 0.14, y) * smooth(0.86, 0.84, y);
    let mut result = (red, smooth(1.0, 1.0 - SOFT / half, side.abs()) * above);

    // The brim: a long rounded bar. The bobble: a ball.
    let (dx, dy) = (((x - 0.46).abs() - 0.34).max(0.0), y - 0.83);
    let (bx, by) = (x - 0.78, y - 0.17);
    for (out, radius, light) in [
        (ellipse((dx, dy)), 0.1, smooth(0.1, -0.1, dy + 0.2 * (x - 0.46))),
        (ellipse((bx, by)), 0.12, smooth(0.13, -0.12, bx * 0.6 + by)),
    ] {
        let cover = smooth(radius, radius - SOFT, out);
        result = (result.0.mix(fur(light), cover), result.1.max(cover));
    }
    result
}

/// A striped scarf laid around the neck, one end hanging down.
pub(crate) fn rainbow_scarf(x: f32, y: f32) -> (Rgb, f32) {
    let dx = (x - 0.5) / 0.47;

    // The end: a band that falls from the right of the neck, with fringes.
    let (tx, ty) = (x - 0.68 - 0.08 * (y - 0.4), (y - 0.42) / 0.5);
    let fringe = 0.95 + 0.05 * smooth(0.3, 0.6, (tx * 34.0 + 9.0).fract());
    let end = smooth(0.1, 0.1 - SOFT, tx.abs())
        * smooth(0.0, 0.02, ty)
        * smooth(fringe, fringe - 0.02, ty);
    let mut result = (stripe(ty * 1.1 + 0.08) * mix(0.72, 1.08, smooth(0.12, -0.08, tx)), end);

    // The loop sags in the middle, and is thinner where it goes behind.
    let centre = 0.36 - 0.2 * dx * dx;
    let half = 0.13 * mix(1.0, 0.7, dx * dx);
    let across = (y - centre) / half;
    let cover = smooth(1.0, 1.0 - SOFT / half, across.abs()) * smooth(1.0, 0.98, dx.abs());
    let fold = mix(0.75, 1.1, smooth(1.1, -0.6, across)) * mix(1.0, 0.72, dx * dx);
    result = (result.0.mix(stripe(x * 1.5 + 0.12 * across) * fold, cover), result.1.max(cover));
    result
}

/// The colours of the rainbow, all of them along a length of 1, again and again.
fn stripe(at: f32) -> Rgb {
    const COLOURS: [Tint; 6] =
        [Tint::Red, Tint::Orange, Tint::Yellow, Tint::Green, Tint::Blue, Tint::Purple];
    let at = (at + 4.0) * 6.0;
    let (i, between) = (at as usize, at - at.floor());
    let [here, next] = [i, i + 1].map(|i| COLOURS[i % COLOURS.len()].colour());
    here.mix(next, smooth(0.85, 1.0, between))
}

/// How far out a place is, 1 on the edge of the ellipse whose half axes the parts were divided by.
fn ellipse((dx, dy): (f32, f32)) -> f32 {
    (dx * dx + dy * dy).sqrt()
}
