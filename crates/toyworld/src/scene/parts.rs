//! What several scenes have in common.

use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, smooth};
use crate::noise::Noise;
use crate::random::Random;

/// A clear or cloudy sky from the top of the picture to the horizon.
pub(crate) struct Sky {
    pub top: Rgb,
    pub bottom: Rgb,
    pub cloud: Rgb,
    /// How much of it is clouds, 0..1.
    pub clouds: f32,
    noise: Noise,
}

impl Sky {
    /// A sky from one of the pairs of colours (at the top, at the horizon) with some white clouds.
    pub fn new(random: &mut Random, pairs: &[(Rgb, Rgb)]) -> Self {
        let (top, bottom) = random.pick(pairs);
        let clouds = if random.chance(0.6) { random.range(0.3, 0.75) } else { 0.0 };
        Self { top, bottom, cloud: Rgb::WHITE, clouds, noise: Noise::new(random) }
    }

    /// The colour at `x`, `height` being 0 at the horizon and 1 at the top.
    pub fn at(&self, x: f32, height: f32) -> Rgb {
        let clear = self.bottom.mix(self.top, height.clamp(0.0, 1.0));
        if self.clouds == 0.0 {
            return clear;
        }
        // Flatter towards the horizon.
        let depth = 1.0 / (height.max(0.0) + 0.25);
        let density = self.noise.layered((x - 0.5) * 1.6 * depth + 40.0, 2.6 * depth, 3);
        let cover = smooth(0.85 - 0.5 * self.clouds, 0.98 - 0.35 * self.clouds, density);
        clear.mix(self.cloud, cover * 0.9)
    }
}

/// A place on level ground seen from the side: how far away it is and where it lies across, both
/// in the width of the picture at its lower edge. `below` is how far the place is under the
/// horizon, `full` how far the lower edge of the picture is.
pub(crate) fn ground(x: f32, below: f32, full: f32) -> (f32, f32) {
    let distance = full / below.max(0.004);
    ((x - 0.5) * distance, distance)
}

/// A conifer with its foot at a place: a few overlapping skirts of branches, dusted with `dust` on
/// the side of the light.
pub(crate) fn pine(canvas: &mut Canvas, (x, foot): (f32, f32), height: f32, green: Rgb, dust: Rgb) {
    let edge = canvas.pixel();
    let top = foot - height;
    let width = height * 0.26;
    canvas.blend(Area { left: x - width, top, right: x + width, bottom: foot }, |px, py| {
        let down = (py - top) / height;
        if down > 0.9 {
            return (green * 0.45, smooth(0.05 * height, 0.05 * height - edge, (px - x).abs()));
        }
        let tier = (down * 4.4).fract();
        let reach = width * down * (0.62 + 0.5 * tier);
        let cover = smooth(reach, reach - edge * 1.5, (px - x).abs());
        let side = (px - x) / width;
        let light = smooth(0.5, -0.6, side) * (1.0 - tier);
        ((green * mix(0.7, 1.05, tier)).mix(dust, light * 0.8), cover)
    });
}

/// A pointed leaf from its `foot`, `length` long in the direction (`dx`, `dy`) of length 1, with a
/// lighter half and a rib.
pub(crate) fn leaf(
    canvas: &mut Canvas,
    (x, y): (f32, f32),
    (dx, dy): (f32, f32),
    (length, width): (f32, f32),
    colour: Rgb,
) {
    let edge = canvas.pixel() * 1.2;
    let (cx, cy) = (x + dx * length / 2.0, y + dy * length / 2.0);
    let reach = |along: f32, across: f32| along.abs() * length / 2.0 + across.abs() * width;
    canvas.blend(Area::around(cx, cy, reach(dx, dy), reach(dy, dx)), |px, py| {
        let along = ((px - x) * dx + (py - y) * dy) / length;
        let across = (py - y) * dx - (px - x) * dy;
        if !(0.0..=1.0).contains(&along) {
            return (colour, 0.0);
        }
        let half = width * 2.4 * along * (1.0 - along) * (1.25 - 0.5 * along);
        let cover = smooth(half, half - edge, across.abs());
        let light = if across < 0.0 { 1.12 } else { 0.88 };
        let rib = smooth(edge * 1.6, 0.0, across.abs()) * 0.22;
        ((colour * (light * mix(0.8, 1.1, along))).mix(Rgb::WHITE, rib), cover)
    });
}

/// Small bright stars, some with a glow, above the height `bottom`.
pub(crate) fn stars(canvas: &mut Canvas, random: &mut Random, count: usize, bottom: f32) {
    for _ in 0..count {
        let place = (random.unit(), random.unit() * bottom);
        let tone = Rgb([random.range(0.8, 1.0), random.range(0.85, 1.0), 1.0]);
        let size = random.unit();
        let radius = mix(0.005, 0.013, size * size * size);
        if size > 0.9 {
            canvas.spot(place, radius * 4.0, 1.0, tone, 0.35);
        }
        canvas.spot(place, radius, 0.8, tone, mix(0.5, 1.0, size));
    }
}

/// A direction (`dx`, `dy`) of length 1, `angle` in radians clockwise from the right.
pub(crate) fn direction(angle: f32) -> (f32, f32) {
    (libm::cosf(angle), libm::sinf(angle))
}
