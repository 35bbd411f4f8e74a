use burn::tensor::activation;

use crate::Tensor;

/// Group norm over channels-last activations, with SiLU behind it if asked.
///
/// # Shapes
/// `x [batch, height, width, channels]`; weight and bias `[channels]`.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    silu: bool,
) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let grouped = x.reshape([b, h * w, groups, c / groups]);
    // Mean and variance over pixels and the group's channels.
    let mean = grouped.clone().mean_dim(1).mean_dim(3);
    let centred = grouped - mean;
    let variance = centred.clone().square().mean_dim(1).mean_dim(3);
    let y = (centred / (variance + epsilon).sqrt()).reshape([b, h, w, c]);
    let y = y * weight.reshape([1, 1, 1, c]) + bias.reshape([1, 1, 1, c]);
    if silu { activation::silu(y) } else { y }
}

/// Layer norm over the last dimension.
///
/// # Shapes
/// `x [batch, tokens, channels]`; weight and bias `[channels]`.
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<3> {
    let c = x.dims()[2];
    let mean = x.clone().mean_dim(2);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(2);
    let y = centred / (variance + epsilon).sqrt();
    y * weight.reshape([1, 1, c]) + bias.reshape([1, 1, c])
}
