//! The seam between samplers and models.

use std::borrow::Borrow;

use engine::Tensor;

use crate::{
    Result,
    schedule::Level,
    unet::{Plain, UNet},
};

/// What a sampler asks: the model's prediction for latents at a level of noise, which is
/// the noise in them or v, as its schedule says; samplers make noise of it. Guidance,
/// prompts and methods are the denoiser's own business.
pub trait Denoiser {
    /// # Shapes
    /// `latents [batch, height, width, channels]`; the result has the same.
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>>;
}

/// The model alone, guided by text.
pub struct TextDenoiser<U> {
    /// The U-Net, or a reference to it.
    pub unet: U,
    /// Contexts: those without condition, then as many with; or one alone, for no
    /// guidance. Each half is one row, or one row a picture.
    pub context: Tensor<3>,
    /// Guidance scale; not used with one context.
    pub guidance: f64,
}

impl<U: Borrow<UNet>> Denoiser for TextDenoiser<U> {
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>> {
        let guided_pass = self.context.dims()[0] > 1;
        let rows = latents.repeat_dim(0, if guided_pass { 2 } else { 1 });
        let predicted = self.unet.borrow().forward(rows, &[at.timestep], &self.context, &mut Plain);
        Ok(if guided_pass { guided(predicted, self.guidance) } else { predicted })
    }
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
