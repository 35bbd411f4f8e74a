//! Photos read from files.

mod chunks;
mod format;
mod jpeg;
mod orientation;

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::{Error, Result};
use crate::limits::{MAX_DECODER_BYTES, MAX_PIXELS, MIN_SIDE};
use crate::{Picture, file};
pub(crate) use format::{Content, Format, HEAD, recognise};

/// Reads a JPEG, PNG or WebP photo, told by its content, whatever the file's name.
///
/// The picture comes upright (the EXIF orientation is applied), in 8-bit RGB, whatever the file
/// holds: grey is spread to three channels, 16 bits are rounded to 8, CMYK and YCCK JPEGs are
/// converted (their values taken as inverted, as Adobe writes them, and without a profile), and
/// transparency is laid on white. Of an animation the first frame is read; of an animated PNG the
/// picture that viewers without animations show. Colour profiles are not applied.
///
/// # Errors
///
/// If there is no such file or it may not be read ([`Error::Read`]), if it is a folder or a device
/// ([`Error::WrongKind`]), empty, or in another format; if it is cut short or damaged; or if it is
/// larger or smaller than [`crate::limits`] say, which is found out before it is decoded.
pub fn read_photo(path: impl AsRef<Path>) -> Result<Picture> {
    let path = path.as_ref();
    let bytes = file::read(path)?;
    let format = photo_format(path, &bytes)?;
    if !is_complete(format, &bytes) {
        return Err(Error::Truncated { path: path.to_owned(), format: format.name() });
    }
    if let Some(fault) = fault(format, &bytes) {
        return Err(Error::undecodable(path, format, fault));
    }
    decode(&bytes, format, path)
}

/// The format of a photo that begins with `head`, an error for anything else.
fn photo_format(path: &Path, head: &[u8]) -> Result<Format> {
    let path = path.to_owned();
    match recognise(&head[..head.len().min(HEAD)]) {
        Content::Photo(format) => Ok(format),
        Content::OtherPicture(name) => Err(Error::WrongFormat { path, found: name.to_owned() }),
        Content::Unknown if head.is_empty() => Err(Error::Empty { path }),
        Content::Unknown => Err(Error::WrongFormat { path, found: "no known format".to_owned() }),
    }
}

/// Whether the file goes on to the end that its format prescribes. Found out beforehand, since the
/// decoders fill what is missing with grey, or believe lengths that the file does not have.
fn is_complete(format: Format, bytes: &[u8]) -> bool {
    match format {
        Format::Jpeg => jpeg::is_complete(bytes),
        Format::Png => chunks::png_is_complete(bytes),
        Format::WebP => chunks::webp_is_complete(bytes),
    }
}

/// Damage that a decoder takes for granted not to be there.
fn fault(format: Format, bytes: &[u8]) -> Option<&'static str> {
    match format {
        Format::Jpeg => None,
        Format::Png => chunks::png_fault(bytes),
        Format::WebP => chunks::webp_fault(bytes),
    }
}

fn decode(bytes: &[u8], format: Format, path: &Path) -> Result<Picture> {
    let wrong = |error: ImageError| Error::undecodable(path, format, error);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format(format));
    reader.limits(limits);

    let mut decoder = reader.into_decoder().map_err(wrong)?;
    let (width, height) = decoder.dimensions();
    check_size(path, width, height)?;
    let orientation = orientation::of(format, bytes, &mut decoder);
    let image = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    Ok(upright_rgb(image, orientation))
}

fn image_format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::WebP => ImageFormat::WebP,
    }
}

fn check_size(path: &Path, width: u32, height: u32) -> Result<()> {
    let path = path.to_owned();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        Err(Error::TooManyPixels { path, width, height })
    } else if width.min(height) < MIN_SIDE {
        Err(Error::TooSmall { path, width, height })
    } else {
        Ok(())
    }
}

fn upright_rgb(image: DynamicImage, orientation: Orientation) -> Picture {
    let mut image = DynamicImage::ImageRgb8(on_white(image));
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    Picture::from_rgb(width, height, image.into_rgb8().into_raw())
}

/// The colours as 8-bit RGB, transparent parts on white.
fn on_white(image: DynamicImage) -> image::RgbImage {
    let colour = image.color();
    if !colour.has_alpha() {
        return image.into_rgb8();
    }
    let (width, height) = (image.width(), image.height());
    let rgb = if colour.bytes_per_pixel() > colour.channel_count() {
        let rgba = image.into_rgba16().into_raw();
        rgba.as_chunks::<4>().0.iter().flat_map(on_white_16).collect()
    } else {
        let rgba = image.into_rgba8().into_raw();
        rgba.as_chunks::<4>().0.iter().flat_map(on_white_8).collect()
    };
    image::RgbImage::from_raw(width, height, rgb).expect("three bytes a pixel")
}

fn on_white_8(&[r, g, b, alpha]: &[u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [r, g, b].map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// Blended at 16 bits, rounded once.
fn on_white_16(&[r, g, b, alpha]: &[u16; 4]) -> [u8; 3] {
    const FULL: u64 = 65_535;
    let alpha = u64::from(alpha);
    let byte = |c| (u64::from(c) * alpha + FULL * (FULL - alpha)) * 255;
    [r, g, b].map(|c| ((byte(c) + FULL * FULL / 2) / (FULL * FULL)) as u8)
}
