//! DDIM (Song et al. 2021, equation 12).

use engine::Tensor;

use super::Settings;
use crate::schedule::Schedule;

/// One step of DDIM.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Timestep at which the noise is predicted.
    pub timestep: usize,
    /// `alphas_cumprod` there.
    pub alpha: f64,
    /// `alphas_cumprod` where the step leads.
    pub alpha_prev: f64,
    /// Standard deviation of the fresh noise.
    pub sigma: f64,
}

impl Step {
    fn new(timestep: usize, alpha: f64, alpha_prev: f64, eta: f64) -> Self {
        let variance = (1.0 - alpha_prev) / (1.0 - alpha) * (1.0 - alpha / alpha_prev);
        Self { timestep, alpha, alpha_prev, sigma: eta * variance.max(0.0).sqrt() }
    }

    pub(super) fn advance(
        &self,
        x: Tensor<4>,
        predicted: Tensor<4>,
        noise: &mut dyn FnMut() -> Tensor<4>,
    ) -> Tensor<4> {
        let clean = (x - predicted.clone() * (1.0 - self.alpha).sqrt()) / self.alpha.sqrt();
        let direction = (1.0 - self.alpha_prev - self.sigma.powi(2)).max(0.0).sqrt();
        let next = clean * self.alpha_prev.sqrt() + predicted * direction;
        if self.sigma > 0.0 { next + noise() * self.sigma } else { next }
    }
}

/// The ascending timesteps of CompVis' `make_ddim_timesteps`: `1, 1 + c, ..`
/// with `c = total / steps`. For some counts that is one more than was asked
/// for (30 of 1000 gives 31), as it is there. Where the original runs past
/// the schedule and fails (3, 9, 27, 36, 37, .. of 1000), the steps are spread
/// evenly over the schedule instead.
///
/// # Panics
/// If `steps` is 0 or more than `total`.
pub fn compvis_timesteps(total: usize, steps: usize) -> Vec<usize> {
    let timesteps: Vec<usize> = (0..total).step_by(total / steps).map(|t| t + 1).collect();
    if timesteps.last().is_some_and(|&t| t < total) {
        return timesteps;
    }
    let offset = usize::from(steps < total);
    (0..steps).map(|i| i * total / steps + offset).collect()
}

/// The ascending timesteps of diffusers' leading spacing:
/// `offset, offset + c, ..`, exactly `steps` of them.
///
/// # Panics
/// If `steps` is 0 or more than `total`.
pub fn diffusers_timesteps(total: usize, steps: usize, offset: usize) -> Vec<usize> {
    let stride = total / steps;
    (0..steps).map(|i| (i * stride + offset).min(total - 1)).collect()
}

pub(super) fn compvis(schedule: &Schedule, settings: &Settings) -> Vec<Step> {
    let timesteps = compvis_timesteps(schedule.len(), settings.steps);
    // The step behind the last leads to the first alpha.
    let previous = std::iter::once(0).chain(timesteps.iter().copied());
    let mut plan: Vec<Step> = timesteps
        .iter()
        .zip(previous)
        .map(|(&t, before)| Step::new(t, schedule.alpha(t), schedule.alpha(before), settings.eta))
        .collect();
    plan.reverse();
    plan
}

pub(super) fn diffusers(
    schedule: &Schedule,
    settings: &Settings,
    offset: usize,
    alpha_one: bool,
) -> Vec<Step> {
    let stride = schedule.len() / settings.steps;
    let last = if alpha_one { 1.0 } else { schedule.alpha(0) };
    diffusers_timesteps(schedule.len(), settings.steps, offset)
        .into_iter()
        .rev()
        .map(|t| {
            let before = t.checked_sub(stride).map_or(last, |t| schedule.alpha(t));
            Step::new(t, schedule.alpha(t), before, settings.eta)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_count_works() {
        for steps in 1..=1000 {
            let timesteps = compvis_timesteps(1000, steps);
            assert!(timesteps.is_sorted_by(|a, b| a < b), "{steps} steps ascend");
            assert!(*timesteps.last().unwrap() < 1000, "{steps} steps stay in the schedule");
            assert!(timesteps.len() >= steps, "{steps} steps are at least as many as asked for");
        }
    }

    #[test]
    fn counts_that_failed_in_the_original_are_spread_evenly() {
        assert_eq!(compvis_timesteps(1000, 3), [1, 334, 667]);
        assert_eq!(compvis_timesteps(1000, 9).len(), 9);
        assert_eq!(compvis_timesteps(1000, 30).len(), 31);
    }
}
