//! The denoising loss and its gradients, for methods that change nothing but the text's
//! context and the U-Net's own weights.

use diffusion::{
    Schedule,
    unet::{Plain, Processor, Replay, Site, UNet},
};
use engine::{
    Tensor,
    params::{Gradients as Sums, Params},
    replay::{Gradients, Seeds},
};

use super::{Batch, mean_square};

/// The loss of a batch with its gradients.
pub(super) struct Denoised {
    /// The mean of `(predicted - target)^2`, the target being the noise, or v.
    pub loss: f64,
    /// Gradient of the text context.
    pub context: Tensor<3>,
    /// Gradients of the U-Net's leaves.
    pub weights: Sums,
}

/// A U-Net, some of whose own weights may learn.
pub(super) struct Learning<'a> {
    /// With constants, for the pass without a tape.
    pub still: &'a UNet,
    /// The same values as leaves.
    pub learning: &'a UNet,
    /// Those leaves, if there are any.
    pub leaves: Option<&'a Params>,
    /// Some of them lie before the first transformer, or in the time embedding.
    pub everywhere: bool,
}

impl<'a> Learning<'a> {
    /// A U-Net that learns nothing itself.
    pub fn nothing(unet: &'a UNet) -> Self {
        Self { still: unet, learning: unet, leaves: None, everywhere: false }
    }

    /// The loss of a batch under a text context, and its gradients by block-wise replay.
    pub fn evaluate(&self, schedule: &Schedule, batch: &Batch, context: &Tensor<3>) -> Denoised {
        let (noisy, timesteps) = batch.noisy(schedule);
        // A tape that stays must know of the leaves.
        let unet = if self.learning.has_tapes() { self.learning } else { self.still };
        let (predicted, recording) = unet.record(noisy, &timesteps, context, &mut Plain, None);
        let error = predicted - batch.target(schedule);
        let loss = mean_square(&error);
        let count = error.shape().num_elements() as f64;
        let Self { leaves, everywhere, .. } = *self;
        let mut back = Back { leaves, everywhere, sums: Sums::default() };
        let context = self.learning.replay(recording, Some(error * (2.0 / count)), &mut back);
        Denoised { loss, context, weights: back.sums }
    }
}

/// Gathers the gradients of a U-Net's own leaves.
struct Back<'a> {
    leaves: Option<&'a Params>,
    everywhere: bool,
    sums: Sums,
}

impl Processor for Back<'_> {
    fn after_block(&mut self, _: &Site, tokens: Tensor<3>, _: Option<Tensor<3>>) -> Tensor<3> {
        tokens
    }
}

impl Replay for Back<'_> {
    fn seeds(&mut self, _: &Site, _: &mut Seeds) {}

    fn collect(&mut self, _: Option<&Site>, gradients: &mut Gradients) {
        if let Some(leaves) = self.leaves {
            leaves.collect(gradients, &mut self.sums);
        }
    }

    fn everywhere(&self) -> bool {
        self.everywhere
    }
}
