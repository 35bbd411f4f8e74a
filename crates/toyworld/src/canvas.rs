//! What is drawn on: twice as fine as the finished picture, in units of its side.

use crate::colour::{Rgb, smooth};

/// Drawn pixels along a side for each finished one.
const FINER: usize = 2;

/// A square picture in the making. Places run from 0 to 1: `x` to the right, `y` downwards.
pub(crate) struct Canvas {
    /// In drawn pixels.
    side: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    /// A black canvas for a finished picture of `side` pixels a side.
    pub fn new(side: usize) -> Self {
        assert!(side > 0, "a picture of no pixels");
        let side = side * FINER;
        Self { side, pixels: vec![Rgb::BLACK; side * side] }
    }

    /// The width of a drawn pixel.
    pub fn pixel(&self) -> f32 {
        1.0 / self.side as f32
    }

    /// Gives every place the colour that `colour` has for it.
    pub fn paint(&mut self, colour: impl Fn(f32, f32) -> Rgb) {
        self.blend(Area::ALL, |x, y| (colour(x, y), 1.0));
    }

    /// Lays a colour over every place of `area`, as opaque (0..1) as `layer` says.
    pub fn blend(&mut self, area: Area, layer: impl Fn(f32, f32) -> (Rgb, f32)) {
        self.change(area, |x, y, under| {
            let (colour, opacity) = layer(x, y);
            under.mix(colour, opacity)
        });
    }

    /// The same, and how opaque the layer is at each drawn pixel.
    pub fn lay(&mut self, area: Area, layer: impl Fn(f32, f32) -> (Rgb, f32)) -> Vec<f32> {
        let mut mask = vec![0.0; self.side * self.side];
        let pixel = self.pixel();
        for row in self.span(area.top, area.bottom) {
            for column in self.span(area.left, area.right) {
                let at = row * self.side + column;
                let place = |i: usize| (i as f32 + 0.5) * pixel;
                let (colour, opacity) = layer(place(column), place(row));
                self.pixels[at] = self.pixels[at].mix(colour, opacity);
                mask[at] = opacity;
            }
        }
        mask
    }

    /// Changes every place of `area`, given what is there.
    pub fn change(&mut self, area: Area, change: impl Fn(f32, f32, Rgb) -> Rgb) {
        let pixel = self.pixel();
        let (columns, rows) = (self.span(area.left, area.right), self.span(area.top, area.bottom));
        for row in rows {
            let y = (row as f32 + 0.5) * pixel;
            for column in columns.clone() {
                let here = &mut self.pixels[row * self.side + column];
                *here = change((column as f32 + 0.5) * pixel, y, *here);
            }
        }
    }

    /// The drawn pixels between two places, as far as they lie on the canvas.
    fn span(&self, from: f32, to: f32) -> std::ops::Range<usize> {
        let side = self.side as f32;
        // Casting clamps at zero.
        (from * side).floor() as usize..((to * side).ceil() as usize).min(self.side)
    }

    /// A round spot, opaque in the middle; `soft` is how much of its radius the edge takes, 0..1.
    pub fn spot(
        &mut self,
        (cx, cy): (f32, f32),
        radius: f32,
        soft: f32,
        colour: Rgb,
        opacity: f32,
    ) {
        let inner = radius * (1.0 - soft) - self.pixel();
        self.blend(Area::around(cx, cy, radius, radius), |x, y| {
            let (dx, dy) = (x - cx, y - cy);
            (colour, opacity * smooth(radius, inner, (dx * dx + dy * dy).sqrt()))
        });
    }

    /// The finished picture, row by row, three bytes (red, green, blue) a pixel.
    pub fn bytes(&self) -> Vec<u8> {
        let mean = |block: [Rgb; FINER * FINER]| {
            let sum = block.into_iter().fold(Rgb::BLACK, |a, b| a + b);
            sum * (1.0 / (FINER * FINER) as f32)
        };
        self.blocks(&self.pixels).flat_map(|block| mean(block).bytes()).collect()
    }

    /// A drawn mask (0..1 for each drawn pixel) at the size of the finished picture.
    pub fn mask_bytes(&self, mask: &[f32]) -> Vec<u8> {
        let mean = |block: [f32; FINER * FINER]| {
            block.iter().sum::<f32>() / (FINER * FINER) as f32 * 255.0 + 0.5
        };
        self.blocks(mask).map(|block| mean(block) as u8).collect()
    }

    /// The drawn values that make up each finished pixel.
    fn blocks<'a, T: Copy>(
        &self,
        drawn: &'a [T],
    ) -> impl Iterator<Item = [T; FINER * FINER]> + use<'a, T> {
        let (side, finished) = (self.side, self.side / FINER);
        (0..finished * finished).map(move |i| {
            let at = i / finished * FINER * side + i % finished * FINER;
            std::array::from_fn(|k| drawn[at + k / FINER * side + k % FINER])
        })
    }

    /// A mask of the canvas's size: the value of `cover` at each drawn pixel of `area`, else 0.
    pub fn mask(&self, area: Area, cover: impl Fn(f32, f32) -> f32) -> Vec<f32> {
        let mut mask = vec![0.0; self.side * self.side];
        let pixel = self.pixel();
        for row in self.span(area.top, area.bottom) {
            for column in self.span(area.left, area.right) {
                let (x, y) = ((column as f32 + 0.5) * pixel, (row as f32 + 0.5) * pixel);
                mask[row * self.side + column] = cover(x, y);
            }
        }
        mask
    }

    /// Lays `colour` over the places of a mask, `strength` times as opaque.
    pub fn cover(&mut self, mask: &[f32], colour: Rgb, strength: f32) {
        for (pixel, cover) in self.pixels.iter_mut().zip(mask) {
            *pixel = pixel.mix(colour, strength * cover);
        }
    }

    /// Blurs a mask of this canvas, about `radius` wide: three box blurs, nearly a bell.
    pub fn blur(&self, mask: &mut [f32], radius: f32) {
        let reach = ((radius * self.side as f32) as usize).max(1);
        let mut line = vec![0.0; self.side];
        for _ in 0..3 {
            for row in mask.chunks_exact_mut(self.side) {
                blur_line(row, &mut line, reach);
            }
            blur_columns(mask, self.side, reach);
        }
    }
}

/// Replaces every value by the mean of its neighbours up to `reach` away; beyond the ends is
/// nothing. `line` is room for a copy.
fn blur_line(values: &mut [f32], line: &mut [f32], reach: usize) {
    line.copy_from_slice(values);
    let width = (2 * reach + 1) as f32;
    let mut sum: f32 = line.iter().take(reach).sum();
    for (i, value) in values.iter_mut().enumerate() {
        sum += line.get(i + reach).unwrap_or(&0.0);
        // A running sum can fall a hair below zero.
        *value = (sum / width).max(0.0);
        sum -= i.checked_sub(reach).map_or(0.0, |first| line[first]);
    }
}

/// The same for all columns of a mask at once, row by row.
fn blur_columns(mask: &mut [f32], side: usize, reach: usize) {
    let copy = mask.to_vec();
    let width = (2 * reach + 1) as f32;
    let mut sums = vec![0.0; side];
    let rows: Vec<&[f32]> = copy.chunks_exact(side).collect();
    let add = |sums: &mut [f32], row: Option<&&[f32]>, sign: f32| {
        let Some(row) = row else { return };
        sums.iter_mut().zip(*row).for_each(|(sum, value)| *sum += sign * value);
    };
    rows.iter().take(reach).for_each(|row| add(&mut sums, Some(row), 1.0));
    for (i, blurred) in mask.chunks_exact_mut(side).enumerate() {
        add(&mut sums, rows.get(i + reach), 1.0);
        blurred.iter_mut().zip(&sums).for_each(|(value, sum)| *value = (sum / width).max(0.0));
        add(&mut sums, i.checked_sub(reach).and_then(|first| rows.get(first)), -1.0);
    }
}

/// A rectangle of the canvas.
#[derive(Clone, Copy)]
pub(crate) struct Area {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Area {
    pub const ALL: Self = Self { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 };

    /// The rectangle that reaches `rx` and `ry` to each side of a place.
    pub fn around(x: f32, y: f32, rx: f32, ry: f32) -> Self {
        Self { left: x - rx, top: y - ry, right: x + rx, bottom: y + ry }
    }

    /// The rectangle moved to the right and down.
    pub fn moved(self, dx: f32, dy: f32) -> Self {
        let Self { left, top, right, bottom } = self;
        Self { left: left + dx, top: top + dy, right: right + dx, bottom: bottom + dy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::rgb;

    #[test]
    fn drawn_pixels_are_averaged() {
        let mut canvas = Canvas::new(2);
        let right = Area { left: 0.75, ..Area::ALL };
        canvas.blend(right, |_, _| (Rgb::WHITE, 1.0));
        assert_eq!(canvas.bytes(), [0, 0, 0, 128, 128, 128, 0, 0, 0, 128, 128, 128]);
    }

    #[test]
    fn areas_beyond_the_canvas_are_cut_off() {
        let mut canvas = Canvas::new(4);
        canvas.spot((1.2, -0.1), 0.05, 0.5, Rgb::WHITE, 1.0);
        assert!(canvas.bytes().iter().all(|&byte| byte == 0));
        canvas.spot((0.0, 0.0), 3.0, 0.0, rgb(0x0a0b0c), 1.0);
        assert_eq!(canvas.bytes()[45..], [10, 11, 12]);
    }

    #[test]
    fn a_blur_keeps_the_sum_and_spreads() {
        let canvas = Canvas::new(32);
        let mut mask = canvas.mask(Area::around(0.5, 0.5, 0.05, 0.05), |_, _| 1.0);
        let before: f32 = mask.iter().sum();
        canvas.blur(&mut mask, 0.05);
        let after: f32 = mask.iter().sum();
        assert!((before - after).abs() < 1e-3 * before, "{before} {after}");
        assert!(mask.iter().all(|&value| (0.0..0.9).contains(&value)));
    }
}
