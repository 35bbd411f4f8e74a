//! Folders of photos.

use std::fs;
use std::path::Path;

use images::{Error, read_folder};
use tempfile::TempDir;

use crate::fixture;

/// A folder with `photos`, copies of one PNG, and `others`, files with this content.
fn folder(photos: &[&str], others: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in photos {
        fs::copy(fixture("rgba.png"), folder.path().join(name)).unwrap();
    }
    for (name, content) in others {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn names<T>(entries: &[(std::path::PathBuf, T)]) -> Vec<&str> {
    entries.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn photos_come_in_the_order_of_their_numbers() {
    let folder = folder(&["10.png", "9.png", "b.PNG", "a", "1.png"], &[]);
    let found = read_folder(folder.path()).unwrap();
    assert_eq!(names(&found.photos), ["1.png", "9.png", "10.png", "a", "b.PNG"]);
    assert!(found.skipped.is_empty());
}

#[test]
fn what_is_no_photo_is_skipped_with_a_reason() {
    let others: [(&str, &[u8]); 4] = [
        ("notes.txt", b"seven photos"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0"),
        (".DS_Store", b""),
        ("empty", b""),
    ];
    let folder = folder(&["photo.png"], &others);
    fs::create_dir(folder.path().join("more.png")).unwrap();
    let found = read_folder(folder.path()).unwrap();
    assert_eq!(names(&found.photos), ["photo.png"]);
    let reasons: Vec<_> = found.skipped.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(names(&found.skipped), [".DS_Store", "Thumbs.db", "empty", "more.png", "notes.txt"]);
    assert_eq!(reasons, ["hidden", "not a picture", "not a picture", "a folder", "not a picture"]);
}

#[test]
fn a_photo_that_cannot_be_read_is_not_skipped() {
    let broken: [(&str, &[u8]); 4] = [
        ("by name.jpg", b"<html>Not found</html>"),
        ("by content", b"\x89PNG\r\n\x1a\n"),
        ("in another format", b"GIF89a\x30\0\x20\0"),
        ("empty.jpeg", b""),
    ];
    for other in broken {
        let folder = folder(&["photo.png"], &[other]);
        let error = read_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(other.0), "{error}");
    }
}

#[test]
fn a_folder_without_photos_is_an_error() {
    let empty = folder(&[], &[]);
    let error = read_folder(empty.path()).unwrap_err();
    assert!(matches!(error, Error::EmptyFolder { .. }), "{error}");

    let files: Vec<_> = (0..7).map(|i| (format!("note {i}.txt"), b"text")).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, c)| (n.as_str(), &c[..])).collect();
    let notes = folder(&[], &files);
    let error = read_folder(notes.path()).unwrap_err();
    assert!(matches!(error, Error::NoPhotos { .. }));
    let sentence = error.to_string();
    assert!(sentence.contains("note 0.txt, not a picture;"), "{sentence}");
    assert!(sentence.contains("and 2 more"), "{sentence}");
}

#[test]
fn a_missing_folder_is_named() {
    let error = read_folder("/nowhere/photos").unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    assert!(error.to_string().contains("/nowhere/photos"), "{error}");
}

#[test]
fn one_photo_is_a_folder_of_one() {
    let found = read_folder(fixture("cmyk.jpg")).unwrap();
    assert_eq!(names(&found.photos), ["cmyk.jpg"]);
    assert!(read_folder(fixture("make.py")).is_err(), "a file that is no photo");
}

#[test]
fn too_many_photos_are_counted_not_read() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..=images::limits::MAX_FOLDER_PHOTOS {
        fs::write(folder.path().join(format!("{number}.jpg")), "").unwrap();
    }
    let error = read_folder(folder.path()).unwrap_err();
    assert!(matches!(error, Error::TooManyPhotos { count: 1001, .. }), "{error}");
}

/// Rights do not bind the superuser, who may well run the tests in a container.
#[cfg(unix)]
#[test]
fn an_unreadable_folder_or_photo_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let close = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    let folder = folder(&["photo.png"], &[]);
    let photo = folder.path().join("photo.png");
    close(&photo);
    if fs::read(&photo).is_ok() {
        return;
    }
    let error = read_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("photo.png") && error.contains("ermission denied"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_broken_link_is_not_skipped() {
    let folder = folder(&["photo.png"], &[]);
    std::os::unix::fs::symlink("gone.png", folder.path().join("link.png")).unwrap();
    let error = read_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("link.png"), "{error}");
}
