//! The bytes of a file that is not larger than any photo needs to be.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::MAX_FILE_BYTES;

/// All bytes of the photo at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The limit once more: the file may have grown since its length was asked.
    open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(Error::read(path))?;
    Ok(bytes)
}

/// The first `length` bytes of the file at `path`, fewer if it is shorter.
pub(crate) fn read_head(path: &Path, length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::read(path))?;
    file.take(length as u64).read_to_end(&mut bytes).map_err(Error::read(path))?;
    Ok(bytes)
}

/// Opening a pipe would wait for its other end, so what it is is asked before.
fn open(path: &Path) -> Result<File> {
    let metadata = fs::metadata(path).map_err(Error::read(path))?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a folder" } else { "a device or a pipe" };
        return Err(Error::WrongKind { path: path.to_owned(), found, expected: "a photo" });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(Error::FileTooBig { path: path.to_owned(), bytes: metadata.len() });
    }
    File::open(path).map_err(Error::read(path))
}
