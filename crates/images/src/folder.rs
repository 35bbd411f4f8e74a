//! All photos of a folder.

use std::cmp::Ordering;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use crate::error::{Error, Result};
use crate::limits::{MAX_FOLDER_PHOTOS, MAX_FOLDER_PIXELS};
use crate::mask::{is_mask, mask_path};
use crate::photo::{Content, HEAD, recognise};
use crate::{Picture, file, read_photo};

/// The photos of a folder, and what else lies in it.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The photos, at least one, in the order of their names.
    pub photos: Vec<(PathBuf, Picture)>,
    /// What was passed over, in the order of the names, each with the reason in a few words.
    pub skipped: Vec<(PathBuf, String)>,
}

/// Reads all photos of a folder, or the one photo if `path` is a file.
///
/// The photos come in the order of their names, in which numbers count as numbers: `2.jpg` before
/// `10.jpg`. Hidden files, folders and files that are no pictures (`notes.txt`, `Thumbs.db`) are
/// passed over and reported, as are masks (see [`read_mask`](crate::read_mask)). What is a picture by its content or by its name must be readable: a
/// damaged photo, or one in a format that is not read, is an error, so that none is missed unnoticed.
///
/// # Errors
///
/// If the folder does not exist or may not be read, is empty ([`Error::EmptyFolder`]) or holds no
/// photo ([`Error::NoPhotos`]), or a mask without its photo; if a photo cannot be read (see [`read_photo`]); or if there are more
/// than [`crate::limits`] allow.
pub fn read_folder(path: impl AsRef<Path>) -> Result<Folder> {
    let path = path.as_ref();
    if fs::metadata(path).map_err(Error::read(path))?.is_file() {
        let photo = (path.to_owned(), read_photo(path)?);
        return Ok(Folder { photos: vec![photo], skipped: Vec::new() });
    }
    let (photos, skipped) = sort_out(path)?;
    if photos.len() > MAX_FOLDER_PHOTOS {
        return Err(Error::TooManyPhotos { path: path.to_owned(), count: photos.len() });
    }
    Ok(Folder { photos: read_all(path, photos)?, skipped })
}

/// The files of a folder that are or should be photos, in the order of their names, as
/// [`read_folder`] finds them; there may be none.
///
/// # Errors
///
/// If the folder does not exist or may not be read.
pub fn list_photos(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for path in sorted_paths(folder.as_ref())? {
        if reason_to_skip(&path)?.is_none() {
            photos.push(path);
        }
    }
    Ok(photos)
}

/// What was passed over, and why.
type Skipped = (PathBuf, String);

/// The files of a folder that are or should be photos, and the others.
fn sort_out(folder: &Path) -> Result<(Vec<PathBuf>, Vec<Skipped>)> {
    let paths = sorted_paths(folder)?;
    if paths.is_empty() {
        return Err(Error::EmptyFolder { path: folder.to_owned() });
    }
    let mut photos = Vec::new();
    let mut skipped = Vec::new();
    let mut masks = Vec::new();
    for path in paths {
        match reason_to_skip(&path)? {
            Some(reason) => skipped.push((path, reason.to_owned())),
            None if is_mask(&path) => masks.push(path),
            None => photos.push(path),
        }
    }
    if let Some(path) = masks.iter().find(|mask| !photos.iter().any(|p| mask_path(p) == **mask)) {
        return Err(Error::MaskWithoutPhoto { path: path.clone() });
    }
    skipped.extend(masks.into_iter().map(|path| (path, "a mask".to_owned())));
    if photos.is_empty() {
        return Err(Error::NoPhotos { path: folder.to_owned(), skipped });
    }
    Ok((photos, skipped))
}

fn sorted_paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::read(folder))?;
    let path = |entry: std::io::Result<fs::DirEntry>| entry.map(|entry| entry.path());
    let paths = entries.map(path).collect::<std::io::Result<Vec<_>>>();
    let mut paths = paths.map_err(Error::read(folder))?;
    paths.sort_by(|a, b| natural_order(&name(a), &name(b)).then_with(|| a.cmp(b)));
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Why an entry of a folder is no photo; `None` if it is one, or should be.
fn reason_to_skip(path: &Path) -> Result<Option<&'static str>> {
    if name(path).starts_with('.') {
        return Ok(Some("hidden"));
    }
    let metadata = fs::metadata(path).map_err(Error::read(path))?;
    if metadata.is_dir() {
        return Ok(Some("a folder"));
    }
    if !metadata.is_file() {
        return Ok(Some("not a regular file"));
    }
    if named_as_picture(path) {
        return Ok(None);
    }
    match recognise(&file::read_head(path, HEAD)?) {
        Content::Photo(_) | Content::OtherPicture(_) => Ok(None),
        Content::Unknown => Ok(Some("not a picture")),
    }
}

fn named_as_picture(path: &Path) -> bool {
    const EXTENSIONS: [&str; 18] = [
        "jpg", "jpeg", "jpe", "jfif", "png", "webp", "heic", "heif", "avif", "gif", "bmp", "tif",
        "tiff", "jxl", "jp2", "dng", "cr2", "nef",
    ];
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}

fn read_all(folder: &Path, paths: Vec<PathBuf>) -> Result<Vec<(PathBuf, Picture)>> {
    let mut photos = Vec::with_capacity(paths.len());
    let mut pixels = 0;
    for path in paths {
        let picture = read_photo(&path)?;
        pixels += picture.width() as u64 * picture.height() as u64;
        if pixels > MAX_FOLDER_PIXELS {
            return Err(Error::FolderTooBig { path: folder.to_owned() });
        }
        photos.push((path, picture));
    }
    Ok(photos)
}

/// Compares names character by character, but runs of digits by the number that they write.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                number_order(&digits(&mut a), &digits(&mut b))
            }
            (None, None) => return Ordering::Equal,
            _ => a.next().cmp(&b.next()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits that come next, without leading zeros.
fn digits(chars: &mut Peekable<Chars>) -> String {
    while chars.next_if_eq(&'0').is_some() {}
    std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect()
}

/// A number of any length is larger if it has more digits, or the same number and larger ones.
fn number_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_number_them() {
        let mut names = ["b", "img10", "img2", "img02b", "", "img", "img9a", "2", "10", "1"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["", "1", "2", "10", "b", "img", "img2", "img02b", "img9a", "img10"]);
    }

    #[test]
    fn numbers_too_long_for_any_integer_are_compared() {
        let long = "1".repeat(50);
        assert_eq!(natural_order(&long, &format!("2{}", &long[1..])), Ordering::Less);
        assert_eq!(natural_order(&format!("00{long}"), &long), Ordering::Equal);
    }
}
