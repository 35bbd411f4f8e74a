//! Readers take paths: the bytes go through one file for each process.

use std::{fs, path::PathBuf, process};

/// Writes the bytes to a file with a name that ends so.
pub fn file(bytes: &[u8], end: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("vico-fuzz-{}{end}", process::id()));
    fs::write(&path, bytes).expect("a temporary file");
    path
}
