//! The methods. Each says what it learns and how it enters the forward pass;
//! trainer, checkpoints, adapter files and generation are the same for all.

pub mod textual_inversion;
pub mod token;
pub mod vico;

use diffusion::{
    Prompt, Schedule,
    config::UNetConfig,
    denoise::Denoiser,
    text::TextEncoder,
    unet::{Site, UNet},
};
use engine::{
    Device, Tensor,
    params::{Gradients, Params},
};

use self::{
    textual_inversion::TextualInversion,
    vico::{Vico, several::Other},
};
use crate::{
    Error, ObjectMask, Recipe, Reference, Result,
    draw::Draw,
    generate::{Job, Prompts},
    masks::MaskView,
};

/// Names of the methods.
pub const NAMES: [&str; 2] = ["vico", "textual-inversion"];

/// A recipe's method before its first step; the token starts from a class word's
/// embedding `[width]`.
///
/// # Errors
/// If no method has that name.
pub fn fresh(
    recipe: &Recipe,
    sites: &[Site],
    word: Vec<f32>,
    device: &Device,
) -> Result<Box<dyn Method>> {
    Ok(match recipe.method.as_str() {
        "vico" => {
            let draw = Draw::new(recipe.seed);
            let how = (recipe.rates(), recipe.vico);
            let fresh = Vico::new(sites, word, how, &draw, device);
            Box::new(fresh.with_vectors(recipe.vectors, device))
        }
        "textual-inversion" => {
            let token = word.repeat(recipe.vectors);
            Box::new(TextualInversion::new(token, recipe.vectors, recipe.lr_token, device))
        }
        other => return Err(unknown(other)),
    })
}

/// A method that was learned before, for a U-Net with these transformers and a text
/// encoder of this width.
///
/// # Errors
/// If no method has that name, or its parameters are not those it must have.
pub fn learned(
    recipe: &Recipe,
    sites: &[Site],
    width: usize,
    params: Params,
) -> Result<Box<dyn Method>> {
    Ok(match recipe.method.as_str() {
        "vico" => {
            let how = (recipe.rates(), recipe.vico);
            Box::new(Vico::from_params(sites, width, params, how)?)
        }
        "textual-inversion" => {
            Box::new(TextualInversion::from_params(width, params, recipe.lr_token)?)
        }
        other => return Err(unknown(other)),
    })
}

/// Number of values that a method learns besides the token, on a U-Net that is not
/// loaded yet.
pub fn parameter_count(recipe: &Recipe, unet: &UNetConfig) -> usize {
    if recipe.method == "vico" { vico::parameter_count(unet, recipe.vico) } else { 0 }
}

fn unknown(method: &str) -> Error {
    let expected = NAMES.join(" or ");
    Error::Setting { option: "--method".into(), found: method.into(), expected }
}

/// The frozen model a method trains on.
pub struct Frozen<'a> {
    /// Text encoder.
    pub text: &'a TextEncoder,
    /// U-Net.
    pub unet: &'a UNet,
    /// Noise schedule.
    pub schedule: &'a Schedule,
}

/// One batch of training; rows are samples.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Clean latents `[batch, height, width, channels]`.
    pub latents: Tensor<4>,
    /// Clean latents of the reference photos.
    pub references: Tensor<4>,
    /// What users drew to be the object in them; empty for none at all.
    pub masks: Vec<Option<ObjectMask>>,
    /// Noise to add, and to find again.
    pub noise: Tensor<4>,
    /// Timesteps.
    pub timesteps: Vec<usize>,
    /// Captions with the placeholder.
    pub prompts: Vec<Prompt>,
}

impl Batch {
    /// The noisy latents, and the timesteps as the U-Net takes them.
    fn noisy(&self, schedule: &Schedule) -> (Tensor<4>, Vec<f64>) {
        let noisy = schedule.add_noise(self.latents.clone(), self.noise.clone(), &self.timesteps);
        (noisy, self.timesteps.iter().map(|&t| t as f64).collect())
    }
}

/// One evaluated batch.
pub struct Evaluated {
    /// The loss.
    pub loss: f64,
    /// Its parts by name, before their weights.
    pub parts: Vec<(&'static str, f64)>,
    /// Gradients by parameter name.
    pub gradients: Gradients,
}

/// What a method is asked to draw.
pub struct Request<'a> {
    /// The frozen U-Net.
    pub unet: &'a UNet,
    /// The frozen text encoder.
    pub text: &'a TextEncoder,
    /// Tokenised prompts.
    pub prompts: &'a Prompts,
    /// Everything else.
    pub job: &'a Job,
    /// What else it is drawn from.
    pub sources: Sources<'a>,
    /// Height and width of the latents to be drawn.
    pub latents: [usize; 2],
}

/// What a picture is drawn from besides its prompts, for methods that look at photos.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// The reference photos.
    pub references: &'a [Reference],
    /// Further subjects of the picture.
    pub others: &'a [Other<'a>],
}

impl<'a> Sources<'a> {
    /// Reference photos of the only subject.
    pub fn references(references: &'a [Reference]) -> Self {
        Self { references, ..Self::default() }
    }
}

impl Request<'_> {
    /// The prompts of a pass: without condition and with it, or with it alone where
    /// there is no guidance.
    fn rows(&self) -> Vec<Prompt> {
        let mut rows = vec![self.prompts.positive.clone()];
        if self.job.guidance != 1.0 {
            rows.insert(0, self.prompts.negative.clone());
        }
        rows
    }
}

/// What trainer and generation know of a method.
pub trait Method {
    /// Its name in recipes and files.
    fn name(&self) -> &'static str;

    /// What is learned.
    fn params(&self) -> &Params;

    /// What is learned, for the optimizer.
    fn params_mut(&mut self) -> &mut Params;

    /// Learning rate of a parameter.
    fn learning_rate(&self, parameter: &str) -> f64;

    /// Vectors of the placeholder.
    fn token_vectors(&self) -> usize;

    /// True if the reference of a training sample is to be its own photo, and not
    /// another one.
    fn same_reference(&self) -> bool {
        false
    }

    /// Loss and gradients of one batch.
    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated;

    /// The denoiser that draws a request with what was learned.
    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>>;

    /// What the method takes for the object in a reference photo, layer by layer;
    /// nothing for methods without masks.
    fn masks(
        &self,
        frozen: &Frozen,
        prompt: &Prompt,
        reference: &Reference,
        timestep: f64,
    ) -> Vec<MaskView>;
}

/// The mean of the squares.
fn mean_square(error: &Tensor<4>) -> f64 {
    let values = engine::values(error.clone());
    let sum: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    sum / values.len() as f64
}

/// Checks that parameters are exactly the expected ones.
fn check_params(params: &Params, expected: &[(String, Vec<usize>)]) -> Result<()> {
    for (name, shape) in expected {
        let found = params.get(name).map(|p| p.shape());
        if found != Some(shape.as_slice()) {
            return Err(Error::Parameter {
                name: name.clone(),
                found: found.map_or("nothing".into(), |s| format!("shape {s:?}")),
                expected: format!("shape {shape:?}"),
            });
        }
    }
    let known = |name: &str| expected.iter().any(|(n, _)| n == name);
    match params.iter().find(|(name, _)| !known(name)) {
        Some((name, param)) => Err(Error::Parameter {
            name: name.into(),
            found: format!("shape {:?}", param.shape()),
            expected: "no such parameter".into(),
        }),
        None => Ok(()),
    }
}
