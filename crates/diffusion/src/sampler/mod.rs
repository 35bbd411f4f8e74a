//! Samplers: short functions over a [`Denoiser`](crate::denoise::Denoiser)
//! that know no method, one a file, and one table of their names.

mod ddim;
mod dpmpp_2m;
mod dpmpp_2m_sde;
mod euler;
mod euler_ancestral;
mod heun;
mod lcm;
mod plan;
mod pndm;
mod run;
mod spacing;
mod unipc;

use std::{fmt, str::FromStr};

use engine::Tensor;

use crate::{Error, Result, denoise::Denoiser, schedule::Schedule};
use run::Run;
use spacing::Spacing;

pub use plan::Plan;

/// How steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Solver {
    Ddim,
    Pndm,
    Euler,
    EulerAncestral,
    Heun,
    Dpmpp2m,
    Dpmpp2mSde,
    UniPc,
    Lcm,
}

impl Solver {
    fn solve(self, run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
        match self {
            Self::Ddim => ddim::ddim(run, latents),
            Self::Pndm => pndm::pndm(run, latents),
            Self::Euler => euler::euler(run, latents),
            Self::EulerAncestral => euler_ancestral::euler_ancestral(run, latents),
            Self::Heun => heun::heun(run, latents),
            Self::Dpmpp2m => dpmpp_2m::dpmpp_2m(run, latents),
            Self::Dpmpp2mSde => dpmpp_2m_sde::dpmpp_2m_sde(run, latents),
            Self::UniPc => unipc::unipc(run, latents),
            Self::Lcm => lcm::lcm(run, latents),
        }
    }

    /// How often the model is asked in `steps` steps.
    fn evaluations(self, steps: usize) -> usize {
        match self {
            Self::Heun => 2 * steps - 1,
            Self::Pndm if steps > 1 => steps + 1,
            _ => steps,
        }
    }
}

/// What CompVis' program calls PNDM.
const PLMS: &str = "plms";

/// A sampler: how its steps are taken, and where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampler {
    name: &'static str,
    solver: Solver,
    spacing: Spacing,
}

const fn sampler(name: &'static str, solver: Solver, spacing: Spacing) -> Sampler {
    Sampler { name, solver, spacing }
}

impl Sampler {
    /// All of them, the default first. `-karras` takes the noise levels of
    /// Karras et al. 2022; `ddim` has the timesteps of CompVis' program, as
    /// ViCo used it, `-diffusers` and `-leading` diffusers' leading ones.
    pub const ALL: [Self; 16] = [
        sampler("ddim", Solver::Ddim, Spacing::Compvis),
        sampler("ddim-diffusers", Solver::Ddim, Spacing::Leading),
        sampler("pndm", Solver::Pndm, Spacing::Leading),
        sampler("euler", Solver::Euler, Spacing::Linear),
        sampler("euler-karras", Solver::Euler, Spacing::Karras),
        sampler("euler-leading", Solver::Euler, Spacing::LeadingToClean),
        sampler("euler-a", Solver::EulerAncestral, Spacing::Linear),
        sampler("heun", Solver::Heun, Spacing::Linear),
        sampler("heun-karras", Solver::Heun, Spacing::Karras),
        sampler("dpmpp-2m", Solver::Dpmpp2m, Spacing::LinearWhole),
        sampler("dpmpp-2m-karras", Solver::Dpmpp2m, Spacing::KarrasWhole),
        sampler("dpmpp-2m-sde", Solver::Dpmpp2mSde, Spacing::LinearWhole),
        sampler("dpmpp-2m-sde-karras", Solver::Dpmpp2mSde, Spacing::KarrasWhole),
        sampler("unipc", Solver::UniPc, Spacing::LinearWhole),
        sampler("unipc-karras", Solver::UniPc, Spacing::KarrasWhole),
        sampler("lcm", Solver::Lcm, Spacing::Lcm),
    ];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Checks the settings and lays the steps out, in sampling order.
    pub fn plan(self, schedule: &Schedule, settings: &Settings) -> Result<Plan> {
        let Settings { steps, eta } = *settings;
        let (name, most) = (self.name, self.spacing.most(schedule));
        if !(1..=most).contains(&steps) {
            let expected = format!("expected a number from 1 to {most} with {name}");
            return Err(Error::Sampling(format!("steps is {steps}, {expected}")));
        }
        if !(0.0..=1.0).contains(&eta) {
            let expected = "expected a number from 0 (deterministic) to 1";
            return Err(Error::Sampling(format!("eta is {eta}, {expected}")));
        }
        if eta > 0.0 && self.solver != Solver::Ddim {
            let advice = "only ddim and ddim-diffusers take it: leave it out";
            return Err(Error::Sampling(format!(
                "eta is {eta}, but the sampler is {name}; {advice}"
            )));
        }
        let levels = self.spacing.levels(schedule, steps);
        let prediction = schedule.config().prediction_type;
        Ok(Plan { sampler: self, levels, eta, prediction })
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let name = if name == PLMS { "pndm" } else { name };
        Self::ALL.into_iter().find(|s| s.name == name).ok_or_else(|| {
            let far = |s: &Self| strsim::levenshtein(s.name, &name.to_lowercase());
            let nearest = Self::ALL.into_iter().min_by_key(far).unwrap_or_default();
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Sampling(format!(
                "unknown sampler \"{name}\": did you mean {nearest}? There are {known}"
            ))
        })
    }
}

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Number of steps, at least 1.
    pub steps: usize,
    /// Fresh noise a step, for DDIM only. 0: deterministic; 1: as much as the
    /// forward process has.
    pub eta: f64,
}

/// Works a plan off, from the latents that [`Plan::start`] gives. `noise` is
/// drawn only where a step adds noise; `watch` sees the latents behind each
/// evaluation of the model, in the sampler's own scale, and may end the run
/// with an error.
///
/// # Shapes
/// `latents [batch, height, width, channels]`, noise of the same shape.
pub fn sample(
    plan: &Plan,
    denoiser: &mut dyn Denoiser,
    latents: Tensor<4>,
    noise: &mut dyn FnMut() -> Tensor<4>,
    watch: &mut dyn FnMut(usize, &Tensor<4>) -> Result<()>,
) -> Result<Tensor<4>> {
    let mut run = Run { plan, denoiser, noise, watch, done: 0 };
    plan.sampler.solver.solve(&mut run, latents)
}
