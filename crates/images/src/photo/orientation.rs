//! Which way up a photo is.

use std::borrow::Cow;

use image::ImageDecoder;
use image::metadata::Orientation;

use super::chunks::{self, Chunk};
use super::format::Format;

/// The orientation that the EXIF data of a photo ask for (EXIF 2.3, tag 0x0112); none if it has no
/// such data, or none that can be understood.
///
/// `file` is the whole file. A JPEG's data are asked of its decoder. Those of the other formats are
/// looked for here: the decoder of PNG finds them only if they precede the pixels, but ExifTool
/// puts them behind.
pub(crate) fn of(format: Format, file: &[u8], decoder: &mut impl ImageDecoder) -> Orientation {
    let exif = match format {
        Format::Jpeg => decoder.exif_metadata().ok().flatten().map(Cow::Owned),
        Format::Png => chunks::png(file).find(is(b"eXIf")).map(|(_, data)| Cow::Borrowed(data)),
        Format::WebP => chunks::webp(file).find(is(b"EXIF")).map(|(_, data)| Cow::Borrowed(data)),
    };
    let exif = exif.unwrap_or_default();
    // Some programs begin the data in a WebP or PNG as they do in a JPEG.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
    Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms)
}

fn is(wanted: &[u8; 4]) -> impl Fn(&Chunk) -> bool {
    move |(name, _)| name == wanted
}
