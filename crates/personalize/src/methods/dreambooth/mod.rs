//! DreamBooth (Ruiz et al. 2023, arXiv 2208.12242): a rare word before the class word
//! becomes the thing's name, and the base model's own weights learn it; all of them, or
//! a LoRA on the attentions.

mod lora;
mod whole;

pub use lora::{DreamBoothLora, factors, parameter_count as lora_parameter_count};
pub use whole::DreamBooth;

use diffusion::{Prompt, text::TextEncoder};
use engine::{
    Tensor,
    params::{Gradients, Params},
    replay::Seeds,
};

use crate::Recipe;

/// What begins the names of the U-Net's parameters.
const UNET: &str = "unet.";

/// What begins the names of the text encoder's parameters.
const TEXT: &str = "text_encoder.";

/// The words that the placeholder stands for: `sks toy`.
pub fn words(recipe: &Recipe) -> String {
    format!("{} {}", recipe.rare_word, recipe.init_word)
}

/// The text encoder's tape from its leaves, if it has any, to the context of a batch.
struct Tape {
    context: Tensor<3>,
}

impl Tape {
    fn new(text: &TextEncoder, prompts: &[Prompt]) -> Self {
        Self { context: text.forward(prompts, None) }
    }

    /// The context without the tape.
    fn context(&self) -> Tensor<3> {
        self.context.clone().inner()
    }

    /// Sends the context's gradient back and adds those of the leaves.
    fn backward(self, gradient: Tensor<3>, leaves: &Params, gradients: &mut Gradients) {
        let mut seeds = Seeds::default();
        seeds.add(self.context, gradient);
        leaves.collect(&mut seeds.backward(), gradients);
    }
}
