//! Frozen weights where the kernels do not serve: plain tensors, maybe of half the size,
//! maybe in the machine's memory.

use std::{fmt, sync::Arc};

use super::{Frozen, Precision};
use crate::{
    Device, Tensor, TensorData,
    ops::{self, Resize},
};

/// A frozen weight as it is kept.
#[derive(Clone)]
enum Kept<const D: usize> {
    /// On the device.
    There(Box<Tensor<D>>),
    /// In the machine's memory; each use brings it to the device anew.
    Streamed(Arc<TensorData>, Precision, Device),
}

impl<const D: usize> Kept<D> {
    fn new(values: Vec<f32>, shape: [usize; D], how: &Frozen) -> Self {
        let data = TensorData::new(values, shape).convert_dtype(how.precision.of_values());
        if how.streamed {
            return Self::Streamed(Arc::new(data), how.precision, how.device.clone());
        }
        let tensor = Tensor::from_data(data, (&how.device, how.precision.of_values()));
        Self::There(Box::new(tensor))
    }

    fn load(&self) -> Tensor<D> {
        match self {
            Self::There(tensor) => Tensor::clone(tensor),
            Self::Streamed(data, precision, device) => {
                Tensor::from_data(TensorData::clone(data), (device, precision.of_values()))
            }
        }
    }
}

impl<const D: usize> fmt::Debug for Kept<D> {
    /// Without the weights, which are many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::There(_) => "There",
            Self::Streamed(..) => "Streamed",
        })
    }
}

/// A frozen linear layer of plain tensors. Its products are added up in f32.
#[derive(Clone, Debug)]
pub(super) struct KeptLinear {
    weight: Kept<2>,
    /// In f32: it is added to sums.
    bias: Option<Tensor<1>>,
    precision: Precision,
}

impl KeptLinear {
    pub(super) fn new(
        shape: [usize; 2],
        weight: Vec<f32>,
        bias: Option<Tensor<1>>,
        how: &Frozen,
    ) -> Self {
        Self { weight: Kept::new(weight, shape, how), bias, precision: how.precision }
    }

    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear_rounded(x, self.weight.load(), self.bias.clone(), self.precision)
    }
}

/// A frozen convolution of plain tensors. Its products are added up in f32.
#[derive(Clone, Debug)]
pub(super) struct KeptConv {
    /// `[outputs, 9 * inputs]`, the taps before the inputs.
    weight: Kept<2>,
    bias: Tensor<1>,
    resize: Resize,
    precision: Precision,
}

impl KeptConv {
    /// Weights of the shape `[outputs, inputs, 3, 3]`.
    pub(super) fn new(
        [outputs, inputs, ..]: [usize; 4],
        weight: Vec<f32>,
        bias: Tensor<1>,
        resize: Resize,
        how: &Frozen,
    ) -> Self {
        let taps_first = weight
            .chunks_exact(9 * inputs)
            .flat_map(|output| (0..9 * inputs).map(move |i| output[i % inputs * 9 + i / inputs]));
        let weight = Kept::new(taps_first.collect(), [outputs, 9 * inputs], how);
        Self { weight, bias, resize, precision: how.precision }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = (self.weight.load(), self.bias.clone());
        ops::conv3x3_rounded(x, weight, bias, self.resize, self.precision)
    }
}
