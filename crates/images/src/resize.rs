//! Pictures made larger or smaller.

use crate::Picture;

/// How the pixels of a resized picture are made up from those of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Linear interpolation, a triangle two pixels wide.
    Bilinear,
    /// Cubic convolution with a = -0.5 (Keys 1981), four pixels wide.
    Bicubic,
    /// A sinc windowed by a sinc (Duchon 1979), six pixels wide.
    Lanczos,
}

impl Filter {
    /// Half its width, in pixels.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// Its value at a distance from the middle.
    fn at(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            _ if x >= self.support() => 0.0,
            Self::Bilinear => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Self::Lanczos => sinc(x) * sinc(x / 3.0),
        }
    }
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { x.sin() / x }
}

/// Resizes a picture, antialiased, to the same bytes as Pillow's `Image.resize`.
///
/// When a side shrinks, the filter is widened by the same factor, so that every old pixel counts. A
/// side that keeps its length is left alone. The columns are resized first and then the rows, with
/// bytes in between, so that the order shows where a filter overshoots.
///
/// # Panics
///
/// If `width` or `height` is zero.
#[must_use]
pub fn resize(picture: &Picture, width: usize, height: usize, filter: Filter) -> Picture {
    let narrowed = if width == picture.width() {
        picture.clone()
    } else {
        across(picture, &Taps::all(picture.width(), width, filter))
    };
    if height == picture.height() {
        return narrowed;
    }
    down(&narrowed, &Taps::all(picture.height(), height, filter))
}

/// Resizes a picture so that it covers `width` x `height` pixels, and cuts the middle of that size
/// out of it. Nothing is distorted, by more than the rounding of one side to whole pixels.
///
/// # Panics
///
/// If `width` or `height` is zero.
#[must_use]
pub fn cover(picture: &Picture, width: usize, height: usize, filter: Filter) -> Picture {
    let share = |new: usize, old: usize| new as f64 / old as f64;
    let scale = share(width, picture.width()).max(share(height, picture.height()));
    let side = |old: usize, least: usize| ((old as f64 * scale).round() as usize).max(least);
    let (wide, high) = (side(picture.width(), width), side(picture.height(), height));
    let resized = resize(picture, wide, high, filter);
    crop(&resized, (wide - width) / 2, (high - height) / 2, width, height)
}

/// The part of a picture whose top left corner is column `left` of row `top`.
///
/// # Panics
///
/// If the part is empty or does not lie within the picture.
#[must_use]
pub fn crop(picture: &Picture, left: usize, top: usize, width: usize, height: usize) -> Picture {
    assert!(top + height <= picture.height(), "rows of {picture:?}");
    let part = |row: &[u8]| row[3 * left..3 * (left + width)].to_vec();
    let rows = picture.rows().skip(top).take(height);
    Picture::from_rgb(width, height, rows.flat_map(part).collect())
}

/// What a new pixel takes of the old ones along one side: from `first` on, in fixed point.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Binary places of a weight: sums of products with bytes stay within 32 bits, and have room for
/// overshooting (`PRECISION_BITS` of Pillow's `Resample.c`).
const PLACES: u32 = 32 - 8 - 2;

impl Taps {
    /// Those of all new pixels, as `precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow have
    /// them.
    fn all(old: usize, new: usize, filter: Filter) -> Vec<Self> {
        let scale = old as f64 / new as f64;
        (0..new).map(|i| Self::of((i as f64 + 0.5) * scale, scale.max(1.0), old, filter)).collect()
    }

    /// Those around `centre`, for a filter that is `wide` times as wide.
    fn of(centre: f64, wide: f64, old: usize, filter: Filter) -> Self {
        let support = filter.support() * wide;
        // Pillow's conversions to whole numbers cut the fraction off, as these do.
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(old);
        let inverse = 1.0 / wide;
        let value = |i: usize| filter.at((i as f64 - centre + 0.5) * inverse);
        let values: Vec<f64> = (first..end).map(value).collect();
        let sum: f64 = values.iter().sum();
        let fixed = |value: &f64| (value / sum * f64::from(1 << PLACES)).round() as i32;
        Self { first, weights: values.iter().map(fixed).collect() }
    }
}

/// The byte that a sum in fixed point stands for.
fn byte(sum: i32) -> u8 {
    (sum >> PLACES).clamp(0, 255) as u8
}

/// What a sum begins with so that it is rounded.
const HALF: i32 = 1 << (PLACES - 1);

fn across(picture: &Picture, taps: &[Taps]) -> Picture {
    let mut rgb = Vec::with_capacity(taps.len() * picture.height() * 3);
    for row in picture.rows() {
        for Taps { first, weights } in taps {
            let mut sums = [HALF; 3];
            let pixels = row[3 * first..].as_chunks::<3>().0;
            for (pixel, weight) in pixels.iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            rgb.extend(sums.map(byte));
        }
    }
    Picture::from_rgb(taps.len(), picture.height(), rgb)
}

fn down(picture: &Picture, taps: &[Taps]) -> Picture {
    let rows: Vec<&[u8]> = picture.rows().collect();
    let mut rgb = Vec::with_capacity(taps.len() * picture.width() * 3);
    for Taps { first, weights } in taps {
        let mut sums = vec![HALF; picture.width() * 3];
        for (row, weight) in rows[*first..].iter().zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(*row) {
                *sum += i32::from(value) * weight;
            }
        }
        rgb.extend(sums.into_iter().map(byte));
    }
    Picture::from_rgb(picture.width(), taps.len(), rgb)
}
