//! Between the channels-last tensors inside and the `[batch, channels, height,
//! width]` of files and of PyTorch's random numbers.

use engine::{Device, Tensor};

/// A tensor from values in files' order.
///
/// # Shapes
/// `shape [batch, channels, height, width] -> [batch, height, width, channels]`
///
/// # Panics
/// If the number of values is not the product of the shape.
pub fn from_nchw(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Tensor<4> {
    engine::tensor(values, shape, device).permute([0, 2, 3, 1])
}

/// The values of a tensor in files' order, with their shape.
///
/// # Shapes
/// `[batch, height, width, channels] -> [batch, channels, height, width]`
pub fn to_nchw(x: Tensor<4>) -> (Vec<f32>, [usize; 4]) {
    let x = x.permute([0, 3, 1, 2]);
    let shape = x.dims();
    (engine::values(x), shape)
}
