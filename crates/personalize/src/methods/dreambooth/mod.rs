//! DreamBooth (Ruiz et al. 2023, arXiv 2208.12242): a rare word before the class word
//! becomes the thing's name, and the base model's own weights learn it; all of them, or
//! a LoRA on the attentions.

mod lora;
mod whole;

pub use lora::{DreamBoothLora, factors, parameter_count as lora_parameter_count};
pub use whole::DreamBooth;

use diffusion::{Schedule, text::TextEncoder};
use engine::{params::Params, replay::Seeds};

use super::{Batch, Evaluated, denoising::Learning};
use crate::Recipe;

/// What begins the names of the U-Net's parameters.
const UNET: &str = "unet.";

/// What begins the names of the text encoder's parameters.
const TEXT: &str = "text_encoder.";

/// The words that the placeholder stands for: `sks toy`.
pub fn words(recipe: &Recipe) -> String {
    format!("{} {}", recipe.rare_word, recipe.init_word)
}

/// Loss and gradients of a batch, for leaves in the U-Net and maybe in the text encoder.
fn evaluate(
    text: &TextEncoder,
    unet: &Learning,
    leaves: &Params,
    schedule: &Schedule,
    batch: &Batch,
) -> Evaluated {
    let context = text.forward(&batch.prompts, None);
    let denoised = unet.evaluate(schedule, batch, &context.clone().inner());
    let mut gradients = denoised.weights;
    let mut seeds = Seeds::through(text.precision());
    seeds.add(context, denoised.context);
    leaves.collect(&mut seeds.backward(), &mut gradients);
    Evaluated::denoising(denoised.loss, gradients)
}
