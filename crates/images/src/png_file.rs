//! Pictures as PNG files, with texts in them that say how they came about.

use std::io::{self, Cursor, Write};
use std::path::Path;

use png::{
    BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, EncodingError, Limits,
};

use crate::error::{Error, Result};
use crate::photo::Format;
use crate::{Picture, file};

/// Writes a picture as an 8-bit RGB PNG, with `text` as (keyword, text) pairs in it.
///
/// The file is complete or not there: it is written beside `path` and then renamed, and replaces
/// what was at `path`. The same picture and texts always give the same bytes. A text is stored as
/// tEXt if it is printable Latin-1, else as iTXt, in UTF-8; [`read_png_text`] reads both.
///
/// # Errors
///
/// [`Error::BadText`] if a keyword is not 1-79 printable Latin-1 characters without spaces at its
/// ends or in a row (PNG, section 11.3.3.2), or a text holds a NUL; [`Error::Write`] if the file
/// cannot be written.
pub fn write_png(
    path: impl AsRef<Path>,
    picture: &Picture,
    text: &[(impl AsRef<str>, impl AsRef<str>)],
) -> Result<()> {
    for (keyword, text) in text {
        check_text(keyword.as_ref(), text.as_ref())?;
    }
    formats::atomic_write(path, |file| encode(file, picture, text).map_err(io_error))?;
    Ok(())
}

fn encode(
    file: &mut dyn Write,
    picture: &Picture,
    text: &[(impl AsRef<str>, impl AsRef<str>)],
) -> std::result::Result<(), EncodingError> {
    let side = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
    let mut encoder = Encoder::new(file, side(picture.width())?, side(picture.height())?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    for (keyword, text) in text {
        let (keyword, text) = (keyword.as_ref().to_owned(), text.as_ref().to_owned());
        if is_printable_latin1(&text) {
            encoder.add_text_chunk(keyword, text)?;
        } else {
            encoder.add_itxt_chunk(keyword, text)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.rgb())?;
    writer.finish()
}

fn io_error(error: EncodingError) -> io::Error {
    match error {
        EncodingError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

fn check_text(keyword: &str, text: &str) -> Result<()> {
    let problem = if !(1..=79).contains(&keyword.chars().count()) {
        "a keyword has 1 to 79 characters"
    } else if !is_printable_latin1(keyword) || keyword.contains('\n') {
        "a keyword has only printable Latin-1 characters"
    } else if keyword.trim_matches(' ') != keyword || keyword.contains("  ") {
        "a keyword has no space at its ends and no two in a row"
    } else if text.contains('\0') {
        "a text has no NUL character"
    } else {
        return Ok(());
    };
    Err(Error::BadText { keyword: keyword.to_owned(), problem })
}

/// Whether tEXt may hold the text: printable characters of ISO 8859-1, and line feeds.
fn is_printable_latin1(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | ' '..='~' | '\u{a1}'..='\u{ff}'))
}

/// The most bytes of all texts of a PNG, packed.
const MAX_PACKED: usize = 64 << 20;

/// The most bytes of all packed texts of a PNG, unpacked.
const MAX_UNPACKED: usize = 64 << 20;

/// Reads the texts of a PNG as (keyword, text) pairs: those of its tEXt chunks, then zTXt, then
/// iTXt, each in the order of the file.
///
/// # Errors
///
/// If the file cannot be read, is not a PNG, is damaged, or holds more than 64 MiB of text.
pub fn read_png_text(path: impl AsRef<Path>) -> Result<Vec<(String, String)>> {
    let path = path.as_ref();
    let bytes = file::read(path)?;
    texts(&bytes).map_err(|error| Error::undecodable(path, Format::Png, error))
}

fn texts(bytes: &[u8]) -> std::result::Result<Vec<(String, String)>, DecodingError> {
    let limits = Limits { bytes: MAX_PACKED };
    let mut reader = Decoder::new_with_limits(Cursor::new(bytes), limits).read_info()?;
    reader.finish()?;
    let info = reader.info();

    let plain = info.uncompressed_latin1_text.iter();
    let mut texts: Vec<_> = plain.map(|c| (c.keyword.clone(), c.text.clone())).collect();
    let mut left = MAX_UNPACKED;
    for mut chunk in info.compressed_latin1_text.iter().cloned() {
        chunk.decompress_text_with_limit(left)?;
        let text = chunk.get_text()?;
        left = left.saturating_sub(text.len());
        texts.push((chunk.keyword, text));
    }
    for mut chunk in info.utf8_text.iter().cloned() {
        chunk.decompress_text_with_limit(left)?;
        let text = chunk.get_text()?;
        left = left.saturating_sub(text.len());
        texts.push((chunk.keyword, text));
    }
    Ok(texts)
}
