//! PNG files and the texts in them.

use std::fs;
use std::io::Write;

use images::{Error, Picture, read_png_text, write_png};
use png::text_metadata::{ITXtChunk, ZTXtChunk};

fn picture() -> Picture {
    Picture::from_rgb(20, 16, (0..20 * 16 * 3).map(|i| (i * 7) as u8).collect())
}

#[test]
fn texts_come_back_in_the_chunk_that_suits_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let text = [("prompt", "a photo of S* at the café\nsecond line"), ("note", "猫 — \t naïve")];
    write_png(&path, &picture(), &text).unwrap();
    let expected: Vec<_> = text.map(|(k, t)| (k.to_owned(), t.to_owned())).into();
    assert_eq!(read_png_text(&path).unwrap(), expected);
    let bytes = fs::read(&path).unwrap();
    let count = |kind: &[u8]| bytes.windows(4).filter(|window| *window == kind).count();
    assert_eq!((count(b"tEXt"), count(b"iTXt")), (1, 1));
}

#[test]
fn the_same_picture_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.png", "b.png"].map(|name| folder.path().join(name));
    for path in &paths {
        write_png(path, &picture(), &[("seed", "7")]).unwrap();
    }
    assert_eq!(fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
}

#[test]
fn texts_of_other_programs_are_read_packed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed.png");
    let long = "déjà vu ".repeat(5000);
    write_packed(&path, &long);
    let expected = [("latin", &long), ("unicode", &long)];
    assert_eq!(read_png_text(&path).unwrap(), expected.map(|(k, t)| (k.to_owned(), t.clone())));
}

/// A PNG with zTXt before and a packed iTXt behind its pixels.
fn write_packed(path: &std::path::Path, text: &str) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_text_chunk(&ZTXtChunk::new("latin", text)).unwrap();
    writer.write_image_data(&[0]).unwrap();
    let mut behind = ITXtChunk::new("unicode", text);
    behind.compressed = true;
    writer.write_text_chunk(&behind).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_text_that_unpacks_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.png");
    write_packed(&path, &"0".repeat(40 << 20));
    let error = read_png_text(&path).unwrap_err();
    assert!(matches!(error, Error::Undecodable { .. }), "{error}");
}

#[test]
fn what_a_png_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let long = "k".repeat(80);
    for keyword in ["", " lead", "two  spaces", "猫", "line\nfeed", &long] {
        let error = write_png(&path, &picture(), &[(keyword, "text")]).unwrap_err();
        assert!(matches!(error, Error::BadText { .. }), "{keyword}: {error}");
    }
    let error = write_png(&path, &picture(), &[("key", "nul \0")]).unwrap_err();
    assert!(error.to_string().contains("NUL"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere/picture.png");
    let error = write_png(&path, &picture(), &[("key", "text")]).unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("cannot write"), "{error}");
}

#[test]
fn only_pngs_have_texts() {
    let error = read_png_text(crate::fixture("grey.jpg")).unwrap_err().to_string();
    assert!(error.contains("grey.jpg") && error.contains("PNG"), "{error}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"\x89PNG\r\n\x1a\n").unwrap();
    assert!(read_png_text(file.path()).is_err());
}
