//! What a training carries from step to step, and its file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use engine::{
    Device,
    optim::{AdamW, AdamWConfig, Moments},
    params::{Gradients, Param, Params},
};
use formats::{Array, TensorFile, write_safetensors};

use crate::{Error, Result};

/// Steps between two updates of the running average: it is a pass over all weights.
const AVERAGE_EVERY: u64 = 4;

const STEP: &str = "toybox.step";
const PARAMS: &str = "params.";
const AVERAGE: &str = "average.";
const FIRST: &str = "first.";
const SECOND: &str = "second.";

/// Parameters, their running average and the optimizer.
pub struct State {
    params: Params,
    average: BTreeMap<String, Vec<f32>>,
    optimizer: AdamW,
}

/// AdamW's constants here; the second moment forgets faster than by default, because
/// the runs are short.
fn adamw() -> AdamWConfig {
    AdamWConfig { beta2: 0.99, weight_decay: 0.01, ..AdamWConfig::default() }
}

impl State {
    /// Before the first step.
    pub fn new(params: Params) -> Self {
        let average = params.iter().map(|(name, p)| (name.to_owned(), p.values())).collect();
        Self { params, average, optimizer: AdamW::new(adamw()) }
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.optimizer.steps()
    }

    /// The parameters as they are.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters' running average, which is what gets published.
    pub fn averaged(&self, device: &Device) -> Params {
        let mut params = Params::default();
        for (name, param) in self.params.iter() {
            let values = self.average[name].clone();
            params.insert(name, Param::new(values, param.shape(), device));
        }
        params
    }

    /// One step of AdamW, and of the average: its decay is `decay` a step, less at the
    /// beginning, when the weights still move far.
    pub fn update(&mut self, gradients: &mut Gradients, rate: f64, decay: f64) {
        self.optimizer.step(&mut self.params, gradients, |_| rate);
        let step = self.step();
        if !step.is_multiple_of(AVERAGE_EVERY) {
            return;
        }
        let early = step as f64 / (step as f64 + 100.0);
        let keep = decay.powi(AVERAGE_EVERY as i32).min(early) as f32;
        for (name, param) in self.params.iter() {
            let average = self.average.get_mut(name).expect("made from the same names");
            for (average, value) in average.iter_mut().zip(param.values()) {
                *average = value + keep * (*average - value);
            }
        }
    }

    /// Writes everything, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        for (name, param) in self.params.iter() {
            tensors.push((format!("{PARAMS}{name}"), param.shape().to_vec(), param.values()));
            let average = self.average[name].clone();
            tensors.push((format!("{AVERAGE}{name}"), param.shape().to_vec(), average));
        }
        for (name, moments) in self.optimizer.moments() {
            let shape = vec![moments.first.len()];
            tensors.push((format!("{FIRST}{name}"), shape.clone(), moments.first.clone()));
            tensors.push((format!("{SECOND}{name}"), shape, moments.second.clone()));
        }
        let arrays = tensors
            .iter()
            .map(|(name, shape, values)| (name.clone(), Array::f32(shape, values)))
            .collect();
        let metadata = BTreeMap::from([(STEP.to_owned(), self.step().to_string())]);
        Ok(write_safetensors(path, &arrays, &metadata)?)
    }

    /// Reads what [`State::save`] wrote; `fresh` says which parameters there must be.
    pub fn load(path: &Path, fresh: &Params, device: &Device) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let step = file.metadata().get(STEP).and_then(|s| s.parse().ok());
        let step = step.ok_or_else(|| Error::path(path, "is no state of a toybox training"))?;
        let mut params = Params::default();
        let mut average = BTreeMap::new();
        let mut moments = BTreeMap::new();
        for (name, param) in fresh.iter() {
            let read = |prefix: &str, shape: &[usize]| -> Result<Vec<f32>> {
                let name = format!("{prefix}{name}");
                file.expect_shape(&name, shape)?;
                Ok(file.f32(&name)?)
            };
            let values = read(PARAMS, param.shape())?;
            params.insert(name, Param::new(values, param.shape(), device));
            average.insert(name.to_owned(), read(AVERAGE, param.shape())?);
            if file.contains(&format!("{FIRST}{name}")) {
                let flat = [param.len()];
                let one = Moments { first: read(FIRST, &flat)?, second: read(SECOND, &flat)? };
                moments.insert(name.to_owned(), one);
            }
        }
        Ok(Self { params, average, optimizer: AdamW::resume(adamw(), step, moments) })
    }

    /// Where a run keeps its state.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("state.safetensors")
    }
}
