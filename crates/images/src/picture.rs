//! The picture that everything else in this crate reads, changes or writes.

use std::fmt;

/// An 8-bit RGB picture, upright, without transparency.
///
/// Colour values are taken as sRGB: colour profiles are not applied.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    /// A picture of `width` x `height` pixels from its bytes, row by row from the top, three bytes
    /// (red, green, blue) a pixel.
    ///
    /// # Panics
    ///
    /// If a side is zero, or `rgb` does not hold `width * height * 3` bytes.
    #[must_use]
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        assert!(width > 0 && height > 0, "a picture of {width}x{height} pixels has no pixels");
        assert_eq!(rgb.len(), width * height * 3, "bytes of a {width}x{height} RGB picture");
        Self { width, height, rgb }
    }

    /// A picture whose every pixel has one `colour` (red, green, blue).
    ///
    /// # Panics
    ///
    /// If a side is zero.
    #[must_use]
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self::from_rgb(width, height, colour.repeat(width * height))
    }

    /// A picture from numbers in -1..1, channels last: `[height, width, 3]`.
    ///
    /// Values outside -1..1 are clamped, not-a-number becomes 0. A value is mapped to 0..255 and
    /// rounded, halves to the even neighbour, in the order of operations that diffusers uses in
    /// `VaeImageProcessor` (`(x / 2 + 0.5).clamp(0, 1)`, then `(x * 255).round()`), so that the
    /// bytes agree with it.
    ///
    /// # Panics
    ///
    /// If a side is zero, or `unit` does not hold `height * width * 3` numbers.
    #[must_use]
    pub fn from_unit(unit: &[f32], width: usize, height: usize) -> Self {
        let byte = |&x: &f32| ((x / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
        Self::from_rgb(width, height, unit.iter().map(byte).collect())
    }

    /// The pixels as numbers in -1..1, channels last: `[height, width, 3]`; 0 becomes -1 and 255
    /// becomes 1 (`x / 127.5 - 1`).
    #[must_use]
    pub fn to_unit(&self) -> Vec<f32> {
        self.rgb.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0).collect()
    }

    /// The picture with left and right exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let rows = self.rgb.chunks_exact(3 * self.width);
        let rgb = rows.flat_map(|row| row.chunks_exact(3).rev().flatten()).copied().collect();
        Self::from_rgb(self.width, self.height, rgb)
    }

    /// The width in pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, row by row from the top, three (red, green, blue) a pixel.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The colour (red, green, blue) of the pixel in column `x` of row `y`, both from 0.
    ///
    /// # Panics
    ///
    /// If the pixel lies outside the picture.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        assert!(x < self.width && y < self.height, "no pixel ({x}, {y}) in {self:?}");
        let at = (y * self.width + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// The rows from the top, `width * 3` bytes each.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.rgb.chunks_exact(self.width * 3)
    }

    /// Lays `other` over this picture, its top left corner at column `x` of row `y`.
    ///
    /// # Panics
    ///
    /// If `other` does not fit there.
    pub(crate) fn paste(&mut self, other: &Picture, x: usize, y: usize) {
        let stride = self.width * 3;
        for (row, source) in other.rows().enumerate() {
            let at = (y + row) * stride + x * 3;
            self.rgb[at..at + source.len()].copy_from_slice(source);
        }
    }
}

/// Only the size: the bytes of a photo say nothing in a message.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_way_to_unit_range_and_back() {
        let bytes: Vec<u8> = (0..=255).flat_map(|b| [b, 255 - b, b / 2]).collect();
        let picture = Picture::from_rgb(16, 16, bytes);
        let unit = picture.to_unit();
        assert_eq!(Picture::from_unit(&unit, 16, 16), picture);
        assert_eq!(unit[..2], [-1.0, 1.0]);
    }

    #[test]
    fn unit_values_are_clamped_and_halves_rounded_to_even() {
        let unit = [-7.0, 1.5, f32::NAN, 0.0, f32::INFINITY, -1.0 + 5.0 / 255.0];
        // (0 / 2 + 0.5) * 255 is 127.5, whose even neighbour is 128; 2.5 becomes 2.
        assert_eq!(Picture::from_unit(&unit, 2, 1).rgb(), [0, 255, 0, 128, 255, 2]);
    }

    #[test]
    fn a_pixel_is_found_by_column_then_row() {
        let mut picture = Picture::filled(4, 3, [9, 9, 9]);
        picture.paste(&Picture::filled(2, 1, [1, 2, 3]), 2, 1);
        assert_eq!(picture.pixel(2, 1), [1, 2, 3]);
        assert_eq!(picture.pixel(1, 1), [9, 9, 9]);
        assert_eq!(picture.pixel(2, 2), [9, 9, 9]);
    }

    #[test]
    #[should_panic(expected = "bytes of a 2x2 RGB picture")]
    fn too_few_bytes_are_a_fault_of_the_program() {
        let _ = Picture::from_rgb(2, 2, vec![0; 11]);
    }
}
