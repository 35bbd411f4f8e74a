//! Pictures on disk, with how they were made inside.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use images::{Picture, write_png};
use personalize::{Adapter, FrozenWeights, generate::Job};
use serde_json::json;

use crate::{
    Result, VERSION,
    generate::Options,
    infotext::{self, Infotext, rng_there, sampler_there},
};

/// The keyword of vico's own text.
pub const KEYWORD: &str = "vico";

/// How the pictures of a job were made.
pub struct Made<'a> {
    /// What was drawn.
    pub job: &'a Job,
    /// The adapter, if there is one.
    pub adapter: Option<&'a Adapter>,
    /// Name of the base model.
    pub base_name: &'a str,
    /// Its fingerprint.
    pub base_fingerprint: &'a str,
    /// How its weights were kept.
    pub frozen_weights: FrozenWeights,
    /// What was typed.
    pub request: &'a Options,
    /// SHA-256 of the files that were read.
    pub files: &'a BTreeMap<PathBuf, String>,
}

/// Writes one picture of a job, the `index`th, with its settings under the
/// keywords `parameters` and `vico`.
pub fn write(path: &Path, picture: &Picture, made: &Made, index: usize, seed: u64) -> Result<()> {
    let Made { job, adapter, base_fingerprint, frozen_weights, request, files, .. } = made;
    let infotext = infotext(made, seed).to_string();
    let mut job = json!(job);
    job["seed"] = json!(seed);
    job["count"] = json!(1);
    let request = Options {
        seed,
        count: Some(1),
        batch: 1,
        init_row: request.init_row + index,
        ..(*request).clone()
    };
    let parameters = json!({
        "version": VERSION,
        "job": job,
        "adapter": adapter.map(|adapter| json!({
            "method": adapter.info.method,
            "step": adapter.info.step,
            "placeholder": adapter.info.placeholder,
            "init_word": adapter.info.init_word,
            "recipe": adapter.info.recipe,
        })),
        "base": base_fingerprint,
        "frozen_weights": frozen_weights,
        "request": request,
        "files": files,
    });
    let texts = [(infotext::KEYWORD, infotext), (KEYWORD, parameters.to_string())];
    Ok(write_png(path, picture, &texts)?)
}

/// The settings as AUTOMATIC1111 writes them.
fn infotext(made: &Made, seed: u64) -> Infotext {
    let Made { job, adapter, base_name, .. } = made;
    let strength = job.init.as_ref().map(|init| ("Denoising strength", init.strength.to_string()));
    let reference = job.reference_guidance;
    let reference = (reference != 1.0).then(|| ("Reference CFG scale", reference.to_string()));
    let entries = [
        ("Steps", job.steps.to_string()),
        ("Sampler", sampler_there(&job.sampler)),
        ("CFG scale", job.guidance.to_string()),
        ("Seed", seed.to_string()),
        ("Size", format!("{}x{}", job.width, job.height)),
        ("Model", (*base_name).to_owned()),
    ];
    let placeholder = adapter.map(|adapter| ("Placeholder", adapter.info.placeholder.clone()));
    let version = ("Version", format!("vico {VERSION}"));
    Infotext {
        prompt: job.prompt.clone(),
        negative: job.negative.clone(),
        entries: entries
            .into_iter()
            .chain(reference)
            .chain(strength)
            .chain([("RNG", rng_there(job.rng).to_owned())])
            .chain(placeholder)
            .chain([version])
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
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
