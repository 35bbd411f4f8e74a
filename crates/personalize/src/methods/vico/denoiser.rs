//! Sampling with a reference.

use diffusion::{
    Level, Result,
    denoise::{Denoiser, guided},
    unet::UNet,
};
use engine::Tensor;

use super::{
    Sites,
    inject::{Blocks, Inject},
    reference::{Capture, Layers, Positions},
};

/// Predicts noise with the learned token and a reference photo in place.
///
/// Both halves of guidance see the reference; the unconditional one uses the
/// conditional prompt's positions. The reference stream runs once a step and
/// branch, whatever the number of pictures.
pub struct VicoDenoiser<'a> {
    /// The frozen U-Net.
    pub unet: &'a UNet,
    /// Transformers with image attention.
    pub sites: &'a Sites,
    /// Their blocks.
    pub blocks: Blocks,
    /// Only the object is read from the reference.
    pub mask: bool,
    /// Latents of the reference photo `[1, height, width, channels]`.
    pub reference: Tensor<4>,
    /// Contexts `[2, positions, width]`, unconditional before conditional; or
    /// the conditional one alone, for no guidance.
    pub context: Tensor<3>,
    /// Positions of the conditional prompt.
    pub positions: Positions,
    /// Guidance scale; not used without the unconditional context.
    pub guidance: f64,
}

impl VicoDenoiser<'_> {
    /// The reference's layers at a timestep, a row for each branch.
    pub fn layers(&self, timestep: f64) -> Layers {
        let branches = self.context.dims()[0];
        let reference = self.reference.clone().repeat_dim(0, branches);
        let positions = vec![self.positions; branches];
        let mut capture = Capture::new(self.sites, &positions, self.mask);
        capture.run(self.unet, reference, &[timestep], &self.context);
        capture.layers
    }
}

impl Denoiser for VicoDenoiser<'_> {
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>> {
        let branches = self.context.dims()[0];
        let layers = self.layers(at.timestep);
        let mut inject = Inject { blocks: &self.blocks, layers: &layers };
        let both = latents.repeat_dim(0, branches);
        let predicted = self.unet.forward(both, &[at.timestep], &self.context, &mut inject);
        Ok(if branches == 2 { guided(predicted, self.guidance) } else { predicted })
    }
}
