//! The steps of one sampling run.

use engine::Tensor;

use super::Sampler;
use crate::{Error, Result, config::Prediction, schedule::Level};

/// The noise levels that a sampler passes through, and how it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) sampler: Sampler,
    /// One more than there are steps; the last is where the last step leads.
    pub(super) levels: Vec<Level>,
    pub(super) eta: f64,
    pub(super) prediction: Prediction,
}

impl Plan {
    /// The sampler.
    pub fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// The noise levels, one more than there are steps.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.levels.len() - 1
    }

    /// How often the model is asked: what progress counts.
    pub fn evaluations(&self) -> usize {
        self.sampler.solver.evaluations(self.steps())
    }

    /// The part of the plan that changes a picture by `strength`: the last
    /// `strength * steps` steps, rounded down, as diffusers'
    /// `StableDiffusionImg2ImgPipeline` takes them.
    ///
    /// # Errors
    /// If the strength is not from 0 to 1, or so small that no step is left.
    pub fn shortened(self, strength: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&strength) {
            let expected = "expected a number from 0 (the picture as it is) to 1";
            return Err(Error::Sampling(format!("strength is {strength}, {expected}")));
        }
        let steps = self.steps();
        let kept = (steps as f64 * strength) as usize;
        if kept == 0 {
            let least = 1.0 / steps as f64;
            return Err(Error::Sampling(format!(
                "strength is {strength}, which leaves none of the {steps} steps: \
                 take {least:.3} or more, or more steps"
            )));
        }
        Ok(Self { levels: self.levels[steps - kept..].to_vec(), ..self })
    }

    /// The latents to start from, by `noise` of unit variance: noise alone, or
    /// a picture's latents under as much of it as the first level has.
    ///
    /// # Shapes
    /// `[batch, height, width, channels]`, all three.
    pub fn start(&self, noise: Tensor<4>, picture: Option<Tensor<4>>) -> Tensor<4> {
        let alpha = self.levels[0].alpha;
        match picture {
            Some(picture) => picture * alpha.sqrt() + noise * (1.0 - alpha).sqrt(),
            // Samplers that come from k-diffusion begin with `sigma * noise`;
            // that the picture is missing in it is not made up for.
            None if self.sampler.spacing.starts_at_sigma() => noise * (1.0 - alpha).sqrt(),
            None => noise,
        }
    }
}
