//! Pictures as JPEG, for pages that carry them.

use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use crate::Picture;

/// The bytes of a JPEG of a picture, with a quality from 1 to 100.
///
/// # Panics
///
/// If a side has more than 65535 pixels, which the format does not allow.
#[must_use]
pub fn jpeg(picture: &Picture, quality: u8) -> Vec<u8> {
    let side = |pixels: usize| u32::try_from(pixels).expect("a side that JPEG allows");
    let (width, height) = (side(picture.width()), side(picture.height()));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(picture.rgb(), width, height, ExtendedColorType::Rgb8)
        .expect("memory takes every picture that JPEG allows");
    bytes
}
