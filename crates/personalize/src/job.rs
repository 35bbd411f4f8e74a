//! What is asked for: a job and its prompts.

use diffusion::{
    Placeholder, Prompt, Schedule, Tokenizer, WeightedPrompt,
    sampler::{Plan, Sampler, Settings},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    guidance::{Guidance, SCALES},
    noise::Rng,
};

/// A picture to begin with, and how much of it may change.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Init {
    /// The picture, as it was typed.
    pub image: String,
    /// The share of the steps that are taken, 0 to 1.
    pub strength: f64,
}

/// What to draw.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Job {
    /// Prompt with the placeholder.
    pub prompt: String,
    /// Negative prompt, empty for none.
    pub negative: String,
    /// Name of the sampler.
    pub sampler: String,
    /// Sampling steps.
    pub steps: usize,
    /// Fresh noise a step, 0 to 1.
    pub eta: f64,
    /// Guidance scale; 1 leaves the unconditional half out.
    pub guidance: f64,
    /// Guidance scale of the references, for methods that look at some; 1 is ViCo's.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub reference_guidance: f64,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Seed of the first picture; picture `i` has `seed + i`.
    pub seed: u64,
    /// Number of pictures.
    pub count: usize,
    /// Pictures in one pass; changes speed and memory, never a picture.
    pub batch: usize,
    /// Whose random numbers the noise is.
    #[serde(default)]
    pub rng: Rng,
    /// Begins with a picture and not with noise alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
}

impl Job {
    /// The paper's settings: DDIM, 50 steps, eta 0, guidance 7.5.
    pub fn new(prompt: &str, size: usize) -> Self {
        Self {
            prompt: prompt.into(),
            negative: String::new(),
            sampler: Sampler::default().name().into(),
            steps: 50,
            eta: 0.0,
            guidance: 7.5,
            reference_guidance: 1.0,
            width: size,
            height: size,
            seed: 0,
            count: 1,
            batch: 1,
            rng: Rng::default(),
            init: None,
        }
    }

    /// Both scales of guidance.
    pub fn scales(&self) -> Guidance {
        Guidance { text: self.guidance, reference: self.reference_guidance }
    }

    /// Checks the values that no model is needed for, and lays out the steps.
    pub fn plan(&self, schedule: &Schedule) -> Result<Plan> {
        let wrong = |option: &str, found: String, expected: &str| Error::Setting {
            option: option.into(),
            found,
            expected: expected.into(),
        };
        for (option, scale, expected) in [
            ("--guidance", self.guidance, "a number from 0 to 100 (7.5 is usual, 1 is none)"),
            (
                "--reference-guidance",
                self.reference_guidance,
                "a number from 0 to 100 (1 is ViCo's)",
            ),
        ] {
            if !SCALES.contains(&scale) {
                return Err(wrong(option, scale.to_string(), expected));
            }
        }
        if !(1..=100_000).contains(&self.count) {
            return Err(wrong("--count", self.count.to_string(), "a number from 1 to 100000"));
        }
        if !(1..=256).contains(&self.batch) {
            return Err(wrong("--batch", self.batch.to_string(), "a number from 1 to 256"));
        }
        let sampler: Sampler = self.sampler.parse()?;
        let plan = sampler.plan(schedule, &Settings { steps: self.steps, eta: self.eta })?;
        Ok(match &self.init {
            Some(init) => plan.shortened(init.strength)?,
            None => plan,
        })
    }

    /// Tokenises the prompts, with their weights.
    ///
    /// # Errors
    /// If a weight is no number, or the placeholder is not in the prompt, unless there is
    /// none or `without_placeholder` allows it.
    pub fn prompts(
        &self,
        tokenizer: &Tokenizer,
        placeholder: Option<Placeholder>,
        without_placeholder: bool,
    ) -> Result<Prompts> {
        let positive = tokenizer.encode_weighted(&self.prompt, placeholder)?;
        let negative = tokenizer.encode_weighted(&self.negative, placeholder)?;
        let stands = |placeholder: &Placeholder| {
            let plain = placeholder.vectors == 0 && placeholder.stands_in(&self.prompt);
            plain || positive.placeholder().is_some()
        };
        if let Some(missing) = placeholder.filter(|p| !stands(p) && !without_placeholder) {
            let text = missing.text;
            return Err(Error::Prompt(format!(
                "the prompt \"{}\" does not hold the placeholder \"{text}\": write it where the \
                 object goes, as in \"a photo of {text} on the beach\", or add \
                 --allow-no-placeholder",
                self.prompt
            )));
        }
        Ok(Prompts { positive, negative, empty: tokenizer.encode("", None)? })
    }
}

fn one() -> f64 {
    1.0
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

/// Tokenised prompts of a job.
#[derive(Clone, Debug)]
pub struct Prompts {
    /// What to draw.
    pub positive: WeightedPrompt,
    /// What not to draw; empty for none.
    pub negative: WeightedPrompt,
    /// No word at all: what the shorter one is filled up with.
    pub empty: Prompt,
}

impl Prompts {
    /// The prompts of a pass, of equal length: without condition and with it, or with
    /// it alone where there is no guidance.
    pub fn rows(&self, guided: bool) -> Vec<WeightedPrompt> {
        let mut rows = vec![self.positive.clone()];
        if guided {
            rows.insert(0, self.negative.clone());
        }
        let longest = rows.iter().map(|row| row.chunks().len()).max().unwrap_or(1);
        rows.into_iter().map(|row| row.padded(longest, &self.empty)).collect()
    }
}
