//! AdamW over named parameters.

use std::collections::BTreeMap;

use kernels::AdamWStep;

use crate::{
    params::{Gradients, Params},
    values,
};

/// AdamW's constants (Loshchilov and Hutter 2019, decoupled weight decay).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Fraction of `learning rate * weight` taken off each step.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// The two moments of one parameter, flat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Vec<f32>,
    /// Running mean of its square.
    pub second: Vec<f32>,
}

/// AdamW with its state; the state is plain data for the checkpoint.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    step: u64,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// Before the first step.
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, step: 0, moments: BTreeMap::new() }
    }

    /// From a checkpoint.
    pub fn resume(config: AdamWConfig, step: u64, moments: BTreeMap<String, Moments>) -> Self {
        Self { config, step, moments }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The state by parameter name.
    pub fn moments(&self) -> impl Iterator<Item = (&str, &Moments)> {
        self.moments.iter().map(|(name, m)| (name.as_str(), m))
    }

    /// One step; `learning_rate` is asked for each parameter by name.
    /// Parameters without a gradient are left as they are.
    pub fn step(
        &mut self,
        params: &mut Params,
        gradients: &mut Gradients,
        learning_rate: impl Fn(&str) -> f64,
    ) {
        self.step += 1;
        let names: Vec<String> = params.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let Some(gradient) = gradients.remove(&name) else { continue };
            let gradient = values(gradient);
            let moments = self.moments.entry(name.clone()).or_insert_with(|| Moments {
                first: vec![0.0; gradient.len()],
                second: vec![0.0; gradient.len()],
            });
            let step = factors(&self.config, self.step, learning_rate(&name));
            let Moments { first, second } = moments;
            params.replace(&name, |mut weights| {
                step.apply(kernels::level(), &mut weights, &gradient, first, second);
                weights
            });
        }
    }
}

/// The factors of one step, rounded once as PyTorch does it.
fn factors(config: &AdamWConfig, step: u64, learning_rate: f64) -> AdamWStep {
    let t = i32::try_from(step).unwrap_or(i32::MAX);
    AdamWStep {
        keep: (1.0 - learning_rate * config.weight_decay) as f32,
        beta1: config.beta1 as f32,
        beta2: config.beta2 as f32,
        one_minus_beta1: (1.0 - config.beta1) as f32,
        one_minus_beta2: (1.0 - config.beta2) as f32,
        root_correction: (1.0 - config.beta2.powi(t)).sqrt() as f32,
        step_size: (learning_rate / (1.0 - config.beta1.powi(t))) as f32,
        epsilon: config.epsilon as f32,
    }
}
