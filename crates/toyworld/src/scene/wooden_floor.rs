//! A floor of planks seen from above.

use super::{Description, Footing, WARM, parts::direction};
use crate::canvas::Canvas;
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "wooden floor",
    phrases: &["on top of a wooden floor", "on a wooden floor"],
    footing: Footing::Surface,
    light: WARM,
    draw,
};

const WOODS: [Rgb; 6] =
    [rgb(0xc89258), rgb(0xa87040), rgb(0x7c5034), rgb(0xd8ac74), rgb(0xb46c40), rgb(0x9c8064)];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let noise = Noise::new(random);
    let wood = random.pick(&WOODS);
    let turn = random.pick(&[0.0, 1.571, 0.0, 1.571, 0.785]) + random.bell(0.25);
    let (cos, sin) = direction(turn);
    let planks = random.range(4.2, 7.5);
    let length = random.range(0.9, 1.6);
    // The far side of the floor is a little smaller.
    let lean = random.range(0.0, 0.45);
    let light = (random.range(-0.2, 1.2), random.range(-0.2, 0.6));
    let sheen = random.range(0.05, 0.22);

    canvas.paint(|x, y| {
        let scale = 1.0 + lean * (1.0 - y);
        let (fx, fy) = ((x - 0.5) * scale + 3.0, y * scale + 3.0);
        let (along, across) = (fx * cos + fy * sin, (fy * cos - fx * sin) * planks);
        let plank = across.floor();
        let shifted = along + length * noise.cell(plank as i32, 5);
        let board = (shifted / length).floor();
        let (i, j) = (plank as i32, board as i32);
        let tone = wood * mix(0.78, 1.16, noise.cell(i, j + 40));
        let (u, v) = (across - plank, shifted / length - board);

        // Rings cut along the trunk: lines that waver, denser where the noise is steep.
        let shift = 31.0 * noise.cell(j, i);
        let waver = noise.layered(along * 2.2 + shift, across * 1.3, 2);
        let grain = libm::sinf((waver * 9.0 + u * 2.5) * 5.0) * 0.5 + 0.5;
        let fibre = noise.at(along * 9.0 + shift, across * 22.0) - 0.5;
        let shade = mix(0.9, 1.06, grain) + fibre * 0.16;

        let seam = smooth(0.035, 0.012, u.min(1.0 - u)).max(smooth(0.012, 0.004, v.min(1.0 - v)));
        let bevel = smooth(0.1, 0.035, u) * 0.14;
        let (dx, dy) = (x - light.0, y - light.1);
        let glow = smooth(0.9, 0.0, (dx * dx + dy * dy).sqrt());
        let lit = tone * (shade + bevel) * mix(0.86, 1.1, glow);
        lit.mix(rgb(0xfff0d8), glow * sheen).mix(wood * 0.28, seam * 0.85)
    });
}
