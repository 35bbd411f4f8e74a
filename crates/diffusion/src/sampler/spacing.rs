//! Timestep spacings and noise schedules: which levels a sampler visits.

use crate::schedule::{Level, Schedule};

/// Where the steps lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    /// CompVis' program: `1, 1 + c, ..`, down to the first alpha.
    Compvis,
    /// diffusers' leading spacing with the model's own offset and end.
    Leading,
    /// The same timesteps, down to no noise.
    LeadingToClean,
    /// Evenly from the last timestep to the first, between whole ones too.
    Linear,
    /// Evenly over whole timesteps, the first of which is not visited.
    LinearWhole,
    /// Karras' noise levels, at timesteps between whole ones too.
    Karras,
    /// Karras' noise levels, which the model is told as whole timesteps.
    KarrasWhole,
    /// Some of the timesteps that latent consistency models are distilled at.
    Lcm,
}

/// Timesteps that latent consistency models are distilled at.
const LCM_STEPS: usize = 50;

/// Karras' exponent.
const RHO: f64 = 7.0;

impl Spacing {
    /// The most steps it can be divided into.
    pub fn most(self, schedule: &Schedule) -> usize {
        match self {
            // With one more, two would fall on the same whole timestep.
            Self::LinearWhole => schedule.len() - 1,
            Self::Lcm => LCM_STEPS.min(schedule.len()),
            _ => schedule.len(),
        }
    }

    /// True where sampling begins with `sigma * noise`, as k-diffusion does it,
    /// and not with noise of unit variance in the model's scale.
    pub fn starts_at_sigma(self) -> bool {
        matches!(self, Self::Linear | Self::Karras)
    }

    /// The levels from the noisiest down, and the one behind the last step.
    ///
    /// # Panics
    /// If `steps` is 0 or more than [`Spacing::most`].
    pub fn levels(self, schedule: &Schedule, steps: usize) -> Vec<Level> {
        let whole = |ascending: Vec<usize>| -> Vec<Level> {
            ascending.into_iter().rev().map(|t| schedule.level(t)).collect()
        };
        let total = schedule.len();
        let (mut levels, last) = match self {
            Self::Compvis => (whole(compvis_timesteps(total, steps)), schedule.level(0)),
            Self::Leading => (whole(leading(schedule, steps)), leading_end(schedule, steps)),
            Self::LeadingToClean => (whole(leading(schedule, steps)), Level::CLEAN),
            Self::Linear => (linear(schedule, steps), Level::CLEAN),
            Self::LinearWhole => (whole(linear_whole(total, steps)), Level::CLEAN),
            Self::Karras => (karras(schedule, steps), Level::CLEAN),
            Self::KarrasWhole => (rounded(karras(schedule, steps)), Level::CLEAN),
            Self::Lcm => (whole(lcm(total, steps)), Level::CLEAN),
        };
        levels.push(last);
        levels
    }
}

/// The ascending timesteps of CompVis' `make_ddim_timesteps`: `1, 1 + c, ..`
/// with `c = total / steps`. For some counts that is one more than was asked
/// for (30 of 1000 gives 31), as it is there. Where the original runs past
/// the schedule and fails (3, 9, 27, 36, 37, .. of 1000), the steps are spread
/// evenly over the schedule instead.
fn compvis_timesteps(total: usize, steps: usize) -> Vec<usize> {
    let timesteps: Vec<usize> = (0..total).step_by(total / steps).map(|t| t + 1).collect();
    if timesteps.last().is_some_and(|&t| t < total) {
        return timesteps;
    }
    let offset = usize::from(steps < total);
    (0..steps).map(|i| i * total / steps + offset).collect()
}

/// `offset, offset + c, ..` with `c = total / steps`, exactly `steps` of them.
fn leading(schedule: &Schedule, steps: usize) -> Vec<usize> {
    let (total, offset) = (schedule.len(), schedule.config().steps_offset);
    (0..steps).map(|i| (i * (total / steps) + offset).min(total - 1)).collect()
}

/// The level one stride below the first timestep, or what the model's
/// configuration says where there is none.
fn leading_end(schedule: &Schedule, steps: usize) -> Level {
    let config = schedule.config();
    let outside = if config.set_alpha_to_one { Level::CLEAN } else { schedule.level(0) };
    let below = config.steps_offset.checked_sub(schedule.len() / steps);
    below.map_or(outside, |t| schedule.level(t.min(schedule.len() - 1)))
}

/// From the last timestep to the first. A single step starts at the last.
fn linear(schedule: &Schedule, steps: usize) -> Vec<Level> {
    let last = (schedule.len() - 1) as f64;
    let stride = last / (steps - 1).max(1) as f64;
    // Timesteps are f32 in the programs that this follows.
    let level = |i: usize| between(schedule, f64::from((i as f64 * stride) as f32));
    let first = schedule.level(schedule.len() - 1);
    std::iter::once(first).chain((0..steps - 1).rev().map(level)).collect()
}

/// The level at a timestep between two whole ones: sigma is interpolated.
fn between(schedule: &Schedule, timestep: f64) -> Level {
    let low = (timestep as usize).min(schedule.len() - 2);
    let share = timestep - low as f64;
    let sigma = |t: usize| schedule.level(t).sigma();
    Level::at_sigma(timestep, sigma(low) + (sigma(low + 1) - sigma(low)) * share)
}

fn linear_whole(total: usize, steps: usize) -> Vec<usize> {
    let stride = (total - 1) as f64 / steps as f64;
    (1..=steps).map(|i| (i as f64 * stride).round_ties_even() as usize).collect()
}

/// Levels evenly spaced in `sigma^(1/7)` (Karras et al. 2022, equation 5) over
/// the whole schedule.
fn karras(schedule: &Schedule, steps: usize) -> Vec<Level> {
    let root = |t: usize| schedule.level(t).sigma().powf(1.0 / RHO);
    let (high, low) = (root(schedule.len() - 1), root(0));
    let stride = (low - high) / (steps - 1).max(1) as f64;
    let logs: Vec<f64> = (0..schedule.len()).map(|t| schedule.level(t).sigma().ln()).collect();
    let level = |i: usize| {
        let sigma = (high + i as f64 * stride).powf(RHO);
        Level::at_sigma(timestep_of(sigma.ln(), &logs), sigma)
    };
    (0..steps).map(level).collect()
}

/// The timestep whose `ln sigma` is the given one, interpolated.
fn timestep_of(log: f64, logs: &[f64]) -> f64 {
    let low = logs.partition_point(|&l| l <= log).saturating_sub(1).min(logs.len() - 2);
    let share = (log - logs[low]) / (logs[low + 1] - logs[low]);
    low as f64 + share.clamp(0.0, 1.0)
}

fn rounded(levels: Vec<Level>) -> Vec<Level> {
    let round = |l: Level| Level { timestep: l.timestep.round_ties_even(), ..l };
    levels.into_iter().map(round).collect()
}

/// Evenly spread ones of the timesteps that the models are distilled at,
/// beginning with the last.
fn lcm(total: usize, steps: usize) -> Vec<usize> {
    let distilled = LCM_STEPS.min(total);
    let stride = distilled as f64 / steps as f64;
    let timestep = |i: usize| (distilled - (i as f64 * stride) as usize) * (total / distilled) - 1;
    (0..steps).rev().map(timestep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScheduleConfig;

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

    /// Solvers divide by the width of a step in `ln sigma`.
    #[test]
    fn levels_fall_strictly_for_every_count() {
        let schedule = Schedule::new(&ScheduleConfig::default());
        use Spacing::{Karras, KarrasWhole, Lcm, Linear, LinearWhole};
        for spacing in [Linear, LinearWhole, Karras, KarrasWhole, Lcm] {
            for steps in (1..=60).chain([999, 1000]).filter(|&s| s <= spacing.most(&schedule)) {
                let levels = spacing.levels(&schedule, steps);
                assert_eq!(levels.len(), steps + 1, "{spacing:?}, {steps} steps");
                let falls = |pair: &[Level]| pair[0].sigma() > pair[1].sigma();
                assert!(levels.windows(2).all(falls), "{spacing:?}, {steps} steps fall");
            }
        }
    }
}
