//! The methods. Each says what it learns and how it enters the forward pass;
//! trainer, checkpoints, adapter files and generation are the same for all.

pub mod custom_diffusion;
mod denoising;
pub mod dreambooth;
pub mod textual_inversion;
pub mod token;
pub mod vico;

use diffusion::{
    Base, Placeholder, Prompt, Schedule, Tokenizer,
    base::Configs,
    denoise::{Denoiser, TextDenoiser},
    lora::Part,
    text::TextEncoder,
    unet::{UNet, sites},
};
use engine::{
    Device, Tensor,
    params::{Gradients, Params},
};

use self::{
    custom_diffusion::CustomDiffusion,
    dreambooth::{DreamBooth, DreamBoothLora},
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
pub const NAMES: [&str; 4] = ["vico", "textual-inversion", "custom-diffusion", "dreambooth"];

/// What a fresh method starts from.
pub struct Start<'a> {
    /// The base model on disk.
    pub base: &'a Base,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Its text encoder.
    pub text: &'a TextEncoder,
}

impl Start<'_> {
    /// The embedding `[width]` of a word that is one token.
    ///
    /// # Errors
    /// If it is none or several.
    fn word(&self, word: &str) -> Result<Vec<f32>> {
        Ok(self.text.token_embedding(self.tokenizer.single(word)?))
    }

    fn device(&self) -> Device {
        self.text.device()
    }
}

/// The id of a rare word: one token, or a piece of words, as `ktn`, that no one writes
/// alone.
///
/// # Errors
/// If it is neither.
pub fn rare_id(tokenizer: &Tokenizer, word: &str) -> Result<u32> {
    let id = tokenizer.single(word).ok().or_else(|| tokenizer.piece(word));
    id.ok_or_else(|| Error::Setting {
        option: "--rare-word".into(),
        found: word.into(),
        expected: "one token of the model's vocabulary".into(),
    })
}

/// A recipe's method before its first step.
///
/// # Errors
/// If no method has that name, a word is not one token, or a weight cannot be read.
pub fn fresh(recipe: &Recipe, start: &Start) -> Result<Box<dyn Method>> {
    let device = start.device();
    Ok(match recipe.method.as_str() {
        "vico" => {
            let (word, sites) = (start.word(&recipe.init_word)?, sites(&start.base.configs().unet));
            let draw = Draw::new(recipe.seed);
            let how = (recipe.rates(), recipe.vico);
            let fresh = Vico::new(&sites, word, how, &draw, &device);
            Box::new(fresh.with_vectors(recipe.vectors, &device))
        }
        "textual-inversion" => {
            let token = start.word(&recipe.init_word)?.repeat(recipe.vectors);
            Box::new(TextualInversion::new(token, recipe.vectors, recipe.lr_token, &device))
        }
        "custom-diffusion" => Box::new(CustomDiffusion::new(recipe, start)?),
        "dreambooth" if recipe.lora_rank > 0 => Box::new(DreamBoothLora::new(recipe, start)),
        "dreambooth" => Box::new(DreamBooth::new(recipe, start)?),
        other => return Err(unknown(other)),
    })
}

/// A method that was learned before, for a base model with these configurations.
///
/// # Errors
/// If no method has that name, or its parameters are not those it must have.
pub fn learned(recipe: &Recipe, configs: &Configs, params: Params) -> Result<Box<dyn Method>> {
    let width = configs.text.hidden_size;
    Ok(match recipe.method.as_str() {
        "vico" => {
            let how = (recipe.rates(), recipe.vico);
            Box::new(Vico::from_params(&sites(&configs.unet), width, params, how)?)
        }
        "textual-inversion" => {
            Box::new(TextualInversion::from_params(width, params, recipe.lr_token)?)
        }
        "custom-diffusion" => Box::new(CustomDiffusion::from_params(recipe, configs, params)?),
        "dreambooth" if recipe.lora_rank > 0 => {
            Box::new(DreamBoothLora::from_params(recipe, configs, params)?)
        }
        "dreambooth" => Box::new(DreamBooth::from_params(recipe, configs, params)?),
        other => return Err(unknown(other)),
    })
}

/// Number of values that a recipe's method learns, on a model that is not loaded yet.
pub fn parameter_count(recipe: &Recipe, base: &Base) -> usize {
    let configs = base.configs();
    let token = recipe.vectors * configs.text.hidden_size;
    match recipe.method.as_str() {
        "vico" => vico::parameter_count(&configs.unet, recipe.vico) + token,
        "custom-diffusion" => custom_diffusion::parameter_count(recipe, configs),
        "dreambooth" if recipe.lora_rank > 0 => dreambooth::lora_parameter_count(recipe, configs),
        "dreambooth" => {
            let text = if recipe.train_text_encoder { base.parameters().text.all } else { 0 };
            base.parameters().unet.all + text
        }
        _ => token,
    }
}

/// Whether a recipe learns all weights of the U-Net, so that the result is a model of its
/// own beside the adapter.
pub fn is_whole_model(recipe: &Recipe) -> bool {
    recipe.method == "dreambooth" && recipe.lora_rank == 0
}

/// Whether a method draws from reference photos.
pub fn looks_at_references(method: &str) -> bool {
    method == "vico"
}

/// Passes of the U-Net in a training step whose tapes can
/// [stay](diffusion::unet::UNet::with_tapes); those over weights that all learn cannot.
pub fn passes_with_tapes(recipe: &Recipe) -> usize {
    match recipe.method.as_str() {
        "vico" if !recipe.vico.detach_reference => 2,
        _ if is_whole_model(recipe) => 0,
        _ => 1,
    }
}

/// Passes of the U-Net that a training step of one photo amounts to: each stream goes
/// forward and backward, and before that forward again where no tape stays; gradients of
/// all weights cost another pass.
pub fn passes(recipe: &Recipe, tapes: bool) -> f64 {
    let again = if tapes { 0.0 } else { passes_with_tapes(recipe) as f64 };
    if recipe.method == "vico" {
        return 4.5 + again;
    }
    let pass = if is_whole_model(recipe) { 4.25 } else { 2.25 + again };
    pass * recipe.samples() as f64 / (recipe.batch * recipe.accumulate) as f64
}

/// How a thing stands in prompts: 0 is the recipe's own, the others its further
/// concepts.
///
/// # Panics
/// If there is no such concept.
pub fn placeholder<'a>(
    method: &'a dyn Method,
    recipe: &'a Recipe,
    concept: usize,
) -> Placeholder<'a> {
    let text = match concept.checked_sub(1) {
        Some(further) => &recipe.concepts[further].placeholder,
        None => &recipe.placeholder,
    };
    Placeholder { text, vectors: method.token_vectors(), words: method.words(concept) }
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
    /// Noise to add.
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

    /// What the U-Net is to predict of them: the noise or v.
    fn target(&self, schedule: &Schedule) -> Tensor<4> {
        schedule.target(self.latents.clone(), self.noise.clone(), &self.timesteps)
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

impl Evaluated {
    /// Adds another batch's loss and gradients with a weight, as a part of that name.
    pub(crate) fn add(&mut self, name: &'static str, mut other: Self, weight: f64) {
        self.loss += weight * other.loss;
        self.parts.push((name, other.loss));
        other.gradients.scale(weight);
        self.gradients.merge(other.gradients);
    }

    /// The denoising loss alone.
    fn denoising(loss: f64, gradients: Gradients) -> Self {
        Self { loss, parts: vec![("denoising", loss)], gradients }
    }
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

impl<'a> Request<'a> {
    /// Denoises by text alone, with learned vectors `[vectors, width]` in place if there
    /// are any.
    pub fn denoiser(&self, learned: Option<Tensor<2>>) -> TextDenoiser<&'a UNet> {
        let context = self.contexts(self.text, learned);
        TextDenoiser { unet: self.unet, context, guidance: self.job.guidance }
    }

    /// The contexts of a pass by a text encoder, with learned vectors `[vectors, width]`
    /// in place if there are any: without condition and with it, or with it alone where
    /// there is no guidance.
    ///
    /// # Shapes
    /// Result `[2 or 1, positions, width]`.
    pub fn contexts(&self, text: &TextEncoder, learned: Option<Tensor<2>>) -> Tensor<3> {
        text.contexts(&self.prompts.rows(self.job.guidance != 1.0), learned)
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

    /// Vectors of a placeholder.
    fn token_vectors(&self) -> usize;

    /// Plain words that a placeholder stands for, behind its vectors; 0 is the recipe's
    /// own thing, the others its further concepts.
    fn words(&self, concept: usize) -> &str {
        let _ = concept;
        ""
    }

    /// The weights of whole parts of the base model that were learned, by diffusers'
    /// names, to be written as a model of their own; none for most methods.
    fn parts(&self) -> Vec<(Part, Params)> {
        Vec::new()
    }

    /// True if the reference of a training sample is to be its own photo, and not
    /// another one.
    fn same_reference(&self) -> bool {
        false
    }

    /// Loss and gradients of one batch.
    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated;

    /// The denoiser that draws a request with what was learned.
    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>>;

    /// What the method takes for the object in a reference photo
    /// `[1, height, width, channels]` at a timestep, under a prompt, layer by layer;
    /// nothing for methods without masks.
    fn masks(&self, _: &Frozen, _: &Prompt, _: &Reference, _: f64) -> Vec<MaskView> {
        Vec::new()
    }
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
