//! SHA-256 of whole files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The SHA-256 of a file's content, in lower-case hexadecimal.
///
/// # Errors
///
/// [`Error::Read`] if the file cannot be read.
pub fn sha256_of(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let digest = File::open(path).and_then(stream).map_err(Error::read(path))?;
    Ok(hexadecimal(digest.as_ref()))
}

fn stream(mut file: File) -> io::Result<impl AsRef<[u8]>> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finalize()),
            length => hasher.update(&block[..length]),
        }
    }
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
