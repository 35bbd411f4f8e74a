//! The gradient of the weights, for convolutions that are trained.

use rayon::prelude::*;

use super::padded::Windows;
use super::shape::{ConvShape, Images};
use crate::gemm::{Base, Left, Out, Product, Right, Rows, gemm};
use crate::linear::sum_rows;
use crate::scratch::Scratch;
use crate::simd::Level;

/// The gradients of a 3x3 convolution's weight and bias.
///
/// # Shapes
/// `x [batch, height, width, inputs]` with `size = [height, width]`,
/// `dy [batch, height', width', outputs]`, `dw [outputs, inputs, 3, 3]`,
/// `db [outputs]`. What the gradients held before is overwritten.
///
/// # Panics
/// If a slice does not have the size that the shape asks for.
#[allow(clippy::too_many_arguments)]
pub fn conv3x3_weight_gradient(
    level: Level,
    shape: ConvShape,
    batch: usize,
    size: [usize; 2],
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    db: Option<&mut [f32]>,
) {
    let ConvShape { inputs, outputs, resize } = shape;
    let x = Images::new(x, batch, size, inputs);
    let dy = Images::new(dy, batch, resize.output_size(size), outputs);
    assert_eq!(dw.len(), outputs * inputs * 9, "gradient of the weight");
    if let Some(db) = db {
        sum_rows(dy.data, outputs, db);
    }
    if dy.data.is_empty() {
        return dw.fill(0.0);
    }
    let windows = Windows::new(resize, batch, size);
    let padded = windows.pad(x);
    let one = outputs * inputs;
    let mut taps = Scratch::<f32>::take(9 * one);
    for (dw, start) in taps.chunks_exact_mut(one).zip(windows.taps(inputs)) {
        let left = Left::transposed(dy.data, outputs, windows.count());
        let rows = windows.rows(inputs);
        let right = [Right::Rows { data: &padded[start..], rows, columns: inputs }];
        let out = Out::new(dw, Rows::even(outputs, inputs));
        gemm(level, Product { left, right: &right, out, base: Base::Zero });
    }
    dw.par_chunks_mut(9 * inputs).enumerate().for_each(|(output, kernels)| {
        for (tap, from) in taps.chunks_exact(one).enumerate() {
            let from = &from[output * inputs..][..inputs];
            kernels[tap..].iter_mut().step_by(9).zip(from).for_each(|(to, &from)| *to = from);
        }
    });
}
