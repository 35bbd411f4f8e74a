//! Samplers: short functions over a [`Denoiser`](crate::denoise::Denoiser)
//! that know no method.

mod ddim;

use std::{fmt, str::FromStr};

use engine::Tensor;

use crate::{Error, Result, config::ScheduleConfig, denoise::Denoiser, schedule::Schedule};

pub use ddim::{Step, compvis_timesteps, diffusers_timesteps};

/// The samplers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampler {
    /// DDIM with the timesteps of CompVis' program (`1, 21, 41, ..`), as ViCo
    /// used it.
    #[default]
    Ddim,
    /// DDIM as diffusers' `DDIMScheduler` does it (leading spacing with the
    /// model's own `steps_offset`).
    DdimDiffusers,
}

impl Sampler {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ddim, Self::DdimDiffusers];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::DdimDiffusers => "ddim-diffusers",
        }
    }

    /// Checks the settings and lays the steps out, in sampling order.
    pub fn plan(self, schedule: &Schedule, settings: &Settings) -> Result<Vec<Step>> {
        settings.check(schedule)?;
        let ScheduleConfig { steps_offset, set_alpha_to_one, .. } = *schedule.config();
        Ok(match self {
            Self::Ddim => ddim::compvis(schedule, settings),
            Self::DdimDiffusers => {
                ddim::diffusers(schedule, settings, steps_offset, set_alpha_to_one)
            }
        })
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Sampling(format!("unknown sampler \"{name}\": choose one of {known}"))
        })
    }
}

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Number of steps, at least 1.
    pub steps: usize,
    /// 0: deterministic; 1: as much fresh noise a step as the forward process has.
    pub eta: f64,
}

impl Settings {
    fn check(&self, schedule: &Schedule) -> Result<()> {
        let most = schedule.len();
        if !(1..=most).contains(&self.steps) {
            return Err(Error::Sampling(format!(
                "steps is {}, expected a number from 1 to {most}",
                self.steps
            )));
        }
        if !(0.0..=1.0).contains(&self.eta) {
            return Err(Error::Sampling(format!(
                "eta is {}, expected a number from 0 (deterministic) to 1",
                self.eta
            )));
        }
        Ok(())
    }
}

/// Samples by DDIM. `noise` is drawn only where a step adds noise; `watch`
/// sees the latents after each step and may end the run with an error.
///
/// # Shapes
/// `latents [batch, height, width, channels]`, noise of the same shape.
pub fn sample(
    plan: &[Step],
    denoiser: &mut dyn Denoiser,
    latents: Tensor<4>,
    noise: &mut dyn FnMut() -> Tensor<4>,
    watch: &mut dyn FnMut(usize, &Tensor<4>) -> Result<()>,
) -> Result<Tensor<4>> {
    let mut x = latents;
    for (i, step) in plan.iter().enumerate() {
        let predicted = denoiser.predict(x.clone(), step.timestep as f64)?;
        x = step.advance(x, predicted, noise);
        watch(i, &x)?;
    }
    Ok(x)
}
