//! The methods. Each says what it learns and how it enters the forward pass;
//! trainer, checkpoints, adapter files and generation are the same for all.

pub mod vico;

use diffusion::{Prompt, Schedule, denoise::Denoiser, text::TextEncoder, unet::UNet};
use engine::{
    Tensor,
    params::{Gradients, Params},
};

use crate::{
    Error, Result,
    generate::{Job, Prompts},
    masks::MaskView,
};

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
    /// Noise to add, and to find again.
    pub noise: Tensor<4>,
    /// Timesteps.
    pub timesteps: Vec<usize>,
    /// Captions with the placeholder.
    pub prompts: Vec<Prompt>,
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
    /// Latents of the reference photo `[1, height, width, channels]`, for
    /// methods that look at one.
    pub reference: Option<&'a Tensor<4>>,
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

    /// Loss and gradients of one batch.
    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated;

    /// The denoiser that draws a request with what was learned.
    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>>;

    /// What the method takes for the object in a reference photo
    /// `[1, height, width, channels]`, layer by layer; nothing for methods
    /// without masks.
    fn masks(
        &self,
        frozen: &Frozen,
        prompt: &Prompt,
        reference: &Tensor<4>,
        timestep: f64,
    ) -> Vec<MaskView>;
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
