//! The noise schedule: how much of the picture is left at a timestep.

use engine::Tensor;

use crate::config::{Prediction, ScheduleConfig};

/// How noisy latents are: `sqrt(alpha) picture + sqrt(1 - alpha) noise`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The timestep that the model is told; some samplers ask between two.
    pub timestep: f64,
    /// `alphas_cumprod`: the fraction of signal power left, 1 for no noise.
    pub alpha: f64,
}

impl Level {
    /// No noise at all.
    pub const CLEAN: Self = Self { timestep: 0.0, alpha: 1.0 };

    /// The level at which the noise is `sigma` times as strong as the picture.
    pub fn at_sigma(timestep: f64, sigma: f64) -> Self {
        Self { timestep, alpha: 1.0 / (1.0 + sigma * sigma) }
    }

    /// Noise over signal, `sqrt((1 - alpha) / alpha)`.
    pub fn sigma(&self) -> f64 {
        ((1.0 - self.alpha) / self.alpha).sqrt()
    }
}

impl Prediction {
    /// The noise in latents `x` at a level, of which the model predicted `said`:
    /// `sqrt(alpha) v + sqrt(1 - alpha) x` where it says v.
    ///
    /// # Shapes
    /// `x` and `said` as the result.
    pub fn noise(self, said: Tensor<4>, x: Tensor<4>, at: Level) -> Tensor<4> {
        match self {
            Self::Noise => said,
            Self::Velocity => said * at.alpha.sqrt() + x * (1.0 - at.alpha).sqrt(),
        }
    }
}

/// `alphas_cumprod` of the forward process (Ho et al. 2020), computed in f64
/// and rounded once, as the original latent-diffusion program does it.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    alphas_cumprod: Vec<f64>,
}

impl Schedule {
    /// The table of a configuration.
    pub fn new(config: &ScheduleConfig) -> Self {
        let n = config.num_train_timesteps;
        let scaled = config.beta_schedule == "scaled_linear";
        let (start, end) = if scaled {
            (config.beta_start.sqrt(), config.beta_end.sqrt())
        } else {
            (config.beta_start, config.beta_end)
        };
        let mut product = 1.0;
        let alphas_cumprod = (0..n)
            .map(|i| {
                let step = start + (end - start) * i as f64 / (n - 1) as f64;
                let beta = if scaled { step * step } else { step };
                product *= 1.0 - beta;
                product
            })
            .collect();
        Self { config: config.clone(), alphas_cumprod }
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &ScheduleConfig {
        &self.config
    }

    /// Number of timesteps.
    pub fn len(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// Never true; a schedule has at least two steps.
    pub fn is_empty(&self) -> bool {
        self.alphas_cumprod.is_empty()
    }

    /// The fraction of signal power left at timestep `t`.
    ///
    /// # Panics
    /// If `t` is not below [`Schedule::len`].
    pub fn alpha(&self, t: usize) -> f64 {
        self.alphas_cumprod[t]
    }

    /// The level of timestep `t`.
    ///
    /// # Panics
    /// If `t` is not below [`Schedule::len`].
    pub fn level(&self, t: usize) -> Level {
        Level { timestep: t as f64, alpha: self.alpha(t) }
    }

    /// `sqrt(a_t) x0 + sqrt(1 - a_t) noise`, each sample at its own timestep.
    ///
    /// # Shapes
    /// `x0, noise [batch, h, w, c]`; one timestep a sample.
    pub fn add_noise(&self, x0: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        let [signal, rest] = self.factors(timesteps, &x0);
        x0 * signal + noise * rest
    }

    /// What the model is to predict of `x0` under `noise`: the noise, or
    /// `sqrt(a_t) noise - sqrt(1 - a_t) x0`.
    ///
    /// # Shapes
    /// As [`Schedule::add_noise`].
    pub fn target(&self, x0: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        match self.config.prediction_type {
            Prediction::Noise => noise,
            Prediction::Velocity => {
                let [signal, rest] = self.factors(timesteps, &x0);
                noise * signal - x0 * rest
            }
        }
    }

    /// `sqrt(a_t)` and `sqrt(1 - a_t)`, a row a sample, beside `x`.
    fn factors(&self, timesteps: &[usize], x: &Tensor<4>) -> [Tensor<4>; 2] {
        [f64::sqrt as fn(f64) -> f64, |a| (1.0 - a).sqrt()].map(|f| {
            let values: Vec<f32> = timesteps.iter().map(|&t| f(self.alpha(t)) as f32).collect();
            engine::tensor(values, [timesteps.len(), 1, 1, 1], &x.device())
        })
    }
}
