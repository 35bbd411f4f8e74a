//! Pictures on disk, with how they were made inside.

use std::path::{Path, PathBuf};

use images::{Picture, write_png};
use personalize::{Adapter, FrozenWeights, generate::Job};
use serde_json::json;

use crate::{Result, VERSION};

/// How the pictures of a job were made.
pub struct Made<'a> {
    /// What was drawn.
    pub job: &'a Job,
    /// The adapter.
    pub adapter: &'a Adapter,
    /// Fingerprint of the base model.
    pub base_fingerprint: &'a str,
    /// How its weights were kept.
    pub frozen_weights: FrozenWeights,
}

/// Writes one picture with its generation parameters under the keyword `vico`.
pub fn write(path: &Path, picture: &Picture, made: &Made, seed: u64) -> Result<()> {
    let Made { job, adapter, base_fingerprint, frozen_weights } = made;
    let mut job = json!(job);
    job["seed"] = json!(seed);
    job["count"] = json!(1);
    let parameters = json!({
        "version": VERSION,
        "job": job,
        "adapter": {
            "method": adapter.info.method,
            "step": adapter.info.step,
            "placeholder": adapter.info.placeholder,
            "init_word": adapter.info.init_word,
            "recipe": adapter.info.recipe,
        },
        "base": base_fingerprint,
        "frozen_weights": frozen_weights,
    });
    Ok(write_png(path, picture, &[("vico", parameters.to_string())])?)
}

/// The first `NAME-0000.png`, `NAME-0001.png`, .. that no file has yet.
pub fn free_number(folder: &Path, name: &str) -> usize {
    let taken = |i: &usize| numbered(folder, name, *i).exists();
    (0..).find(|i| !taken(i)).unwrap_or(0)
}

/// `NAME-0007.png` in a folder.
pub fn numbered(folder: &Path, name: &str, number: usize) -> PathBuf {
    folder.join(format!("{name}-{number:04}.png"))
}
