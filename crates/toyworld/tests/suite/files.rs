//! Loading: what is missing or damaged is named, with the way to get it.

use std::fs;
use std::path::Path;

use image::{ImageFormat, RgbaImage};
use tempfile::TempDir;
use toyworld::{Error, World};

use crate::{OBJECTS, fixtures, world};

/// A copy of the fixtures to do damage to.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// What opening a folder says.
fn refusal(folder: &Path) -> (Error, String) {
    let error = World::of(folder, &OBJECTS).unwrap_err();
    let message = error.to_string();
    (error, message)
}

#[test]
fn objects_are_loaded_in_the_order_asked_for() {
    let world = world();
    let names: Vec<_> = world.objects().iter().map(toyworld::Object::name).collect();
    assert_eq!(names, OBJECTS);
    assert_eq!(world.trained().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(world.held_out().collect::<Vec<_>>(), [3]);
}

#[test]
fn the_whole_world_needs_more_than_the_fixtures() {
    let error = World::open(&fixtures()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
}

#[test]
fn a_missing_folder_comes_with_the_way_to_get_it() {
    let (error, message) = refusal(Path::new("no/such/folder"));
    assert!(matches!(error, Error::NoFolder { .. }));
    assert!(message.contains("no/such/folder"), "{message}");
    assert!(message.contains("npm pack @lobehub/fluent-emoji-3d@1.1.0"), "{message}");
}

#[test]
fn a_missing_picture_is_named() {
    let folder = copy();
    fs::remove_file(folder.path().join("1f989.webp")).unwrap();
    let (error, message) = refusal(folder.path());
    assert!(matches!(error, Error::Missing { .. }));
    for part in ["owl", "1f989.webp", folder.path().to_str().unwrap(), "npm pack"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_missing_accessory_is_named() {
    let folder = copy();
    fs::remove_file(folder.path().join("1f3a9.webp")).unwrap();
    let (_, message) = refusal(folder.path());
    assert!(message.contains("top hat") && message.contains("1f3a9.webp"), "{message}");
}

#[test]
fn a_picture_cut_short_is_damaged() {
    let folder = copy();
    let path = folder.path().join("1fad6.webp");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 10, 40, bytes.len() / 2] {
        fs::write(&path, &bytes[..length]).unwrap();
        let (error, message) = refusal(folder.path());
        assert!(matches!(error, Error::Damaged { .. }), "{length} bytes: {message}");
        assert!(message.contains("1fad6.webp"), "{message}");
    }
}

#[test]
fn another_format_is_damaged() {
    let folder = copy();
    let path = folder.path().join("1fad6.webp");
    RgbaImage::new(256, 256).save_with_format(&path, ImageFormat::Png).unwrap();
    assert!(matches!(refusal(folder.path()).0, Error::Damaged { .. }));
}

#[test]
fn another_size_is_refused() {
    let folder = copy();
    RgbaImage::new(128, 256).save(folder.path().join("1f436.webp")).unwrap();
    let (error, message) = refusal(folder.path());
    assert!(matches!(error, Error::WrongSize { width: 128, height: 256, .. }));
    assert!(message.contains("128x256") && message.contains("256x256"), "{message}");
}

#[test]
fn a_transparent_picture_is_refused() {
    let folder = copy();
    RgbaImage::new(256, 256).save(folder.path().join("1f436.webp")).unwrap();
    assert!(matches!(refusal(folder.path()).0, Error::Blank { .. }));
}

#[test]
fn an_unknown_object_is_named() {
    let error = World::of(&fixtures(), &["dog", "zeppelin"]).unwrap_err();
    assert!(error.to_string().contains("`zeppelin`"), "{error}");
}
