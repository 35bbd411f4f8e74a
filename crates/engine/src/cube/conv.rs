//! 3x3 convolutions on graphics cards, as products of matrices.

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::{CubeBackend, tensor::CubeTensor};
use kernels::Resize;

use super::{
    most_values,
    patches::{Towards, Window, patches},
    product::multiply,
    tensors::{contiguous, reshaped, rounded, transposed},
};
use crate::{
    Tensor,
    nn::Precision,
    operation::{Operation, Plain, apply_plain},
    ops::twins,
};

/// Values of a matrix of patches that exist at a time: 256 MiB in f32.
const MOST: usize = 1 << 26;

/// A 3x3 convolution without bias, whose products are added up in f32.
///
/// # Shapes
/// `x [batch, height, width, inputs]`, `weight [outputs, 9 * inputs]` with the taps before the
/// inputs `-> [batch, height', width', outputs]`
pub(crate) fn convolution(
    x: Tensor<4>,
    weight: Tensor<2>,
    resize: Resize,
    precision: Precision,
) -> Tensor<4> {
    let (x, resize) = match resize {
        Resize::Double => (twins::upsample_nearest(x), Resize::Keep),
        other => (x, other),
    };
    let operation = Convolution { resize, precision };
    apply_plain::<CubeBackend, 2, 4>(operation, [x.into_dispatch(), weight.into_dispatch()])
}

#[derive(Clone, Debug)]
struct Convolution {
    resize: Resize,
    precision: Precision,
}

/// What the gradients need.
#[derive(Clone, Debug)]
struct Saved {
    /// The input, for that of the weight.
    x: Option<CubeTensor>,
    /// The rounded weight, for that of the input.
    weight: Option<CubeTensor>,
    /// Of the input.
    dims: [usize; 4],
}

impl Operation<2, Plain<CubeBackend>> for Convolution {
    type Saved = Saved;

    fn forward(
        &self,
        [x, weight]: [Plain<CubeBackend>; 2],
        wanted: [bool; 2],
    ) -> (Plain<CubeBackend>, Saved) {
        let (x, weight) = (contiguous(x.0), rounded(weight.0, self.precision.of_tensors()));
        let dims @ [batch, height, width, _] = x.meta.shape().dims();
        let window = self.window([height, width]);
        let outputs = weight.meta.shape()[0];
        let matrix = transposed(weight.clone());
        let y = self.in_parts(&x, window, Towards::Inputs, |_, rows| {
            multiply(rows, matrix.clone(), self.precision)
        });
        let y = reshaped(joined(y), [batch, window.to[0], window.to[1], outputs]);
        let saved = Saved { x: wanted[1].then_some(x), weight: wanted[0].then_some(weight), dims };
        (Plain(y), saved)
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: Plain<CubeBackend>,
        _: [bool; 2],
    ) -> [Option<Plain<CubeBackend>>; 2] {
        let gradient = contiguous(gradient.0);
        let dx = saved.weight.map(|weight| self.of_input(&gradient, weight, saved.dims));
        let dweight = saved.x.map(|x| self.of_weight(&gradient, &x));
        [dx.map(Plain), dweight.map(Plain)]
    }
}

impl Convolution {
    /// How outputs look at an input of that height and width.
    fn window(&self, from: [usize; 2]) -> Window {
        let to = self.resize.output_size(from);
        let (stride, before) = match self.resize {
            Resize::Keep => (1, 1),
            Resize::HalveAround => (2, 1),
            Resize::HalveBottomRight => (2, 0),
            Resize::Double => unreachable!("the input was doubled before"),
        };
        Window { from, to, stride, before }
    }

    /// The gradient of the input: a convolution again, with the weights looked at from the
    /// other side.
    fn of_input(
        &self,
        gradient: &CubeTensor,
        weight: CubeTensor,
        dims @ [_, height, width, inputs]: [usize; 4],
    ) -> CubeTensor {
        let outputs = weight.meta.shape()[0];
        let weight = CubeBackend::float_permute(reshaped(weight, [outputs, 9, inputs]), &[1, 0, 2]);
        let matrix = reshaped(contiguous(weight), [9 * outputs, inputs]);
        let there = self.window([height, width]);
        let window = Window { from: there.to, to: there.from, ..there };
        let dx = self.in_parts(gradient, window, Towards::Outputs, |_, rows| {
            multiply(rows, matrix.clone(), self.precision)
        });
        reshaped(joined(dx), dims)
    }

    fn of_weight(&self, gradient: &CubeTensor, x: &CubeTensor) -> CubeTensor {
        let [_, height, width, _] = x.meta.shape().dims();
        let [batch, h, w, outputs] = gradient.meta.shape().dims();
        let gradient = reshaped(gradient.clone(), [batch * h * w, outputs]);
        let gradient = rounded(gradient, self.precision.of_tensors());
        let window = self.window([height, width]);
        let parts = self.in_parts(x, window, Towards::Inputs, |first, rows| {
            let count = rows.meta.shape()[0];
            let slices = [(first..first + count).into(), (0..outputs).into()];
            let some = CubeBackend::float_slice(gradient.clone(), &slices);
            multiply(transposed(some), rows, self.precision)
        });
        parts.into_iter().reduce(CubeBackend::float_add).expect("there are rows")
    }

    /// What `f` makes of the patches, some rows after the other; it is told the first.
    fn in_parts(
        &self,
        x: &CubeTensor,
        window: Window,
        towards: Towards,
        f: impl Fn(usize, CubeTensor) -> CubeTensor,
    ) -> Vec<CubeTensor> {
        let [batch, _, _, channels] = x.meta.shape().dims();
        let rows = batch * window.to[0] * window.to[1];
        let most = (MOST.min(most_values(&x.client)) / (9 * channels)).max(1);
        let dtype = self.precision.of_values();
        let part = |first| {
            let count = most.min(rows - first);
            f(first, patches(x, window, towards, first, count, dtype))
        };
        (0..rows).step_by(most).map(part).collect()
    }
}

fn joined(mut parts: Vec<CubeTensor>) -> CubeTensor {
    match parts.len() {
        1 => parts.remove(0),
        _ => CubeBackend::float_cat(parts, 0),
    }
}
