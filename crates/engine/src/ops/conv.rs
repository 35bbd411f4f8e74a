//! 3x3 convolutions over channels-last activations.

use burn::tensor::{module, ops::ConvOptions};
use kernels::{Algorithm, PackedConv3x3, Precision, Resize};

use super::upsample_nearest_twin;
use crate::{
    Tensor,
    flex::{self, Array, Buffer, Operation, Packed},
    nn,
};

/// A 3x3 convolution with weights `[outputs, inputs, 3, 3]` and bias `[outputs]`.
///
/// # Shapes
/// `x [batch, height, width, inputs] -> [batch, height', width', outputs]` with the
/// sizes that `resize` makes.
pub fn conv3x3(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, resize: Resize) -> Tensor<4> {
    if flex::serves(&x.device()) {
        let inputs = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        return flex::apply(Conv3x3 { resize }, inputs);
    }
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
    if crate::cube::serves(&x.device()) {
        return conv3x3_rounded(x, taps_first(weight), bias, resize, nn::Precision::F32);
    }
    conv3x3_twin(x, weight, bias, resize)
}

/// Weights `[outputs, inputs, 3, 3]` as the matrix `[outputs, 9 * inputs]`.
#[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
fn taps_first(weight: Tensor<4>) -> Tensor<2> {
    let [outputs, inputs, ..] = weight.dims();
    weight.permute([0, 2, 3, 1]).reshape([outputs, 9 * inputs])
}

/// [`conv3x3`] without kernels of the processor, with factors of its products that are rounded
/// on graphics cards.
///
/// # Shapes
/// `weight [outputs, 9 * inputs]`, the taps before the inputs.
pub(crate) fn conv3x3_rounded(
    x: Tensor<4>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    resize: Resize,
    precision: nn::Precision,
) -> Tensor<4> {
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
    if crate::cube::serves(&x.device()) {
        let y = crate::cube::convolution(x, weight, resize, precision);
        return y + bias.unsqueeze::<4>();
    }
    let [outputs, values] = weight.dims();
    let weight = weight.reshape([outputs, 3, 3, values / 9]).permute([0, 3, 1, 2]);
    // Burn adds the products of a convolution up in the type of its factors, and there are
    // thousands of them: what was rounded is multiplied in f32.
    let weight = match precision {
        nn::Precision::F32 => weight,
        _ => weight.cast(nn::Precision::F32.of_tensors()),
    };
    conv3x3_twin(x, weight, bias, resize)
}

/// The twin of [`conv3x3`].
pub fn conv3x3_twin(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, resize: Resize) -> Tensor<4> {
    let (x, stride, zeros) = match resize {
        Resize::Keep => (x, 1, 1),
        Resize::Double => (upsample_nearest_twin(x), 1, 1),
        Resize::HalveAround => (x, 2, 1),
        Resize::HalveBottomRight => (pad_bottom_right(x), 2, 0),
    };
    let options = ConvOptions::new([stride; 2], [zeros; 2], [1; 2], 1);
    module::conv2d(x.permute([0, 3, 1, 2]), weight, Some(bias), options).permute([0, 2, 3, 1])
}

fn pad_bottom_right(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let device = x.device();
    let x = Tensor::cat(vec![x, Tensor::zeros([b, 1, w, c], &device)], 1);
    Tensor::cat(vec![x, Tensor::zeros([b, h + 1, 1, c], &device)], 2)
}

/// [`conv3x3`] with packed weights, on a device that the kernels serve.
pub(crate) fn packed_conv3x3(x: Tensor<4>, weights: &Packed<PackedConv3x3>) -> Tensor<4> {
    flex::apply(weights.clone(), [x.into_dispatch()])
}

impl Operation<1> for Packed<PackedConv3x3> {
    /// Height and width of the input.
    type Saved = [usize; 2];

    fn forward(&self, [x]: [Array; 1], _: [bool; 1]) -> (Array, [usize; 2]) {
        let [_, h, w, _] = x.dims();
        (convolve(self, &x), [h, w])
    }

    fn backward(&self, size: [usize; 2], dy: Array, _: [bool; 1]) -> [Option<Array>; 1] {
        [Some(input_gradient(self, size, &dy))]
    }
}

fn convolve(weights: &PackedConv3x3, x: &Array) -> Array {
    let [batch, h, w, _] = x.dims();
    let [to_h, to_w] = weights.shape().resize.output_size([h, w]);
    let shape = [batch, to_h, to_w, weights.shape().outputs];
    Array::filled(&shape, |y| weights.forward(batch, [h, w], x, y))
}

fn input_gradient(weights: &PackedConv3x3, size: [usize; 2], dy: &Array) -> Array {
    let [batch, ..] = dy.dims::<4>();
    let shape = [batch, size[0], size[1], weights.shape().inputs];
    Array::filled(&shape, |dx| weights.backward_input(batch, size, dy, dx))
}

/// Weights that change: they are packed anew for every pass.
#[derive(Clone, Debug)]
struct Conv3x3 {
    resize: Resize,
}

impl Operation<3> for Conv3x3 {
    /// The input, and the weights for the way back.
    type Saved = (Array, Packed<PackedConv3x3>);

    fn forward(&self, [x, weight, bias]: [Array; 3], _: [bool; 3]) -> (Array, Self::Saved) {
        let [_, h, w, _] = x.dims();
        let [outputs, inputs, ..] = weight.dims::<4>();
        let shape = kernels::ConvShape { inputs, outputs, resize: self.resize };
        let algorithm = match Algorithm::choose(shape, [h, w], Precision::F32) {
            // Transforming to four times the weights in every pass does not pay.
            Algorithm::Winograd4 => Algorithm::Winograd2,
            other => other,
        };
        let (level, precision) = (kernels::level(), Precision::F32);
        let options = kernels::ConvOptions { algorithm, level, precision };
        let packed = PackedConv3x3::new(shape, &weight, Some(&bias), options);
        (convolve(&packed, &x), (x, Packed::new(packed)))
    }

    fn backward(
        &self,
        (x, weights): Self::Saved,
        dy: Array,
        wanted: [bool; 3],
    ) -> [Option<Array>; 3] {
        let [_, h, w, _] = x.dims();
        let dx = wanted[0].then(|| input_gradient(&weights, [h, w], &dy));
        let trained = wanted[1] || wanted[2];
        let [dw, db] =
            if trained { weight_gradients(weights.shape(), &x, &dy) } else { [None, None] };
        [dx, dw, db]
    }
}

/// The gradients of weight and bias.
fn weight_gradients(shape: kernels::ConvShape, x: &Array, dy: &Array) -> [Option<Array>; 2] {
    let [batch, h, w, inputs] = x.dims();
    let (level, outputs) = (kernels::level(), shape.outputs);
    let mut dw = Buffer::take(outputs * inputs * 9);
    let db = Array::filled(&[outputs], |db| {
        let db = Some(db);
        kernels::conv3x3_weight_gradient(level, shape, batch, [h, w], x, dy, &mut dw, db);
    });
    [Some(dw.shaped(&[outputs, inputs, 3, 3])), Some(db)]
}
