//! Masks beside photos.

use std::fs;
use std::path::Path;

use images::{Error, Picture, mask_path, read_folder, read_mask, write_png};
use tempfile::TempDir;

const SIZE: (usize, usize) = (96, 64);

/// A folder with one photo and the mask `mask` beside it.
fn folder(mask: &Picture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let photo = Picture::filled(SIZE.0, SIZE.1, [9; 3]);
    let none = &[] as &[(&str, &str)];
    write_png(folder.path().join("toy.png"), &photo, none).unwrap();
    write_png(folder.path().join("toy.mask.png"), mask, none).unwrap();
    folder
}

fn read(folder: &TempDir) -> images::Result<Option<Picture>> {
    read_mask(folder.path().join("toy.png"), SIZE)
}

#[test]
fn a_mask_belongs_to_its_photo_and_is_none_itself() {
    let drawn = Picture::filled(SIZE.0, SIZE.1, [255; 3]);
    let folder = folder(&drawn);
    let found = read_folder(folder.path()).unwrap();
    assert_eq!(found.photos.len(), 1);
    assert_eq!(found.skipped[0].1, "a mask");
    assert_eq!(read(&folder).unwrap(), Some(drawn));
    fs::remove_file(mask_path(folder.path().join("toy.png"))).unwrap();
    assert_eq!(read(&folder).unwrap(), None);
}

#[test]
fn masks_that_say_nothing_are_refused() {
    let wrong = read(&folder(&Picture::filled(64, 96, [255; 3]))).unwrap_err();
    assert!(matches!(wrong, Error::MaskSize { .. }));
    let said = wrong.to_string();
    assert!(said.contains("64x96") && said.contains("96x64") && said.contains("toy.mask.png"));
    let empty = read(&folder(&Picture::filled(SIZE.0, SIZE.1, [90; 3]))).unwrap_err();
    assert!(
        matches!(&empty, Error::EmptyMask { path } if path.ends_with(Path::new("toy.mask.png")))
    );
}

#[test]
fn a_mask_without_its_photo_is_an_error() {
    let folder = folder(&Picture::filled(SIZE.0, SIZE.1, [255; 3]));
    fs::rename(folder.path().join("toy.png"), folder.path().join("toys.png")).unwrap();
    let error = read_folder(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::MaskWithoutPhoto { path } if path.ends_with("toy.mask.png")));
}
