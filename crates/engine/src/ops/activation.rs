//! Functions of single values.

use std::f64::consts::FRAC_1_SQRT_2;

use burn::tensor::activation;
use kernels::Activation;

use crate::{
    Tensor,
    flex::{self, Array, Operation},
};

/// `x * sigmoid(x)`.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Activation::Silu, x)
}

/// CLIP's `x * sigmoid(1.702 x)`.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Activation::QuickGelu, x)
}

/// `x * Phi(x)` with the exact normal distribution function.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Activation::Gelu, x)
}

/// The twin of [`silu`].
pub fn silu_twin<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// The twin of [`quick_gelu`].
pub fn quick_gelu_twin<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x * 1.702)
}

/// The twin of [`gelu`].
pub fn gelu_twin<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Burn's own differentiates an approximation on other devices, 1e-4 off.
    x.clone() * ((x * FRAC_1_SQRT_2).erf() + 1.0) * 0.5
}

fn apply<const D: usize>(function: Activation, x: Tensor<D>) -> Tensor<D> {
    if flex::serves(&x.device()) {
        return flex::apply(function, [x.into_dispatch()]);
    }
    match function {
        Activation::Silu => silu_twin(x),
        Activation::QuickGelu => quick_gelu_twin(x),
        Activation::Gelu => gelu_twin(x),
    }
}

impl Operation<1> for Activation {
    /// The input.
    type Saved = Array;

    fn forward(&self, [x]: [Array; 1], _: [bool; 1]) -> (Array, Array) {
        let y = Array::filled(&x.shape(), |y| (*self).forward(kernels::level(), &x, y));
        (y, x)
    }

    fn backward(&self, x: Array, dy: Array, _: [bool; 1]) -> [Option<Array>; 1] {
        let level = kernels::level();
        [Some(Array::filled(&x.shape(), |dx| (*self).backward(level, &x, &dy, dx)))]
    }
}
