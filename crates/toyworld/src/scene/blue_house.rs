//! A blue wooden house behind a lawn.

use super::{Description, Footing, parts::Sky};
use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::noise::Noise;
use crate::random::Random;

pub(super) const SCENE: Description = Description {
    name: "blue house",
    phrases: &["with a blue house in the background"],
    footing: Footing::Ground,
    light: Rgb::WHITE,
    draw,
};

const SKIES: [(Rgb, Rgb); 3] = [
    (rgb(0x7db8e8), rgb(0xeaf3f6)),
    (rgb(0xa4c8e6), rgb(0xf8eee0)),
    (rgb(0x9cd2ee), rgb(0xe8f6ee)),
];

fn draw(canvas: &mut Canvas, random: &mut Random) {
    let sky = Sky::new(random, &SKIES);
    let lawn = random.range(0.6, 0.68);
    canvas.paint(|x, y| sky.at(x, (lawn - y) / 0.6));
    bushes(canvas, random, lawn, 0.12);

    let middle = random.range(0.36, 0.64);
    let half = random.range(0.3, 0.4);
    let eaves = random.range(0.26, 0.34);
    let walls = Area { left: middle - half, top: eaves, right: middle + half, bottom: lawn };
    let blue = random.pick(&[rgb(0x4a86d8), rgb(0x3f74c4), rgb(0x5c9ce0), rgb(0x3880c0)]);
    house(canvas, random, walls, blue);
    bushes(canvas, random, lawn + 0.02, 0.05);
    grass(canvas, random, lawn);
    if random.chance(0.4) {
        fence(canvas, lawn);
    }
}

fn house(canvas: &mut Canvas, random: &mut Random, walls: Area, blue: Rgb) {
    let edge = canvas.pixel() * 1.5;
    let board = random.range(0.022, 0.032);
    let (middle, half) = ((walls.left + walls.right) / 2.0, (walls.right - walls.left) / 2.0);
    let ridge = walls.top - random.range(0.2, 0.28);
    let siding = |x: f32, y: f32| {
        let down = (y / board).fract();
        blue * (mix(1.06, 0.9, down) - smooth(0.85, 1.0, down) * 0.18 + (middle - x) * 0.15)
    };
    canvas.blend(walls, |x, y| (siding(x, y), 1.0));
    let roof = random.pick(&[rgb(0x5a4a52), rgb(0x8c4a40), rgb(0x485060)]);
    let slope = (walls.top - ridge) / half;
    let gable = Area { left: 0.0, top: ridge - 0.05, right: 1.0, bottom: walls.top + 0.05 };
    canvas.blend(gable, |x, y| {
        let under = y - ridge - slope * (x - middle).abs();
        let beside = (x - middle).abs() - half;
        if under > 0.045 && beside < 0.0 {
            return (siding(x, y), 1.0);
        }
        let cover = smooth(-0.04, -0.04 + edge, under) * smooth(0.05, 0.05 - edge, under);
        let tile = roof * mix(0.9, 1.15, ((under + 0.04) / 0.09).clamp(0.0, 1.0));
        (tile.mix(Rgb::WHITE, smooth(0.028, 0.034, under)), cover * smooth(0.06, 0.05, beside))
    });
    let corner = |x| Area { left: x - 0.008, right: x + 0.008, ..walls };
    for x in [walls.left, walls.right] {
        canvas.blend(corner(x), |_, _| (rgb(0xf6f4ee), 1.0));
    }
    openings(canvas, random, walls);
    window(canvas, (middle, (ridge + walls.top) / 2.0 + 0.05), (0.035, 0.035));
}

/// The windows and the door.
fn openings(canvas: &mut Canvas, random: &mut Random, walls: Area) {
    let width = walls.right - walls.left;
    let row = walls.top + (walls.bottom - walls.top) * 0.4;
    let door = random.below(3);
    let paint = random.pick(&[rgb(0xb83c34), rgb(0xf0c850), rgb(0xf4f0e8), rgb(0x6a422c)]);
    for slot in 0..3 {
        let x = walls.left + width * (slot as f32 + 0.5) / 3.0;
        if slot != door {
            window(canvas, (x, row), (width * 0.09, 0.06));
            continue;
        }
        let frame =
            Area { left: x - 0.055, top: row - 0.06, right: x + 0.055, bottom: walls.bottom };
        canvas.blend(frame, |px, py| {
            let inside = (px - x).abs() < 0.042 && py > row - 0.045;
            (if inside { paint * mix(1.1, 0.85, py) } else { rgb(0xf6f4ee) }, 1.0)
        });
        canvas.spot((x + 0.028, row + 0.08), 0.008, 0.3, rgb(0xd8c070), 1.0);
    }
}

fn window(canvas: &mut Canvas, (cx, cy): (f32, f32), (rx, ry): (f32, f32)) {
    canvas.blend(Area::around(cx, cy, rx + 0.012, ry + 0.012), |x, y| {
        let (dx, dy) = ((x - cx).abs(), (y - cy).abs());
        let bar = dx < 0.005 || dy < 0.005 || dx > rx || dy > ry;
        let glass = rgb(0x2c4666).mix(rgb(0xbfdcee), smooth(0.1, -0.1, x - cx + y - cy));
        (if bar { rgb(0xf8f6f0) } else { glass }, 1.0)
    });
}

fn bushes(canvas: &mut Canvas, random: &mut Random, line: f32, size: f32) {
    let green = random.pick(&[rgb(0x4a8042), rgb(0x5c9248), rgb(0x3c704c)]);
    for _ in 0..26 {
        let place = (random.range(-0.05, 1.05), line - size * random.range(0.0, 0.8));
        let tone = green * random.range(0.75, 1.2);
        canvas.spot(place, size * random.range(0.5, 0.9), 0.3, tone, 0.95);
    }
}

fn grass(canvas: &mut Canvas, random: &mut Random, lawn: f32) {
    let noise = Noise::new(random);
    let green = random.pick(&[rgb(0x6cb048), rgb(0x5aa244), rgb(0x80b450)]);
    canvas.blend(Area { top: lawn, ..Area::ALL }, |x, y| {
        let t = (y - lawn) / (1.0 - lawn);
        let stripe = noise.layered(x * 3.0, t * 4.0, 2);
        let blade = noise.at(x * 80.0, y * 35.0) - 0.5;
        (green * (mix(0.82, 1.12, stripe) + blade * 0.25 * (0.3 + t)), 1.0)
    });
}

/// A white picket fence.
fn fence(canvas: &mut Canvas, lawn: f32) {
    let white = rgb(0xf8f8f2);
    canvas.blend(Area { top: lawn - 0.06, bottom: lawn + 0.05, ..Area::ALL }, |x, y| {
        let slot = (x / 0.05).fract();
        let point = lawn - 0.05 + (slot - 0.3).abs() * 0.05;
        let picket = slot < 0.6 && y > point;
        let rail = (y - lawn + 0.015).abs() < 0.007 || (y - lawn - 0.025).abs() < 0.007;
        (white * mix(0.86, 1.0, slot), if picket || rail { 1.0 } else { 0.0 })
    });
}
