//! Objects put into scenes: where they stand, how they are lit, what shadow they cast.

use crate::canvas::{Area, Canvas};
use crate::colour::{Rgb, mix, rgb, smooth};
use crate::random::Random;
use crate::scene::Footing;
use crate::scene::direction;
use crate::sprite::Sprite;
use crate::tint::Dye;

/// How far an object may reach beyond the edge of the picture.
const BEYOND: f32 = 0.03;

/// Where a sprite is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pose {
    /// Its middle.
    centre: (f32, f32),
    /// The length of its longer side.
    size: f32,
    cos: f32,
    sin: f32,
    mirrored: bool,
}

/// What a pose has to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The length of the longer side.
    pub size: f32,
    /// The part of the picture's width to stay in.
    pub columns: (f32, f32),
    /// How much to leave free above, for a hat.
    pub headroom: f32,
}

impl Pose {
    /// A random pose within `room`, as it is natural for the footing.
    pub fn new(random: &mut Random, sprite: &Sprite, footing: Footing, room: Room) -> Self {
        let (cos, sin) = direction(angle(random, footing));
        let (width, height) = sprite.size();
        let half = |a: f32, b: f32| (a * cos.abs() + b * sin.abs()) * room.size / 2.0;
        let (half_width, half_height) = (half(width, height), half(height, width));

        let x = between(random, room.columns, half_width);
        let lowest: Option<(f32, f32)> = match footing {
            Footing::Ground => Some((0.74, 0.97)),
            Footing::Water => Some((0.66, 0.86)),
            Footing::Surface | Footing::Space => None,
        };
        let y = match lowest {
            Some((from, to)) => {
                let least = 2.0 * half_height + room.headroom - BEYOND;
                random.range(from.max(least), to.max(least)) - half_height
            }
            None => between(random, (room.headroom, 1.0), half_height),
        };
        Self { centre: (x, y), size: room.size, cos, sin, mirrored: random.chance(0.5) }
    }

    /// The pose of something `size` long in the same units, fixed to the place `at`, both in units
    /// of this pose's longer side.
    pub fn attached(&self, at: (f32, f32), size: f32) -> Self {
        Self { centre: self.to_canvas(at), size: self.size * size, ..*self }
    }

    /// From the sprite, in units of its longer side around its middle, to the canvas.
    fn to_canvas(self, (x, y): (f32, f32)) -> (f32, f32) {
        let x = if self.mirrored { -x } else { x };
        let (dx, dy) = (x * self.cos - y * self.sin, x * self.sin + y * self.cos);
        (self.centre.0 + dx * self.size, self.centre.1 + dy * self.size)
    }

    /// The inverse of [`to_canvas`](Self::to_canvas).
    fn to_sprite(self, (x, y): (f32, f32)) -> (f32, f32) {
        let (dx, dy) = ((x - self.centre.0) / self.size, (y - self.centre.1) / self.size);
        let (x, y) = (dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin);
        (if self.mirrored { -x } else { x }, y)
    }
}

/// Mostly within 20 degrees; what stands on the ground leans less than what lies or floats.
fn angle(random: &mut Random, footing: Footing) -> f32 {
    match footing {
        Footing::Ground | Footing::Water => random.bell(0.36),
        Footing::Surface | Footing::Space if random.chance(0.1) => random.bell(1.2),
        Footing::Surface | Footing::Space => random.bell(0.6),
    }
}

/// A middle for something that reaches `half` to each side, so that it lies within a stretch, or
/// about in the middle of it if it is too large.
fn between(random: &mut Random, (from, to): (f32, f32), half: f32) -> f32 {
    let slack = ((to - from) / 2.0 - half + BEYOND).max(BEYOND);
    (from + to) / 2.0 + random.range(-slack, slack)
}

/// A sprite in its pose and its colours.
pub(crate) struct Layer<'a> {
    pub sprite: &'a Sprite,
    pub pose: Pose,
    pub dye: Dye,
    pub light: Rgb,
}

impl Layer<'_> {
    /// The rectangle that holds it.
    fn area(&self) -> Area {
        let (width, height) = self.sprite.size();
        let Pose { centre: (x, y), size, cos, sin, .. } = self.pose;
        let half = |a: f32, b: f32| (a * cos.abs() + b * sin.abs()) * size / 2.0 + 0.01;
        Area::around(x, y, half(width, height), half(height, width))
    }

    /// The level of the sprite that fits a canvas with pixels of this width.
    fn level(&self, pixel: f32) -> usize {
        self.sprite.level(self.pose.size / pixel)
    }

    /// The level for what is going to be blurred anyway.
    fn soft_level(&self, canvas: &Canvas) -> usize {
        self.sprite.coarser(self.level(canvas.pixel()))
    }

    fn sample(&self, level: usize, x: f32, y: f32) -> (Rgb, f32) {
        let (u, v) = self.pose.to_sprite((x, y));
        let (colour, opacity) = self.sprite.sample(level, u, v);
        let dyed = self.dye.apply(colour, self.sprite.middle());
        (dyed.under(self.light), opacity)
    }

    fn opacity(&self, level: usize, x: f32, y: f32) -> f32 {
        let (u, v) = self.pose.to_sprite((x, y));
        self.sprite.sample(level, u, v).1
    }

    /// Draws it, faded below the line of the water; its opacity at each drawn pixel.
    pub fn draw(&self, canvas: &mut Canvas, footing: Footing) -> Vec<f32> {
        let (level, area) = (self.level(canvas.pixel()), self.area());
        canvas.lay(area, |x, y| {
            let (colour, opacity) = self.sample(level, x, y);
            (colour, opacity * above_water(area, footing, y))
        })
    }

    /// Draws what it changes around itself: a shadow, a mirror image or a glow. `from_left` is the
    /// side of the light.
    pub fn ground(&self, canvas: &mut Canvas, footing: Footing, from_left: bool) {
        match footing {
            Footing::Ground => self.standing_shadow(canvas, from_left),
            Footing::Surface => self.lying_shadow(canvas, from_left),
            Footing::Water => self.mirror_image(canvas),
            Footing::Space => self.glow(canvas),
        }
    }

    /// A dark spot where it touches the ground, and its outline laid on the ground behind.
    fn standing_shadow(&self, canvas: &mut Canvas, from_left: bool) {
        let (level, area) = (self.soft_level(canvas), self.area());
        let (width, base) = (area.right - area.left, area.bottom - 0.015);
        let (cx, lean) = ((area.left + area.right) / 2.0, if from_left { 0.55 } else { -0.55 });
        let flat = 0.3;
        let height = (base - area.top) * flat;
        let reach = Area { top: base - height, bottom: base + 0.05, ..Area::ALL };
        let mut cast = canvas.mask(reach, |x, y| {
            let up = (base - y) / flat;
            if up < 0.0 { 0.0 } else { self.opacity(level, x - lean * up, base - up) }
        });
        canvas.blur(&mut cast, 0.012);
        canvas.cover(&cast, SHADOW, 0.34);
        let ry = 0.03 + width * 0.05;
        let mut contact = canvas.mask(Area::around(cx, base, width * 0.5, ry), |x, y| {
            // Dark below the parts that reach down, not below those that hang in the air.
            let foot = self.opacity(level, x, base - 0.03).max(self.opacity(level, x, base - 0.07));
            let dy = (y - base) / ry;
            foot * smooth(1.0, 0.2, dy.abs())
        });
        canvas.blur(&mut contact, 0.01);
        canvas.cover(&contact, SHADOW, 0.62);
    }

    /// Its outline, a little to the side and soft.
    fn lying_shadow(&self, canvas: &mut Canvas, from_left: bool) {
        let (level, area) = (self.soft_level(canvas), self.area());
        let (dx, dy) = (if from_left { 0.018 } else { -0.018 }, 0.026);
        let mut mask = canvas.mask(area.moved(dx, dy), |x, y| self.opacity(level, x - dx, y - dy));
        canvas.blur(&mut mask, 0.014);
        canvas.cover(&mask, SHADOW, 0.58);
    }

    /// A wavering mirror image below, and rings of light around.
    fn mirror_image(&self, canvas: &mut Canvas) {
        let (level, area) = (self.soft_level(canvas), self.area());
        let line = water_line(area);
        let height = (line - area.top) * 0.7;
        let below = Area { top: line - 0.02, bottom: line + height, ..Area::ALL };
        canvas.blend(below, |x, y| {
            let depth = y - line;
            let sway = libm::sinf(depth * 110.0) * (0.004 + 0.03 * depth.max(0.0));
            let (colour, opacity) = self.sample(level, x + sway, line - depth / 0.7);
            (colour * 0.75, opacity * 0.5 * smooth(height, 0.0, depth) * smooth(-0.02, 0.0, depth))
        });
        let (cx, rx) = ((area.left + area.right) / 2.0, (area.right - area.left) * 0.52);
        let ry = rx * 0.16 + 0.012;
        canvas.blend(Area::around(cx, line, rx * 1.9, ry * 1.9), |x, y| {
            let (dx, dy) = ((x - cx) / rx, (y - line) / ry);
            let out = (dx * dx + dy * dy).sqrt();
            let ring = libm::cosf((out - 1.0) * 13.0) * 0.5 + 0.5;
            (Rgb::WHITE, ring * smooth(0.6, 1.0, out) * smooth(1.8, 1.0, out) * 0.4)
        });
    }

    /// A light around it.
    fn glow(&self, canvas: &mut Canvas) {
        let level = self.soft_level(canvas);
        let mut mask = canvas.mask(self.area(), |x, y| self.opacity(level, x, y));
        canvas.blur(&mut mask, 0.03);
        canvas.cover(&mask, rgb(0xd0c4ff), 0.5);
    }
}

const SHADOW: Rgb = rgb(0x0c081c);

/// The height at which the water meets what floats in `area`.
fn water_line(area: Area) -> f32 {
    mix(area.bottom, area.top, 0.08)
}

/// How visible what floats in `area` is at the height `y`: it fades under the water.
fn above_water(area: Area, footing: Footing, y: f32) -> f32 {
    if footing != Footing::Water {
        return 1.0;
    }
    let line = water_line(area);
    mix(0.25, 1.0, smooth(line + 0.012, line - 0.008, y))
}
