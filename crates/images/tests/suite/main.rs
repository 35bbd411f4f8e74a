//! Photos, folders and pictures through the public interface.

mod damage;
mod folder;
mod masks;
mod photos;
mod png_file;
mod refusals;
mod resize;

use std::path::PathBuf;

/// A file in `tests/fixtures`.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}
