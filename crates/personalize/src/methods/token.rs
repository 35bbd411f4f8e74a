//! The learned token, which every method has.

use diffusion::{Prompt, text::TextEncoder};
use engine::{
    Tensor,
    nn::Precision,
    params::{Gradients, Params},
    replay::{Seeds, leaf},
};

/// Its name among the parameters.
pub const TOKEN: &str = "placeholder_embedding";

/// The learned vectors `[vectors, width]`.
///
/// # Panics
/// If there is no token: methods check that when they are made.
pub fn token(params: &Params) -> Tensor<2> {
    let shape = params.get(TOKEN).expect("checked when the method was made").shape();
    params.tensor(TOKEN, [shape[0], shape[1]])
}

/// The text encoder's tape from the token to the context of a batch.
pub struct Tape {
    token: Tensor<2>,
    context: Tensor<3>,
    /// Of the text encoder's weights.
    precision: Precision,
}

impl Tape {
    /// Encodes prompts with the token in place.
    pub fn new(text: &TextEncoder, prompts: &[Prompt], params: &Params) -> Self {
        let token = leaf(&token(params));
        let context = text.forward(prompts, Some(token.clone()));
        Self { token, context, precision: text.precision() }
    }

    /// The context `[prompts, positions, width]`, without the tape.
    pub fn context(&self) -> Tensor<3> {
        self.context.clone().inner()
    }

    /// Sends the context's gradient back and adds the token's to the gradients.
    pub fn backward(self, gradient: Tensor<3>, gradients: &mut Gradients) {
        let mut seeds = Seeds::through(self.precision);
        seeds.add(self.context, gradient);
        if let Some(gradient) = seeds.backward().take(&self.token) {
            gradients.add(TOKEN, gradient);
        }
    }
}
