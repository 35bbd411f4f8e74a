//! The crate as its users see it.

mod golden;

use std::path::{Path, PathBuf};

/// A file of known numbers, as `fixtures/golden/README.md` describes them.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name)
}
