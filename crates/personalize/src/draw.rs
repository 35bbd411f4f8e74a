//! Random numbers by name.
//!
//! Every draw of a training comes from the stream of its own name under the
//! run's seed: `step 12 sample 3 noise` is the same number in a run that was
//! resumed, in one with other previews, and in one with another batch before.

use engine::rng::TorchRng;

/// The named streams of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    seed: u64,
}

impl Draw {
    /// Streams of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Normal numbers.
    pub fn normal(&self, name: &str, count: usize) -> Vec<f32> {
        TorchRng::derive(self.seed, name).randn(count)
    }

    /// Numbers in `0.0..1.0`.
    pub fn uniform(&self, name: &str, count: usize) -> Vec<f32> {
        TorchRng::derive(self.seed, name).rand(count)
    }

    /// A whole number below `end`.
    ///
    /// # Panics
    /// If `end` is 0.
    pub fn below(&self, name: &str, end: usize) -> usize {
        assert!(end > 0, "a number below zero");
        let high = i64::try_from(end).expect("fewer choices than that");
        TorchRng::derive(self.seed, name).randint(0, high, 1)[0] as usize
    }
}
