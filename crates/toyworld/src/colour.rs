//! Colours as three numbers, and what is done with them.

use std::ops::{Add, Mul};

/// Red, green and blue in sRGB, each mostly in 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rgb(pub [f32; 3]);

/// A colour as it is written on web pages: 0xRRGGBB.
pub(crate) const fn rgb(hex: u32) -> Rgb {
    let [_, r, g, b] = hex.to_be_bytes();
    Rgb([r as f32 / 255.0, g as f32 / 255.0, b as f32 / 255.0])
}

impl Rgb {
    pub const WHITE: Self = Self([1.0; 3]);
    pub const BLACK: Self = Self([0.0; 3]);

    /// From this colour, at `t` 0, to the `other`, at `t` 1.
    pub fn mix(self, other: Self, t: f32) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + (other.0[i] - self.0[i]) * t))
    }

    /// Each part multiplied with that of `light`.
    pub fn under(self, light: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * light.0[i]))
    }

    /// How bright the colour looks, 0..1 (the weights of ITU-R BT.601).
    pub fn luma(self) -> f32 {
        0.299 * self.0[0] + 0.587 * self.0[1] + 0.114 * self.0[2]
    }

    /// The same light and shade in the colour `hue`: what is as bright as `middle` becomes `hue`,
    /// darker parts go to black and brighter ones to white.
    pub fn tinted(self, hue: Self, middle: f32) -> Self {
        let luma = self.luma();
        if luma < middle {
            Self::BLACK.mix(hue, luma / middle)
        } else {
            hue.mix(Self::WHITE, (luma - middle) / (1.0 - middle))
        }
    }

    /// The colour as three bytes, rounded.
    pub fn bytes(self) -> [u8; 3] {
        self.0.map(|part| (part * 255.0 + 0.5) as u8)
    }
}

impl Mul<f32> for Rgb {
    type Output = Self;

    fn mul(self, k: f32) -> Self {
        Self(self.0.map(|part| part * k))
    }
}

impl Add for Rgb {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

/// From `a`, at `t` 0, to `b`, at `t` 1.
pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 up to `low`, 1 from `high`, and a smooth curve between. `low` may be above `high`: then it
/// falls.
pub(crate) fn smooth(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_way_through_numbers() {
        assert_eq!(rgb(0x0180fe).bytes(), [1, 128, 254]);
        assert_eq!(Rgb([-3.0, 0.5, 7.0]).bytes(), [0, 128, 255], "clamped");
    }

    #[test]
    fn a_tint_keeps_black_white_and_the_order_of_shades() {
        let red = rgb(0xe02020);
        assert_eq!(Rgb::BLACK.tinted(red, 0.5), Rgb::BLACK);
        assert_eq!(Rgb::WHITE.tinted(red, 0.5).bytes(), [255; 3]);
        let shades = [0.1, 0.3, 0.5, 0.8].map(|l| Rgb([l; 3]).tinted(red, 0.5).luma());
        assert!(shades.is_sorted(), "{shades:?}");
    }

    #[test]
    fn smooth_rises_and_falls() {
        assert_eq!(
            [0.0, 1.0, 1.5, 2.0, 9.0].map(|x| smooth(1.0, 2.0, x)),
            [0.0, 0.0, 0.5, 1.0, 1.0]
        );
        assert_eq!(smooth(2.0, 1.0, 0.0), 1.0);
    }
}
