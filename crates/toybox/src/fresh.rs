//! Initial weights.

use std::{cell::RefCell, convert::Infallible};

use engine::{
    Device, Tensor,
    nn::{Conv2d, ConvShape, Linear, WeightSource},
    params::{Param, Params},
    rng::TorchRng,
};

/// Hands out random weights to a model that is being built, and keeps them: the
/// parameters of a training that starts from nothing.
///
/// Each tensor comes from the random stream of its own name, so a model with one more
/// layer starts with the same values in all others.
pub struct Fresh {
    seed: u64,
    device: Device,
    params: RefCell<Params>,
}

/// Layers that begin as zero, so that a residual block begins as the identity (He et
/// al. 2016; Goyal et al. 2017) and the U-Net's first prediction is zero.
fn begins_as_zero(name: &str) -> bool {
    name == "conv_out" || name.ends_with(".conv2") || name.ends_with(".proj_out")
}

impl Fresh {
    /// Weights under a seed.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { seed, device: device.clone(), params: RefCell::default() }
    }

    /// What was handed out.
    pub fn into_params(self) -> Params {
        self.params.into_inner()
    }

    /// Uniform within `1 / sqrt(fan_in)`, PyTorch's default for linear layers and
    /// convolutions.
    fn uniform(&self, name: &str, shape: &[usize], fan_in: usize) {
        let bound = if begins_as_zero(name) { 0.0 } else { 1.0 / (fan_in as f32).sqrt() };
        self.weights(name, "weight", shape, bound);
    }

    fn weights(&self, name: &str, part: &str, shape: &[usize], bound: f32) {
        let name = format!("{name}.{part}");
        let count = shape.iter().product();
        let draw = TorchRng::derive(self.seed, &name).rand(count);
        self.insert(name, draw.into_iter().map(|u| (2.0 * u - 1.0) * bound).collect(), shape);
    }

    fn insert(&self, name: String, values: Vec<f32>, shape: &[usize]) {
        self.params.borrow_mut().insert(name, Param::new(values, shape, &self.device));
    }
}

impl WeightSource for Fresh {
    type Error = Infallible;

    fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, Infallible> {
        self.uniform(name, &[outputs, inputs], inputs);
        if bias {
            self.insert(format!("{name}.bias"), vec![0.0; outputs], &[outputs]);
        }
        self.params.borrow().linear(name, inputs, outputs, bias)
    }

    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d, Infallible> {
        self.uniform(name, &[shape.outputs, shape.inputs, 3, 3], 9 * shape.inputs);
        self.insert(format!("{name}.bias"), vec![0.0; shape.outputs], &[shape.outputs]);
        self.params.borrow().conv(name, shape)
    }

    /// Norms begin as the identity.
    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>, Infallible> {
        let value = if name.ends_with(".bias") { 0.0 } else { 1.0 };
        self.insert(name.to_owned(), vec![value; length], &[length]);
        self.params.borrow().vector(name, length)
    }

    /// Normal with a standard deviation of 0.02, as CLIP's tables begin.
    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>, Infallible> {
        let draw = TorchRng::derive(self.seed, name).randn(rows * width);
        let values = draw.into_iter().map(|x| 0.02 * x).collect();
        self.insert(name.to_owned(), values, &[rows, width]);
        self.params.borrow().table(name, rows, width)
    }
}
