//! `vico generate --from`: the settings of a picture that was drawn before.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use images::read_png_text;
use personalize::FrozenWeights;
use serde::Deserialize;

use crate::{
    Error, Result,
    adapter_file::Reference,
    generate::Options,
    infotext::{self, Infotext, sampler_here},
    pictures::KEYWORD,
};

/// What a picture says its inputs were. Whatever is named anew is no longer
/// compared.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Recorded {
    /// Fingerprint of the base model with its LoRAs.
    pub base: Option<String>,
    /// How its weights were kept.
    pub frozen_weights: Option<FrozenWeights>,
    /// SHA-256 of the files that were read.
    pub files: BTreeMap<PathBuf, String>,
}

/// What is read of the text that vico leaves in a picture.
#[derive(Deserialize)]
struct Text {
    request: Options,
    #[serde(flatten)]
    recorded: Recorded,
}

/// The settings that a picture carries: all of them if vico drew it, else those
/// in AUTOMATIC1111's text.
///
/// # Errors
/// If the file is no PNG, or carries no settings.
pub fn options(picture: &Path) -> Result<Options> {
    let texts = read_png_text(picture)?;
    let text = |keyword: &str| {
        texts.iter().find(|(found, _)| found == keyword).map(|(_, text)| text.as_str())
    };
    if let Some(text) = text(KEYWORD) {
        let damaged = |e| {
            let what = format!("its settings cannot be read, as those of another version ({e})");
            Error::path(picture, what)
        };
        let Text { request, recorded } = serde_json::from_str(text).map_err(damaged)?;
        return Ok(Options { recorded: Some(recorded), ..request });
    }
    match text(infotext::KEYWORD) {
        Some(text) => foreign(&Infotext::parse(text), picture),
        None => Err(Error::path(picture, "it carries no settings: it was not drawn by vico")),
    }
}

/// The settings of a picture that another program drew.
fn foreign(text: &Infotext, picture: &Path) -> Result<Options> {
    let mut options = Options {
        prompt: text.prompt.clone(),
        negative: text.negative.clone(),
        ..Options::default()
    };
    let wrong =
        |name: &str, value: &str| Error::path(picture, format!("its {name} is \"{value}\""));
    fn put<T: FromStr>(
        text: &Infotext,
        name: &str,
        into: &mut T,
        wrong: impl Fn(&str, &str) -> Error,
    ) -> Result<()> {
        if let Some(value) = text.get(name) {
            *into = value.parse().map_err(|_| wrong(name, value))?;
        }
        Ok(())
    }
    put(text, "Steps", &mut options.steps, wrong)?;
    put(text, "CFG scale", &mut options.guidance, wrong)?;
    put(text, "Seed", &mut options.seed, wrong)?;
    if let Some(name) = text.get("Sampler") {
        let schedule = text.get("Schedule type").filter(|kind| *kind == "Karras");
        let full = schedule.map_or_else(|| name.to_owned(), |kind| format!("{name} {kind}"));
        options.sampler = sampler_here(&full);
    }
    if let Some(size) = text.get("Size") {
        let sides =
            size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let (width, height) = sides.ok_or_else(|| wrong("Size", size))?;
        (options.width, options.height) = (Some(width), Some(height));
    }
    Ok(options)
}

/// SHA-256 of the files that a picture is drawn from, besides the base model.
pub(crate) fn hashes(options: &Options) -> Result<BTreeMap<PathBuf, String>> {
    let hash = |(path, _)| {
        let hash = formats::sha256_of(&path)?;
        Ok((path, hash))
    };
    files(options).into_iter().map(hash).collect()
}

/// The files, and the options that name them.
fn files(options: &Options) -> Vec<(PathBuf, &'static str)> {
    let photo = match options.reference.as_deref().map(Reference::parse) {
        Some(Reference::Photo(path)) => Some((path, "--reference")),
        _ => None,
    };
    let latents = options.init_latents.clone().map(|path| (path, "--init-latents"));
    let embeddings = options.embeddings.iter().map(|path| (path.clone(), "--embedding"));
    [(options.adapter.clone(), "--adapter")]
        .into_iter()
        .chain(photo)
        .chain(latents)
        .chain(embeddings)
        .collect()
}

impl Recorded {
    /// Forgets a file that was named anew.
    pub fn forgive(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Finds out whether the files are there, and what they were.
    ///
    /// # Errors
    /// If one is not; says how to draw all the same.
    pub(crate) fn check_files(&self, options: &Options) -> Result<()> {
        for (path, option) in files(options) {
            let Some(was) = self.files.get(&path) else { continue };
            if !path.is_file() {
                let what = format!("the picture was drawn with it: name it with {option}");
                return Err(Error::path(path, format!("is not there, but {what}")));
            }
            let is = formats::sha256_of(&path)?;
            if is != *was {
                let (was, is) = (&was[..was.len().min(12)], &is[..12]);
                let what = format!(
                    "was changed since the picture was drawn with it (SHA-256 {was}.., now \
                     {is}..): name it with {option} to draw all the same"
                );
                return Err(Error::path(path, what));
            }
        }
        Ok(())
    }

    /// Compares the base model.
    ///
    /// # Errors
    /// If it is another.
    pub(crate) fn check_base(&self, base: &Path, fingerprint: &str) -> Result<()> {
        match &self.base {
            Some(was) if was != fingerprint => Err(Error::path(
                base,
                format!(
                    "is another base model ({fingerprint}) than the picture was drawn with \
                     ({was}): name it with --base to draw all the same"
                ),
            )),
            _ => Ok(()),
        }
    }
}
