//! The seam between samplers and models.

use engine::Tensor;

use crate::{Result, schedule::Level};

/// What a sampler asks: the noise in the latents at a level of noise. Guidance,
/// prompts and methods are the denoiser's own business.
pub trait Denoiser {
    /// # Shapes
    /// `latents [batch, height, width, channels]`; the result has the same.
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>>;
}

/// Classifier-free guidance (Ho and Salimans 2022) over a batch that holds the
/// unconditional predictions first and the conditional ones behind them.
///
/// # Shapes
/// `both [2 * batch, ..] -> [batch, ..]`
pub fn guided(both: Tensor<4>, scale: f64) -> Tensor<4> {
    let half = both.dims()[0] / 2;
    let unconditional = both.clone().narrow(0, 0, half);
    let conditional = both.narrow(0, half, half);
    unconditional.clone() + (conditional - unconditional) * scale
}
