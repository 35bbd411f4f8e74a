use std::cell::RefCell;

use engine::{
    Tensor,
    nn::{Conv2d, ConvShape, GroupNorm, LayerNorm, Linear, WeightSource},
    params::{Param, Params},
};

use super::Weights;
use crate::{Error, Result};

/// Hands out a model's weights as plain tensors and keeps them by name: the start of a
/// training of all of them. The names are diffusers', whatever the file has; 1x1
/// convolutions are matrices.
pub(crate) struct Collecting<'a> {
    weights: &'a Weights,
    params: RefCell<Params>,
}

impl<'a> Collecting<'a> {
    pub fn new(weights: &'a Weights) -> Self {
        Self { weights, params: RefCell::default() }
    }

    /// What was handed out.
    pub fn into_params(self) -> Params {
        self.params.into_inner()
    }

    /// Keeps a weight whose shape in the file is one of `shapes`, as the first of them.
    fn keep(&self, name: &str, shapes: &[&[usize]]) -> Result<()> {
        let values = self.weights.read(name, shapes)?;
        let param = Param::new(values, shapes[0], self.weights.device());
        self.params.borrow_mut().insert(name, param);
        Ok(())
    }

    fn keep_vectors(&self, name: &str, length: usize) -> Result<()> {
        self.keep(&format!("{name}.weight"), &[&[length]])?;
        self.keep(&format!("{name}.bias"), &[&[length]])
    }
}

impl WeightSource for Collecting<'_> {
    type Error = Error;

    fn linear(&self, name: &str, inputs: usize, outputs: usize, bias: bool) -> Result<Linear> {
        let shapes: [&[usize]; 2] = [&[outputs, inputs], &[outputs, inputs, 1, 1]];
        self.keep(&format!("{name}.weight"), &shapes)?;
        if bias {
            self.keep(&format!("{name}.bias"), &[&[outputs]])?;
        }
        let Ok(layer) = self.params.borrow().linear(name, inputs, outputs, bias);
        Ok(layer)
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d> {
        self.keep(&format!("{name}.weight"), &[&[shape.outputs, shape.inputs, 3, 3]])?;
        self.keep(&format!("{name}.bias"), &[&[shape.outputs]])?;
        let Ok(layer) = self.params.borrow().conv(name, shape);
        Ok(layer)
    }

    fn group_norm(
        &self,
        name: &str,
        groups: usize,
        channels: usize,
        epsilon: f64,
    ) -> Result<GroupNorm> {
        self.keep_vectors(name, channels)?;
        let Ok(layer) = self.params.borrow().group_norm(name, groups, channels, epsilon);
        Ok(layer)
    }

    fn layer_norm(&self, name: &str, channels: usize, epsilon: f64) -> Result<LayerNorm> {
        self.keep_vectors(name, channels)?;
        let Ok(layer) = self.params.borrow().layer_norm(name, channels, epsilon);
        Ok(layer)
    }

    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>> {
        self.keep(name, &[&[rows, width]])?;
        let Ok(table) = self.params.borrow().table(name, rows, width);
        Ok(table)
    }
}
