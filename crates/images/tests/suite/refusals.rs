//! What cannot be read is refused with a sentence that says what was found and what to do.

use std::fs;
use std::path::PathBuf;

use images::{Error, read_photo};

use crate::fixture;

/// A folder of files made for a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The error that reading `content` as a photo gives.
    #[track_caller]
    fn refused(&self, name: &str, content: &[u8]) -> Error {
        fs::write(self.path(name), content).unwrap();
        let error = read_photo(self.path(name)).unwrap_err();
        assert!(error.to_string().contains(name), "names the file: {error}");
        error
    }
}

#[track_caller]
fn assert_says(error: &Error, parts: &[&str]) {
    let sentence = error.to_string();
    for part in parts {
        assert!(sentence.contains(part), "`{part}` in: {sentence}");
    }
}

/// A PNG of one whole header, whatever size it claims, and no pixels.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    png(width, height, 2, &[])
}

/// A PNG of 8 bits with this header, palette if it is not empty, and no pixels.
fn png(width: u32, height: u32, colour_type: u8, palette: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, colour_type, 0, 0, 0]);
    let chunks = [(b"IHDR", &header[..]), (b"PLTE", palette), (b"IDAT", &[]), (b"IEND", &[])];
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks.into_iter().filter(|chunk| chunk.0 != b"PLTE" || !palette.is_empty())
    {
        png.extend((data.len() as u32).to_be_bytes());
        let checked = [name, data].concat();
        png.extend(&checked);
        png.extend(crc32(&checked).to_be_bytes());
    }
    png
}

/// The checksum of PNG (section 5.5), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(!0, byte)
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let files = Files::new();
    let error = files.refused("bomb.png", &png_claiming(60_000, 60_000));
    assert!(matches!(error, Error::TooManyPixels { width: 60_000, height: 60_000, .. }));
    assert_says(&error, &["60000x60000", "3600 megapixels", "64 megapixels"]);
    files.refused("bomb2.png", &png_claiming(u32::MAX >> 1, u32::MAX >> 1));

    let mut jpeg = fs::read(fixture("orientation-1.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let error = files.refused("bomb.jpg", &jpeg);
    assert!(matches!(error, Error::TooManyPixels { width: 65_535, .. }), "{error}");
}

#[test]
fn a_thumbnail_is_too_small() {
    let error = Files::new().refused("icon.png", &png_claiming(15, 600));
    assert!(matches!(error, Error::TooSmall { .. }));
    assert_says(&error, &["15x600", "16"]);
}

#[test]
fn a_photo_cut_anywhere_is_refused() {
    let files = Files::new();
    let whole = ["orientation-6.jpg", "progressive.jpg", "rgba.png", "animated.webp", "grey16.png"];
    for name in whole {
        let bytes = fs::read(fixture(name)).unwrap();
        for length in 12..bytes.len() - 1 {
            let error = files.refused(name, &bytes[..length]);
            assert!(matches!(error, Error::Truncated { .. }), "{name} of {length}: {error}");
        }
    }
}

#[test]
fn damage_inside_a_photo_is_reported() {
    let mut png = fs::read(fixture("rgba.png")).unwrap();
    let pixels = png.windows(4).position(|kind| kind == b"IDAT").unwrap();
    png[pixels + 10] ^= 0xff;
    let error = Files::new().refused("damaged.png", &png);
    assert!(matches!(error, Error::Undecodable { .. }));
    assert_says(&error, &["PNG", "save it again"]);
}

#[test]
fn damage_that_the_decoders_do_not_expect_is_found_first() {
    let files = Files::new();
    let error = files.refused("palette.png", &png(20, 20, 3, &[0; 28]));
    assert_says(&error, &["PNG", "palette"]);

    let mut webp = fs::read(fixture("animated-rgba.webp")).unwrap();
    let colours = webp.windows(4).position(|name| name == b"VP8 ").unwrap();
    webp[colours + 14] += 16;
    let error = files.refused("animated.webp", &webp);
    assert_says(&error, &["WebP", "transparency"]);
}

#[test]
fn other_formats_are_named() {
    let files = Files::new();
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\0meta";
    assert_says(&files.refused("a.jpg", heic), &["found HEIC", "Convert", "JPEG, PNG or WebP"]);
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf";
    assert_says(&files.refused("b.avif", avif), &["found AVIF", "Convert"]);
    assert_says(&files.refused("c.gif", b"GIF89a\x30\0\x20\0"), &["found GIF", "Save it as"]);
    assert_says(&files.refused("d.tif", b"II*\0\x08\0\0\0"), &["found TIFF"]);
    assert_says(&files.refused("e.jpg", b"<html>Not found</html>"), &["not a photo", "JPEG"]);
}

#[test]
fn an_empty_file_is_called_empty() {
    let error = Files::new().refused("photo.jpg", b"");
    assert!(matches!(error, Error::Empty { .. }), "{error}");
}

#[test]
fn a_missing_file_and_a_folder_are_told_apart() {
    let files = Files::new();
    let error = read_photo(files.path("gone.jpg")).unwrap_err();
    assert_says(&error, &["cannot read", "gone.jpg"]);
    assert_says(&read_photo(files.0.path()).unwrap_err(), &["it is a folder"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let error = read_photo("/dev/zero").unwrap_err();
    assert_says(&error, &["/dev/zero", "a device"]);
}
