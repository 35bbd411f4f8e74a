//! `vico generate --from`: the settings of a picture that was drawn before.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use images::{mask_path, read_png_text};
use personalize::FrozenWeights;
use serde::Deserialize;

use crate::{
    Error, Result,
    adapter_file::Reference,
    generate::Options,
    infotext::{self, Infotext, rng_here, sampler_here},
    pictures::KEYWORD,
    subjects::AdapterFile,
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
    let default = Options::default();
    let sampler = text.get("Sampler").map(|name| match text.get("Schedule type") {
        Some("Karras") => sampler_here(&format!("{name} Karras")),
        _ => sampler_here(name),
    });
    let (width, height) = size(text, picture)?.unzip();
    Ok(Options {
        prompt: text.prompt.clone(),
        negative: text.negative.clone(),
        steps: number(text, "Steps", picture)?.unwrap_or(default.steps),
        guidance: number(text, "CFG scale", picture)?,
        seed: number(text, "Seed", picture)?.unwrap_or(default.seed),
        sampler: sampler.unwrap_or(default.sampler),
        strength: number(text, "Denoising strength", picture)?.unwrap_or(default.strength),
        rng: rng_here(text.get("RNG")),
        width,
        height,
        ..Options::default()
    })
}

/// A parameter that is a number, if it is there.
fn number<T: FromStr>(text: &Infotext, name: &str, picture: &Path) -> Result<Option<T>> {
    let wrong = |value: &str| format!("its {name} is \"{value}\", expected a number");
    let parse = |value: &str| value.parse().map_err(|_| Error::path(picture, wrong(value)));
    text.get(name).map(parse).transpose()
}

/// `Size: 512x768`, in pixels.
fn size(text: &Infotext, picture: &Path) -> Result<Option<(usize, usize)>> {
    let sides = |size: &str| {
        let (width, height) = size.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    };
    let wrong = |size: &str| format!("its Size is \"{size}\", expected one like 512x512");
    let parse = |size: &str| sides(size).ok_or_else(|| Error::path(picture, wrong(size)));
    text.get("Size").map(parse).transpose()
}

/// SHA-256 of the files that a picture is drawn from, besides the base model.
pub(crate) fn hashes(options: &Options) -> Result<BTreeMap<PathBuf, String>> {
    let hash = |path: PathBuf| {
        let hash = formats::sha256_of(&path)?;
        Ok((path, hash))
    };
    let masks = photos(options).map(mask_path).filter(|mask| mask.is_file());
    files(options).into_iter().map(|(path, _)| path).chain(masks).map(hash).collect()
}

/// The files, and the options that name them.
fn files(options: &Options) -> Vec<(PathBuf, &'static str)> {
    let photos = photos(options).map(|path| (path, "--reference"));
    let latents = options.init_latents.clone().map(|path| (path, "--init-latents"));
    let picture = options.init_image.clone().map(|path| (path, "--init-image"));
    let others = options.others.iter().map(|other| (other.path.clone(), "--adapter"));
    let embeddings = options.embeddings.iter().map(|path| (path.clone(), "--embedding"));
    let adapter = options.adapter.clone().map(|path| (path, "--adapter"));
    adapter
        .into_iter()
        .chain(others)
        .chain(photos)
        .chain(latents)
        .chain(picture)
        .chain(embeddings)
        .collect()
}

/// The references that are photos on disk.
fn photos(options: &Options) -> impl Iterator<Item = PathBuf> {
    let own = options.references.iter().filter_map(|text| match Reference::parse(text) {
        Reference::Photo(path) => Some(path),
        Reference::Kept(_) => None,
    });
    own.chain(options.others.iter().filter_map(AdapterFile::photo))
}

impl Recorded {
    /// Forgets a file that was named anew.
    pub fn forgive(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// Finds out whether the photos have the masks that they had.
    fn check_masks(&self, options: &Options) -> Result<()> {
        for photo in photos(options).filter(|photo| self.files.contains_key(photo)) {
            let mask = mask_path(&photo);
            let is = mask.is_file().then(|| formats::sha256_of(&mask)).transpose()?;
            if is.as_ref() != self.files.get(&mask) {
                let what = format!(
                    "this mask is not as it was when the picture was drawn: name {} with \
                     --reference to draw all the same",
                    photo.display()
                );
                return Err(Error::path(mask, what));
            }
        }
        Ok(())
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
        self.check_masks(options)
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
