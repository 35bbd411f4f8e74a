//! What every sampler works with.

use engine::Tensor;

use super::Plan;
use crate::{Result, denoise::Denoiser, schedule::Level};

/// One run of a sampler: whom it asks, and who watches.
///
/// Latents come in two scales: *scaled* ones, `sqrt(alpha) picture + sqrt(1 -
/// alpha) noise`, as the model wants them, and *unscaled* ones, `picture +
/// sigma noise`, in which most solvers are written.
pub(super) struct Run<'a> {
    pub plan: &'a Plan,
    pub denoiser: &'a mut dyn Denoiser,
    pub noise: &'a mut dyn FnMut() -> Tensor<4>,
    pub watch: &'a mut dyn FnMut(usize, &Tensor<4>) -> Result<()>,
    /// Evaluations done.
    pub done: usize,
}

impl<'a> Run<'a> {
    /// Each step: the level it starts from and the one it leads to.
    pub fn steps(&self) -> impl Iterator<Item = (Level, Level)> + use<'a> {
        self.plan.levels.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// The noise in scaled latents.
    pub fn noise_in(&mut self, x: &Tensor<4>, at: Level) -> Result<Tensor<4>> {
        let said = self.denoiser.predict(x.clone(), at)?;
        Ok(self.plan.prediction.noise(said, x.clone(), at))
    }

    /// The noise in unscaled latents: where they lead as sigma falls, `dx / dsigma`.
    pub fn slope(&mut self, x: &Tensor<4>, at: Level) -> Result<Tensor<4>> {
        self.noise_in(&(x.clone() * at.alpha.sqrt()), at)
    }

    /// The picture in unscaled latents.
    pub fn denoised(&mut self, x: &Tensor<4>, at: Level) -> Result<Tensor<4>> {
        Ok(x.clone() - self.slope(x, at)? * at.sigma())
    }

    /// The first latents, unscaled.
    pub fn unscaled(&self, x: Tensor<4>) -> Tensor<4> {
        x / self.plan.levels[0].alpha.sqrt()
    }

    /// Fresh noise of unit variance.
    pub fn fresh(&mut self) -> Tensor<4> {
        (self.noise)()
    }

    /// Shows the latents behind an evaluation.
    pub fn show(&mut self, x: &Tensor<4>) -> Result<()> {
        self.done += 1;
        (self.watch)(self.done - 1, x)
    }
}

/// How far a step goes: `ln(sigma / sigma')`, without end where it leads to no
/// noise at all.
pub(super) fn log_ratio(from: Level, to: Level) -> f64 {
    (from.sigma() / to.sigma()).ln()
}
