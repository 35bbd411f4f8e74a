//! What `vico generate` is asked for.

use std::path::PathBuf;

use diffusion::Base;
use personalize::{
    Adapter,
    generate::{Guidance, Init, Job, Rng},
    methods,
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Error, Result, adapter_file::Reference, init::InitLatents, lora::LoraFile, recommended,
    repeat::Recorded, subjects::AdapterFile,
};

/// What was typed, or what a picture says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Options {
    /// Base model.
    pub base: PathBuf,
    /// LoRAs to merge into it.
    pub loras: Vec<LoraFile>,
    /// Adapter file; none draws with the base model as it is.
    pub adapter: Option<PathBuf>,
    /// Adapters of further subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<AdapterFile>,
    /// Prompt.
    pub prompt: String,
    /// A file of prompts to draw in its stead.
    #[serde(skip)]
    pub prompt_file: Option<PathBuf>,
    /// Negative prompt.
    pub negative: String,
    /// Files or folders of extra embeddings.
    pub embeddings: Vec<PathBuf>,
    /// Numbers of kept photos, or paths; the first kept photo if there is none.
    #[serde(alias = "reference", deserialize_with = "one_or_many")]
    pub references: Vec<String>,
    /// Sampling steps.
    pub steps: usize,
    /// Guidance scale; the base model's own if not given.
    pub guidance: Option<f64>,
    /// Guidance scale of the references; the base model's own if not given. Pictures that were
    /// drawn while there was none had the method's.
    #[serde(default = "of_the_method")]
    pub reference_guidance: Option<f64>,
    /// Sampler.
    pub sampler: String,
    /// Fresh noise a step.
    pub eta: f64,
    /// Whose random numbers the noise is.
    pub rng: Rng,
    /// Width; the training's size if not given.
    pub width: Option<usize>,
    /// Height; the training's size if not given.
    pub height: Option<usize>,
    /// Seed of the first picture.
    pub seed: u64,
    /// Number of pictures; one, or a row of `init_latents` each.
    pub count: Option<usize>,
    /// Pictures in one pass.
    pub batch: usize,
    /// Folder, or a `.png` file for one picture.
    #[serde(skip)]
    pub output: PathBuf,
    /// Draw although the prompt lacks the placeholder.
    pub allow_no_placeholder: bool,
    /// Picture to start from.
    pub init_image: Option<PathBuf>,
    /// How much of it may change, 0 to 1.
    pub strength: f64,
    /// Latents to start from.
    pub init_latents: Option<PathBuf>,
    /// The first of them to use, counted from 0.
    pub init_row: usize,
    /// Where to write the latents.
    #[serde(skip)]
    pub save_latents: Option<PathBuf>,
    /// What the inputs must be, if a picture is to be drawn again.
    #[serde(skip)]
    pub recorded: Option<Recorded>,
}

/// The paper's settings, and nothing to draw yet.
impl Default for Options {
    fn default() -> Self {
        let Job { sampler, steps, eta, seed, batch, .. } = Job::new("", 0);
        Self {
            base: PathBuf::new(),
            loras: Vec::new(),
            adapter: None,
            others: Vec::new(),
            prompt: String::new(),
            prompt_file: None,
            negative: String::new(),
            embeddings: Vec::new(),
            references: Vec::new(),
            steps,
            guidance: None,
            reference_guidance: None,
            sampler,
            eta,
            rng: Rng::default(),
            width: None,
            height: None,
            seed,
            count: None,
            batch,
            output: PathBuf::new(),
            allow_no_placeholder: false,
            init_image: None,
            strength: 0.8,
            init_latents: None,
            init_row: 0,
            save_latents: None,
            recorded: None,
        }
    }
}

fn of_the_method() -> Option<f64> {
    Some(1.0)
}

/// Pictures that were drawn while there was one reference say so without a list.
fn one_or_many<'d, D: Deserializer<'d>>(value: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Typed {
        Many(Vec<String>),
        One(Option<String>),
    }
    Ok(match Typed::deserialize(value)? {
        Typed::Many(all) => all,
        Typed::One(one) => one.into_iter().collect(),
    })
}

/// The references that were typed, or the first photo.
pub(super) fn references(typed: &[String]) -> Vec<Reference> {
    match typed {
        [] => vec![Reference::Kept(0)],
        typed => typed.iter().map(|text| Reference::parse(text)).collect(),
    }
}

/// Checks that there is a base model, which a picture of another program does not name,
/// and an adapter for what only that can use.
pub(super) fn named(options: &Options) -> Result<()> {
    let missing = |what: &str| Err(Error::Usage(what.into()));
    if options.base.as_os_str().is_empty() {
        return missing("--base is missing: the picture does not name one");
    }
    if options.adapter.is_none() && !options.references.is_empty() {
        return missing("--reference is a photo that an adapter draws from: add --adapter FILE");
    }
    Ok(())
}

/// The job of the prompt that was typed, on a base model and an adapter, if there is one.
pub(super) fn job(
    options: &Options,
    base: &Base,
    adapter: Option<&Adapter>,
    start: Option<&InitLatents>,
) -> Result<Job> {
    let size = adapter.map_or(base.default_size(), |adapter| adapter.info.recipe.size);
    let (width, height) = match start {
        None => (options.width.unwrap_or(size), options.height.unwrap_or(size)),
        Some(start) => start.size(options.width, options.height)?,
    };
    base.check_size(width, height)?;
    let rows = start.map_or(1, |start| start.rows.len());
    let count = options.count.unwrap_or(rows);
    if start.is_some() && count > rows {
        return Err(Error::Usage(format!(
            "--count is {count}, but --init-latents holds latents of {rows} pictures"
        )));
    }
    let guidance = guidance(options, base, adapter.map(|adapter| &*adapter.info.method))?;
    Ok(Job {
        prompt: options.prompt.clone(),
        negative: options.negative.clone(),
        sampler: options.sampler.clone(),
        steps: options.steps,
        eta: options.eta,
        rng: options.rng,
        guidance: guidance.text,
        reference_guidance: guidance.reference,
        width,
        height,
        seed: options.seed,
        count,
        batch: options.batch,
        init: options
            .init_image
            .as_ref()
            .map(|path| Init { image: path.display().to_string(), strength: options.strength }),
    })
}

/// The scales of guidance that were typed, or the base model's own; `method` is that of the
/// adapter, if there is one.
///
/// # Errors
/// If the base model's own cannot be read, or a scale is for references that nothing looks at.
pub(crate) fn guidance(options: &Options, base: &Base, method: Option<&str>) -> Result<Guidance> {
    let own = recommended::guidance(base, method)?;
    let reference = options.reference_guidance.unwrap_or(own.reference);
    if reference != 1.0 && !method.is_some_and(methods::looks_at_references) {
        let who = method.map_or("without --adapter".into(), |m| format!("by an adapter of {m}"));
        return Err(Error::Usage(format!(
            "--reference-guidance is {reference}, but {who} no reference is looked at: leave it out"
        )));
    }
    Ok(Guidance { text: options.guidance.unwrap_or(own.text), reference })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_pictures_with_one_reference_are_still_read() {
        for (text, expected) in [
            (r#"{"reference": "photos/1.png"}"#, vec!["photos/1.png"]),
            (r#"{"reference": null}"#, vec![]),
            (r#"{"references": ["1", "2"]}"#, vec!["1", "2"]),
            ("{}", vec![]),
        ] {
            assert_eq!(serde_json::from_str::<Options>(text).unwrap().references, expected);
        }
    }
}
