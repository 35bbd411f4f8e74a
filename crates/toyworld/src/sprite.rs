//! The picture of an object: read, trimmed, and sampled at any size and angle.

use std::fs;
use std::io::{Cursor, ErrorKind};
use std::path::Path;

use image::{ImageFormat, ImageReader, RgbaImage};

use crate::colour::{Rgb, mix};
use crate::{Error, Result};

/// The width and height of the package's pictures, in pixels.
pub(crate) const SIDE: u32 = 256;

/// A picture with transparency, without the empty border around it.
#[derive(Debug)]
pub(crate) struct Sprite {
    /// The picture, then always half as large, each with premultiplied bytes.
    levels: Vec<Level>,
    /// The corner and size of what is not transparent, in units of the file's side.
    left: f32,
    top: f32,
    width: f32,
    height: f32,
    /// How bright the picture is on the whole, 0..1.
    middle: f32,
}

impl Sprite {
    /// Reads the picture `code`.webp, which shows the `object`, from a folder.
    pub fn read(folder: &Path, code: &str, object: &str) -> Result<Self> {
        let file = format!("{code}.webp");
        let path = folder.join(&file);
        let bytes = fs::read(&path).map_err(|reason| match reason.kind() {
            ErrorKind::NotFound => {
                Error::Missing { folder: folder.to_owned(), file, object: object.to_owned() }
            }
            _ => Error::Read { path: path.clone(), reason },
        })?;
        let damaged = |reason| Error::Damaged { path: path.clone(), reason };
        let open = || ImageReader::with_format(Cursor::new(&bytes), ImageFormat::WebP);
        let (width, height) = open().into_dimensions().map_err(damaged)?;
        if (width, height) != (SIDE, SIDE) {
            return Err(Error::WrongSize { path, width, height });
        }
        let picture = open().decode().map_err(damaged)?.into_rgba8();
        Self::trimmed(&picture).ok_or(Error::Blank { path })
    }

    /// The part of a square picture that is not transparent, if there is one.
    pub fn trimmed(picture: &RgbaImage) -> Option<Self> {
        let opaque = || picture.enumerate_pixels().filter(|(_, _, pixel)| pixel[3] > 8);
        let (left, right) = ends(opaque().map(|(x, _, _)| x))?;
        let (top, bottom) = ends(opaque().map(|(_, y, _)| y))?;
        let mut level = Level::cut(picture, left..=right, top..=bottom);
        let middle = level.mean_luma();

        let mut levels = Vec::new();
        while level.width.min(level.height) > 2 {
            let next = level.halved();
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        let unit = |pixels: u32| pixels as f32 / picture.width() as f32;
        Some(Self {
            levels,
            left: unit(left),
            top: unit(top),
            width: unit(right - left + 1),
            height: unit(bottom - top + 1),
            middle,
        })
    }

    /// The width and height, the longer of them 1.
    pub fn size(&self) -> (f32, f32) {
        let longer = self.width.max(self.height);
        (self.width / longer, self.height / longer)
    }

    /// How bright the picture is on the whole, 0..1.
    pub fn middle(&self) -> f32 {
        self.middle
    }

    /// Where a place of the file (0..1 in both directions) lies from the sprite's middle, in units
    /// of the sprite's longer side.
    pub fn place(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let longer = self.width.max(self.height);
        let (cx, cy) = (self.left + self.width / 2.0, self.top + self.height / 2.0);
        ((x - cx) / longer, (y - cy) / longer)
    }

    /// How long a length of the file is, in units of the sprite's longer side.
    pub fn length(&self, length: f32) -> f32 {
        length / self.width.max(self.height)
    }

    /// The level to sample when the longer side is to be `pixels` long.
    pub fn level(&self, pixels: f32) -> usize {
        let longer = |level: &Level| level.width.max(level.height) as f32;
        let fine = |level: &&Level| longer(level) >= pixels * 0.8;
        self.levels.iter().take_while(fine).count().saturating_sub(1)
    }

    /// The level half as fine, if there is one: enough for shadows.
    pub fn coarser(&self, level: usize) -> usize {
        (level + 1).min(self.levels.len() - 1)
    }

    /// The colour and opacity (0..1) at a place given from the sprite's middle in units of its
    /// longer side.
    pub fn sample(&self, level: usize, x: f32, y: f32) -> (Rgb, f32) {
        let (width, height) = self.size();
        self.levels[level].sample(x / width + 0.5, y / height + 0.5)
    }
}

/// The least and the greatest.
fn ends(values: impl Iterator<Item = u32>) -> Option<(u32, u32)> {
    values.fold(None, |ends, v| {
        ends.map_or(Some((v, v)), |(a, b): (u32, u32)| Some((a.min(v), b.max(v))))
    })
}

/// One size of a sprite, four bytes a pixel: the colour times the opacity, and the opacity.
#[derive(Debug)]
struct Level {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
}

impl Level {
    fn cut(
        picture: &RgbaImage,
        columns: std::ops::RangeInclusive<u32>,
        rows: std::ops::RangeInclusive<u32>,
    ) -> Self {
        let premultiplied = |x, y| {
            let [r, g, b, a] = picture.get_pixel(x, y).0;
            let times = |part: u8| ((u16::from(part) * u16::from(a) + 127) / 255) as u8;
            [times(r), times(g), times(b), a]
        };
        let (width, height) = (columns.clone().count(), rows.clone().count());
        let pixels = rows.flat_map(|y| columns.clone().map(move |x| premultiplied(x, y)));
        Self { width, height, pixels: pixels.collect() }
    }

    /// Half as large in both directions, each pixel the mean of the area that it stands for.
    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mean = |x: usize, y: usize| {
            let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
            // An odd last row or column has transparency beside it.
            let corners = corners.map(|(dx, dy)| self.pixel(2 * x + dx, 2 * y + dy));
            std::array::from_fn(|i| {
                let sum: u16 = corners.iter().map(|pixel| u16::from(pixel[i])).sum();
                ((sum + 2) / 4) as u8
            })
        };
        let pixels = (0..width * height).map(|i| mean(i % width, i / width)).collect();
        Self { width, height, pixels }
    }

    /// The pixel, or transparency beyond the edges.
    fn pixel(&self, x: usize, y: usize) -> [u8; 4] {
        if x < self.width && y < self.height { self.pixels[y * self.width + x] } else { [0; 4] }
    }

    fn mean_luma(&self) -> f32 {
        let (mut light, mut opacity) = (0.0, 0.0);
        for &[r, g, b, a] in &self.pixels {
            light += Rgb([r, g, b].map(f32::from)).luma();
            opacity += f32::from(a);
        }
        light / opacity
    }

    /// The colour and opacity at a place of 0..1 in both directions, between the four pixels
    /// around it.
    fn sample(&self, x: f32, y: f32) -> (Rgb, f32) {
        let (x, y) = (x * self.width as f32 - 0.5, y * self.height as f32 - 0.5);
        if x <= -1.0 || y <= -1.0 || x >= self.width as f32 || y >= self.height as f32 {
            return (Rgb::BLACK, 0.0);
        }
        let (left, top) = (x.floor(), y.floor());
        let (tx, ty) = (x - left, y - top);
        // -1 wraps to beyond the last.
        let (i, j) = (left as isize as usize, top as isize as usize);
        let (i1, j1) = (i.wrapping_add(1), j.wrapping_add(1));
        let corners = [(i, j), (i1, j), (i, j1), (i1, j1)].map(|(x, y)| self.pixel(x, y));
        let part = |k: usize| {
            let [a, b, c, d] = corners.map(|pixel| f32::from(pixel[k]));
            mix(mix(a, b, tx), mix(c, d, tx), ty)
        };
        let opacity = part(3);
        if opacity <= 0.0 {
            return (Rgb::BLACK, 0.0);
        }
        (Rgb([0, 1, 2].map(|k| (part(k) / opacity).min(1.0))), opacity / 255.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A red rectangle of 64 x 32 pixels in a transparent picture.
    fn rectangle() -> Sprite {
        let inside = |x, y| (100..164).contains(&x) && (50..82).contains(&y);
        let colour = |x, y| if inside(x, y) { [255, 0, 0, 255] } else { [0, 0, 0, 0] };
        Sprite::trimmed(&RgbaImage::from_fn(256, 256, |x, y| image::Rgba(colour(x, y)))).unwrap()
    }

    #[test]
    fn the_empty_border_is_cut_off() {
        let sprite = rectangle();
        assert_eq!(sprite.size(), (1.0, 0.5));
        assert_eq!((sprite.levels[0].width, sprite.levels[0].height), (64, 32));
        let (x, y) = sprite.place((100.0 / 256.0, 50.0 / 256.0));
        assert!((x + 0.5).abs() < 1e-6 && (y + 0.25).abs() < 1e-6, "{x} {y}");
        assert_eq!(sprite.length(0.25), 1.0);
    }

    #[test]
    fn every_level_shows_the_same() {
        let sprite = rectangle();
        for level in 0..sprite.levels.len() - 1 {
            assert_eq!(sprite.sample(level, 0.1, 0.1), (rgb(), 1.0), "level {level}");
            assert_eq!(sprite.sample(level, 1.0, 0.1).1, 0.0);
        }
        let edge = sprite.sample(0, 0.5, 0.0);
        assert_eq!(edge, (rgb(), 0.5), "the edge keeps its colour and fades");

        fn rgb() -> Rgb {
            Rgb([1.0, 0.0, 0.0])
        }
    }

    #[test]
    fn smaller_drawings_take_coarser_levels() {
        let sprite = rectangle();
        assert_eq!([200.0, 60.0, 40.0, 35.0, 20.0].map(|p| sprite.level(p)), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_transparent_picture_is_no_sprite() {
        assert!(Sprite::trimmed(&RgbaImage::new(256, 256)).is_none());
    }
}
