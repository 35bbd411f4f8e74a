//! Textual Inversion (Gal et al. 2022, arXiv 2208.01618): one token's vectors are
//! learned, and nothing else.

use diffusion::denoise::Denoiser;
use engine::Device;
use engine::params::{Gradients, Param, Params};

use super::{
    Batch, Evaluated, Frozen, Method, Request, check_params,
    denoising::Learning,
    token::{TOKEN, Tape, token},
};
use crate::Result;

/// What Textual Inversion learns.
pub struct TextualInversion {
    params: Params,
    learning_rate: f64,
}

impl TextualInversion {
    /// The token's vectors `[vectors, width]` start as they are given: as a class word's
    /// embedding each.
    pub fn new(token: Vec<f32>, vectors: usize, learning_rate: f64, device: &Device) -> Self {
        let mut params = Params::default();
        let shape = [vectors, token.len() / vectors];
        params.insert(TOKEN, Param::new(token, &shape, device));
        Self { params, learning_rate }
    }

    /// From parameters that were learned before.
    ///
    /// # Errors
    /// If there is anything but a token of the text encoder's width.
    pub fn from_params(token_width: usize, params: Params, learning_rate: f64) -> Result<Self> {
        let vectors = params.get(TOKEN).map_or(1, |p| p.shape()[0]);
        check_params(&params, &[(TOKEN.into(), vec![vectors, token_width])])?;
        Ok(Self { params, learning_rate })
    }
}

impl Method for TextualInversion {
    fn name(&self) -> &'static str {
        "textual-inversion"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn learning_rate(&self, _: &str) -> f64 {
        self.learning_rate
    }

    fn token_vectors(&self) -> usize {
        token(&self.params).dims()[0]
    }

    fn evaluate(&self, frozen: &Frozen, batch: &Batch) -> Evaluated {
        let tape = Tape::new(frozen.text, &batch.prompts, &self.params);
        let unet = Learning::nothing(frozen.unet);
        let denoised = unet.evaluate(frozen.schedule, batch, &tape.context());
        let mut gradients = Gradients::default();
        tape.backward(denoised.context, &mut gradients);
        Evaluated::denoising(denoised.loss, gradients)
    }

    fn denoiser<'a>(&'a self, request: &Request<'a>) -> Result<Box<dyn Denoiser + 'a>> {
        Ok(Box::new(request.denoiser(Some(token(&self.params)))))
    }
}
