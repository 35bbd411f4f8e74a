//! The denoising U-Net of Stable Diffusion (Rombach et al. 2022).
//!
//! It is a list of [`Step`]s worked through in order with a stack of skip
//! connections beside them. That one list serves sampling, the reference pass
//! that stops early, and block-wise replay, which walks it backward.

mod block;
mod build;
mod processor;
mod replay;
mod site;
mod time;
mod transformer;

use engine::{
    Device, Tensor,
    nn::{Conv2d, GroupNorm, Precision, Replace},
    ops,
};

pub use block::{Block, Frame};
pub use processor::{Plain, Processor};
pub use replay::{Recording, Replay};
pub use site::{Part, Site, sites};

use crate::resnet::Resnet;
use site::is_cross;
use time::TimeEmbedding;
use transformer::Transformer;

/// The U-Net, as a rule frozen. A copy shares the weights.
#[derive(Clone)]
pub struct UNet {
    time: TimeEmbedding,
    steps: Vec<Step>,
    sites: Vec<Site>,
    /// Of the weights.
    precision: Precision,
    /// Tapes of recorded passes stay until their replay.
    tapes: bool,
}

/// A stretch of layers between two places where the skip stack is touched;
/// also the unit of block-wise replay.
#[derive(Clone)]
struct Step {
    /// Begins by joining the top of the skip stack to its input.
    pops: bool,
    /// Ends by pushing its output on the skip stack.
    pushes: bool,
    layers: Vec<Layer>,
}

#[derive(Clone)]
enum Layer {
    Conv(Conv2d),
    Resnet(Box<Resnet>),
    Transformer(Box<Transformer>),
    /// The last norm with SiLU and the convolution to latents.
    Out(Box<GroupNorm>, Conv2d),
}

impl UNet {
    /// The transformers in order of computation.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The same U-Net, of whose recorded passes the tapes stay in memory until the replay,
    /// which then need not run the steps again. Gradients are the same to the bit. In bf16
    /// no tape stays, for there the replay starts from rounded inputs.
    pub fn with_tapes(&self, tapes: bool) -> Self {
        Self { tapes: tapes && self.precision != Precision::Bf16, ..self.clone() }
    }

    /// Whether [tapes stay](Self::with_tapes).
    pub fn has_tapes(&self) -> bool {
        self.tapes
    }

    /// The same U-Net with other projections (diffusers' names, such as
    /// `mid_block.attentions.0.transformer_blocks.0.attn2.to_k`) in its attentions.
    pub fn replaced(&self, replace: &Replace) -> Self {
        let mut unet = self.clone();
        for layer in unet.steps.iter_mut().flat_map(|step| &mut step.layers) {
            if let Layer::Transformer(transformer) = layer {
                **transformer = transformer.replaced(replace);
            }
        }
        unet
    }

    /// Predicts the noise in `x`.
    ///
    /// # Shapes
    /// `x [batch, height, width, latent channels]`, height and width multiples
    /// of the U-Net's own downsampling (8); `timesteps` one for all or one a
    /// sample; `context [batch or a divisor of it, positions, width]`:
    /// consecutive samples share a row of it.
    pub fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f64],
        context: &Tensor<3>,
        processor: &mut dyn Processor,
    ) -> Tensor<4> {
        self.run(self.steps.len(), x, timesteps, context, processor)
    }

    /// Runs only as far as the transformer at `site`: what a processor gathers
    /// up to there is complete, the rest is never computed.
    pub fn forward_until(
        &self,
        site: usize,
        x: Tensor<4>,
        timesteps: &[f64],
        context: &Tensor<3>,
        processor: &mut dyn Processor,
    ) {
        self.run(self.steps_until(site), x, timesteps, context, processor);
    }

    /// The first `count` steps without a tape.
    fn run(
        &self,
        count: usize,
        x: Tensor<4>,
        timesteps: &[f64],
        context: &Tensor<3>,
        processor: &mut dyn Processor,
    ) -> Tensor<4> {
        let time = self.time_rows(timesteps, x.dims()[0], &x.device());
        self.walk(count, x, &mut |i, h, skip| {
            self.steps[i].forward(h, skip, &time, context, processor)
        })
    }

    /// Number of steps up to and with the one that holds a transformer.
    fn steps_until(&self, site: usize) -> usize {
        let holds = |step: &Step| step.site().is_some_and(|s| s.index == site);
        self.steps.iter().position(holds).map_or(self.steps.len(), |i| i + 1)
    }

    /// Works through the first `count` steps: `run` makes a step's output of its number, its
    /// input and its skip.
    fn walk(
        &self,
        count: usize,
        x: Tensor<4>,
        run: &mut dyn FnMut(usize, Tensor<4>, Option<Tensor<4>>) -> Tensor<4>,
    ) -> Tensor<4> {
        let mut skips = Vec::new();
        let mut h = x;
        for (i, step) in self.steps[..count].iter().enumerate() {
            let skip = step.pops.then(|| skips.pop().expect("a skip for every decoder step"));
            h = run(i, h, skip);
            if step.pushes {
                skips.push(h.clone());
            }
        }
        h
    }

    /// The time embedding with its SiLU: one row for all samples or one each.
    fn time_rows(&self, timesteps: &[f64], samples: usize, device: &Device) -> Tensor<2> {
        assert!(
            timesteps.len() == 1 || timesteps.len() == samples,
            "one timestep for all or one a sample"
        );
        ops::silu(self.time.forward(timesteps, device))
    }
}

impl Step {
    fn forward(
        &self,
        x: Tensor<4>,
        skip: Option<Tensor<4>>,
        time: &Tensor<2>,
        context: &Tensor<3>,
        processor: &mut dyn Processor,
    ) -> Tensor<4> {
        let mut h = match skip {
            Some(skip) => ops::join(x, skip),
            None => x,
        };
        for layer in &self.layers {
            h = match layer {
                Layer::Conv(conv) => conv.forward(h),
                Layer::Resnet(resnet) => resnet.forward(h, Some(time)),
                Layer::Transformer(transformer) => transformer.forward(h, context, processor),
                Layer::Out(norm, conv) => conv.forward(norm.forward_silu(h)),
            };
        }
        h
    }

    /// The one transformer that a step may have.
    fn site(&self) -> Option<&Site> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::Transformer(transformer) => Some(&transformer.site),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
