//! The crate as its users see it.

mod allocation;
mod atomic;
mod build;
mod checkpoints;
mod damage;
mod golden;
mod hostile;
mod opening;
mod safetensors;
mod torch;

use std::fs;
use std::path::{Path, PathBuf};

use formats::{Result, TensorFile};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: allocation::Counting = allocation::Counting;

/// A file of known numbers, as `fixtures/golden/README.md` describes them; from the folder that
/// `VICO_GOLDEN_DIR` names, if it is set.
fn golden(name: &str) -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    std::env::var_os("VICO_GOLDEN_DIR").map_or_else(own, PathBuf::from).join(name)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Opens a file of these bytes. It can be read after its folder is gone, as it is mapped.
fn open(bytes: &[u8]) -> Result<TensorFile> {
    let folder = folder();
    let path = folder.path().join("weights");
    fs::write(&path, bytes).expect("a temporary file");
    TensorFile::open(path)
}

/// The sentence with which a file of these bytes is refused.
#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Ok(file) => panic!("opened, with {:?}", file.names().collect::<Vec<_>>()),
        Err(error) => error.to_string(),
    }
}
