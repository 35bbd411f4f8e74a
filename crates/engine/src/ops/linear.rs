//! Products of activations and weights.

use kernels::PackedLinear;

use super::product;
use crate::{
    Tensor,
    flex::{self, Array, Buffer, Operation, Packed},
    nn::Precision,
};

/// `y = x W^T + b` over the last dimension.
///
/// # Shapes
/// `x [.., inputs]`, `weight [outputs, inputs]`, `bias [outputs]` `-> [.., outputs]`
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    if !flex::serves(&x.device()) {
        return linear_twin(x, weight, bias);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    match bias {
        Some(bias) => flex::apply(Linear, [x, weight, bias.into_dispatch()]),
        None => flex::apply(Linear, [x, weight]),
    }
}

/// The twin of [`linear`].
pub fn linear_twin<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    linear_rounded(x, weight, bias, Precision::F32)
}

/// [`linear_twin`] with factors of the products that are rounded.
pub(crate) fn linear_rounded<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    precision: Precision,
) -> Tensor<D> {
    let mut shape = x.dims();
    let inputs = shape[D - 1];
    let rows = shape.iter().product::<usize>() / inputs;
    shape[D - 1] = weight.dims()[0];
    let mut y = product(x.reshape([rows, inputs]), weight.transpose(), precision);
    if let Some(bias) = bias {
        y = y + bias.unsqueeze::<2>();
    }
    y.reshape(shape)
}

/// [`linear`] with packed weights, on a device that the kernels serve.
pub(crate) fn packed_linear<const D: usize>(
    x: Tensor<D>,
    weights: &Packed<PackedLinear>,
) -> Tensor<D> {
    flex::apply(weights.clone(), [x.into_dispatch()])
}

impl Operation<1> for Packed<PackedLinear> {
    type Saved = ();

    fn forward(&self, [x]: [Array; 1], _: [bool; 1]) -> (Array, ()) {
        let shape = x.shape_with_width(self.outputs());
        (Array::filled(&shape, |y| PackedLinear::forward(self, &x, y)), ())
    }

    fn backward(&self, (): (), dy: Array, _: [bool; 1]) -> [Option<Array>; 1] {
        let shape = dy.shape_with_width(self.inputs());
        [Some(Array::filled(&shape, |dx| self.backward_input(&dy, dx)))]
    }
}

/// Weights that change: input, weight and, if there are three, bias.
#[derive(Clone, Debug)]
struct Linear;

impl<const N: usize> Operation<N> for Linear {
    /// Input and weight.
    type Saved = [Array; 2];

    fn forward(&self, inputs: [Array; N], _: [bool; N]) -> (Array, [Array; 2]) {
        let [x, weight] = [&inputs[0], &inputs[1]];
        let [outputs, width] = weight.dims();
        let bias = inputs.get(2).map(|bias| &**bias);
        let y = Array::filled(&x.shape_with_width(outputs), |y| {
            kernels::linear(kernels::level(), x, weight, bias, width, y);
        });
        (y, [x.clone(), weight.clone()])
    }

    fn backward(
        &self,
        [x, weight]: [Array; 2],
        dy: Array,
        wanted: [bool; N],
    ) -> [Option<Array>; N] {
        let (level, width) = (kernels::level(), x.width());
        let dx = wanted[0].then(|| {
            Array::filled(&x.shape(), |dx| {
                kernels::linear_backward_input(level, &dy, &weight, width, dx);
            })
        });
        let trained = wanted[1..].contains(&true);
        let [dw, db] = if trained { weight_gradients(&x, &dy) } else { [None, None] };
        let mut gradients = [dx, dw, db].into_iter();
        std::array::from_fn(|_| gradients.next().flatten())
    }
}

/// The gradients of weight and bias.
fn weight_gradients(x: &Array, dy: &Array) -> [Option<Array>; 2] {
    let (inputs, outputs) = (x.width(), dy.width());
    let mut dw = Buffer::take(outputs * inputs);
    let db = Array::filled(&[outputs], |db| {
        kernels::linear_weight_gradient(kernels::level(), x, dy, inputs, &mut dw, Some(db));
    });
    [Some(dw.shaped(&[outputs, inputs])), Some(db)]
}
