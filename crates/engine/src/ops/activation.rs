use burn::tensor::activation;

use crate::Tensor;

/// `x * sigmoid(x)`.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// CLIP's `x * sigmoid(1.702 x)`.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x * 1.702)
}

/// `value * gelu(gate)` where the last dimension holds value, then gate.
///
/// # Shapes
/// `[batch, tokens, 2n] -> [batch, tokens, n]`
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    let n = x.dims()[2] / 2;
    let value = x.clone().narrow(2, 0, n);
    let gate = x.narrow(2, n, n);
    value * activation::gelu(gate)
}

/// `x * Phi(x)` with the exact normal distribution function.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu(x)
}
