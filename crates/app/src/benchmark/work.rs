//! How long a benchmark takes: guessed from a pass of the U-Net, then from what was done.

use std::time::Instant;

use diffusion::Base;

use super::cell::Cell;
use crate::{Compute, Result, series, train::pass_seconds};

/// Work left in a cell, in passes of the U-Net for one sample.
pub(super) fn passes(cell: &Cell) -> f64 {
    let recipe = &cell.recipe;
    let training = if cell.is_to_train() {
        let evaluation = cell.evaluation.as_ref();
        crate::train::passes(recipe) + evaluation.map_or(0.0, |e| e.passes(recipe, 0))
    } else {
        0.0
    };
    let drawing = &cell.plan.drawing;
    let guidance = drawing.scales(&recipe.method);
    training + series::passes(&recipe.method, guidance, cell.missing() * drawing.steps)
}

/// A clock for work that is counted in passes.
pub(super) struct Clock {
    started: Instant,
    /// Passes of all the work.
    all: f64,
    /// Passes of what was done.
    done: f64,
    /// Seconds of a pass, as measured before the work.
    guess: f64,
}

impl Clock {
    /// Times a pass at the size of the first cell's pictures.
    pub fn start(cells: &[&Cell], base: &Base, compute: &Compute) -> Result<Self> {
        let all = cells.iter().map(|cell| passes(cell)).sum();
        let guess = match cells.first() {
            Some(cell) => pass_seconds(base, &base.unet()?, cell.recipe.size, compute.device()),
            None => 0.0,
        };
        Ok(Self { started: Instant::now(), all, done: 0.0, guess })
    }

    /// Seconds that all of it takes, as far as is known.
    pub fn left(&self) -> f64 {
        let pass = match self.done > 0.0 {
            true => self.started.elapsed().as_secs_f64() / self.done,
            false => self.guess,
        };
        (self.all - self.done).max(0.0) * pass
    }

    /// Work that was done.
    pub fn add(&mut self, passes: f64) {
        self.done += passes;
    }
}
