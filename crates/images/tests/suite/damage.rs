//! No file, however damaged, makes the reader panic.

use std::fs;
use std::io::Write;
use std::path::Path;

use images::{read_photo, read_png_text};
use proptest::prelude::*;
use tempfile::NamedTempFile;

use crate::fixture;

/// One of every kind of decoder path.
const PHOTOS: [&str; 13] = [
    "orientation-6.jpg",
    "progressive.jpg",
    "ycck.jpg",
    "cmyk.jpg",
    "rgba16.png",
    "indexed-alpha.png",
    "animated.png",
    "orientation-7-behind-pixels.png",
    "orientation-5-lossy.webp",
    "rgba-lossy.webp",
    "rgba-lossless.webp",
    "animated.webp",
    "animated-rgba.webp",
];

/// Reads `bytes` as a photo and as a PNG with texts; that it returns is what is tested.
fn read(bytes: &[u8]) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let path: &Path = file.path();
    let _ = read_photo(path);
    let _ = read_png_text(path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_behind_a_signature_do_not_panic(
        signature in prop::sample::select(vec![
            &b""[..],
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            b"RIFF\xf0\0\0\0WEBPVP8 ",
            b"RIFF\xf0\0\0\0WEBPVP8L",
            b"RIFF\xf0\0\0\0WEBPVP8X",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        read(&[signature, &bytes].concat());
    }

    #[test]
    fn flipped_and_missing_bytes_do_not_panic(
        name in prop::sample::select(&PHOTOS[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = fs::read(fixture(name)).unwrap();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(&bytes);
    }
}
