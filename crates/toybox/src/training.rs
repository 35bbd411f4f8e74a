//! The loop that every training here runs in.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use engine::{
    Tensor,
    params::{Gradients, Params},
    replay, values,
};

use crate::{Error, Result, state::State};

/// How often a run's state is written.
const SAVE_EVERY: Duration = Duration::from_secs(240);

/// Steps whose losses are averaged into one line.
const REPORT_EVERY: u64 = 50;

/// Steps over which the learning rate rises.
const WARM_UP: u64 = 300;

/// The part of a run, at its end, in which the learning rate falls to zero.
const COOL_DOWN: f64 = 0.3;

/// How a training runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Steps in all.
    pub steps: u64,
    /// The learning rate between warm-up and cool-down.
    pub rate: f64,
    /// Decay a step of the running average of the weights.
    pub average: f64,
    /// The length that gradients are cut to, over all parameters.
    pub clip: f64,
}

impl Plan {
    /// The learning rate of a step (counted from 0): it rises, stays, and falls. A run
    /// that is given more steps later goes on from any state before the fall.
    pub fn rate_at(&self, step: u64) -> f64 {
        let rise = (step + 1) as f64 / WARM_UP as f64;
        let left = self.steps.saturating_sub(step) as f64;
        let fall = left / (COOL_DOWN * self.steps as f64);
        self.rate * rise.min(fall).clamp(0.0, 1.0)
    }
}

/// What is known after some steps.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss since the last report.
    pub loss: f64,
    /// Seconds a step took since the last report.
    pub seconds: f64,
}

/// Runs until the plan's last step, see [`run_until`].
pub fn run(
    folder: &Path,
    plan: &Plan,
    state: &mut State,
    stop: &AtomicBool,
    loss: &mut dyn FnMut(&Params, u64) -> Result<Tensor<1>>,
    watch: &mut dyn FnMut(Report),
) -> Result<()> {
    run_until(folder, plan, plan.steps, state, stop, loss, watch)
}

/// Runs until a step. `loss` computes one step's loss from leaves; `watch` sees a
/// report now and then. The state is written to `folder` every few minutes and at the
/// end.
///
/// # Errors
/// [`Error::Stopped`] when `stop` is set, after the state was written;
/// [`Error::NotFinite`] before a bad gradient reaches the weights.
pub fn run_until(
    folder: &Path,
    plan: &Plan,
    until: u64,
    state: &mut State,
    stop: &AtomicBool,
    loss: &mut dyn FnMut(&Params, u64) -> Result<Tensor<1>>,
    watch: &mut dyn FnMut(Report),
) -> Result<()> {
    let (mut saved, mut since, mut losses) = (Instant::now(), Instant::now(), Vec::new());
    while state.step() < until.min(plan.steps) {
        let step = state.step();
        losses.push(take_step(plan, state, loss)?);
        if state.step().is_multiple_of(REPORT_EVERY) {
            let count = losses.len() as f64;
            let seconds = since.elapsed().as_secs_f64() / count;
            let loss = losses.iter().sum::<f64>() / count;
            since = Instant::now();
            losses.clear();
            note(folder, step + 1, loss)?;
            watch(Report { step: step + 1, steps: plan.steps, loss, seconds });
        }
        let stopped = stop.load(Ordering::Relaxed);
        if stopped || saved.elapsed() > SAVE_EVERY {
            state.save(&State::path(folder))?;
            saved = Instant::now();
        }
        if stopped {
            return Err(Error::Stopped);
        }
    }
    state.save(&State::path(folder))
}

/// One step; answers its loss.
pub fn take_step(
    plan: &Plan,
    state: &mut State,
    loss: &mut dyn FnMut(&Params, u64) -> Result<Tensor<1>>,
) -> Result<f64> {
    let step = state.step();
    let leaves = state.params().leaves();
    let loss = loss(&leaves, step)?;
    let value = f64::from(values(loss.clone())[0]);
    let mut received = replay::Gradients::from(loss.backward());
    let mut gradients = Gradients::default();
    leaves.collect(&mut received, &mut gradients);
    drop(leaves);
    let length = length(&gradients);
    for (what, number) in [("loss", value), ("gradient", length)] {
        if !number.is_finite() {
            return Err(Error::NotFinite { step, what: what.to_owned() });
        }
    }
    if length > plan.clip {
        gradients.scale(plan.clip / length);
    }
    state.update(&mut gradients, plan.rate_at(step), plan.average);
    Ok(value)
}

/// The length of all gradients taken as one vector.
fn length(gradients: &Gradients) -> f64 {
    let square = |values: Vec<f32>| values.iter().map(|&x| f64::from(x * x)).sum::<f64>();
    gradients.iter().map(|(_, gradient)| square(values(gradient.clone()))).sum::<f64>().sqrt()
}

/// Adds a line to the run's `loss.csv`.
fn note(folder: &Path, step: u64, loss: f64) -> Result<()> {
    let path = folder.join("loss.csv");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|e| Error::path(&path, e))?;
    writeln!(file, "{step},{loss:.6}").map_err(|e| Error::path(&path, e))
}
