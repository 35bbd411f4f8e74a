//! The gated half of a transformer's MLP.

use super::activation::gelu_twin;
use crate::{
    Tensor,
    flex::{self, Array, Operation},
};

/// `value * gelu(gate)` where the last dimension holds value, then gate (Shazeer
/// 2020, arXiv 2002.05202).
///
/// # Shapes
/// `[batch, tokens, 2n] -> [batch, tokens, n]`
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    if flex::serves(&x.device()) {
        return flex::apply(Geglu, [x.into_dispatch()]);
    }
    geglu_twin(x)
}

/// The twin of [`geglu`].
pub fn geglu_twin(x: Tensor<3>) -> Tensor<3> {
    let n = x.dims()[2] / 2;
    let value = x.clone().narrow(2, 0, n);
    let gate = x.narrow(2, n, n);
    value * gelu_twin(gate)
}

#[derive(Clone, Debug)]
struct Geglu;

impl Operation<1> for Geglu {
    /// The input.
    type Saved = Array;

    fn forward(&self, [x]: [Array; 1], _: [bool; 1]) -> (Array, Array) {
        let n = x.width() / 2;
        let y = Array::filled(&x.shape_with_width(n), |y| {
            kernels::geglu(kernels::level(), n, &x, y);
        });
        (y, x)
    }

    fn backward(&self, x: Array, dy: Array, _: [bool; 1]) -> [Option<Array>; 1] {
        let (level, n) = (kernels::level(), dy.width());
        [Some(Array::filled(&x.shape(), |dx| kernels::geglu_backward(level, n, &x, &dy, dx)))]
    }
}
