//! Masks that are drawn by hand and lie beside their photos.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::{Picture, read_photo};

/// What stands in the place of a photo's extension in the name of its mask.
const EXTENSION: &str = "mask.png";

/// The grey from which on a pixel is white, 0 to 255.
const WHITE: u8 = 128;

/// Where the mask of a photo lies: `toy.mask.png` beside `toy.jpg`.
pub fn mask_path(photo: impl AsRef<Path>) -> PathBuf {
    photo.as_ref().with_extension(EXTENSION)
}

/// Whether a file is a mask by its name.
pub(crate) fn is_mask(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(EXTENSION).is_some_and(|photo| photo.len() > 1 && photo.ends_with('.'))
}

/// Reads the mask of a photo of `width` x `height` pixels, if there is one: a picture of the same
/// size, white on the object and black elsewhere.
///
/// # Errors
///
/// If it cannot be read (see [`read_photo`]), is of another size, or has no white.
pub fn read_mask(
    photo: impl AsRef<Path>,
    (width, height): (usize, usize),
) -> Result<Option<Picture>> {
    let path = mask_path(photo);
    if !path.exists() {
        return Ok(None);
    }
    let mask = read_photo(&path)?;
    let found = (mask.width(), mask.height());
    if found != (width, height) {
        return Err(Error::MaskSize { path, found, expected: (width, height) });
    }
    if !mask.rgb().as_chunks::<3>().0.iter().any(|pixel| pixel.iter().all(|&c| c >= WHITE)) {
        return Err(Error::EmptyMask { path });
    }
    Ok(Some(mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_named_after_its_photo() {
        assert_eq!(mask_path("a/toy.old.jpg"), Path::new("a/toy.old.mask.png"));
        for (name, expected) in
            [("a.mask.png", true), ("mask.png", false), (".mask.png", false), ("amask.png", false)]
        {
            assert_eq!(is_mask(Path::new(name)), expected, "{name}");
        }
    }
}
