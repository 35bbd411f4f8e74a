//! Direct convolution: a product for each of the nine neighbours.
//!
//! Over images with their borders, the pixels under one weight of the kernel are rows
//! at fixed distances: windows are only another way to read the left factor of a
//! product, and nothing is gathered.

use super::padded::Windows;
use super::shape::{ConvShape, Images, Resize};
use crate::gemm::{Base, Left, Out, Panels, Precision, Product, Right, gemm, panel_width};
use crate::resample::upsample_nearest_backward;
use crate::scratch::Scratch;
use crate::simd::Level;

/// Kernels packed as nine matrices of `inputs` rows by `outputs` columns.
#[derive(Clone)]
pub(super) struct Direct {
    shape: ConvShape,
    weights: Panels,
}

impl Direct {
    /// Packs `[outputs, inputs, 3, 3]`.
    pub(super) fn new(
        shape: ConvShape,
        weight: &[f32],
        level: Level,
        precision: Precision,
    ) -> Self {
        let ConvShape { inputs, outputs, .. } = shape;
        let width = panel_width(level);
        let weights = Panels::pack(level, precision, [9, inputs, outputs], |panel, to| {
            let weight = &weight[panel * width * inputs * 9..];
            for (output, kernels) in weight.chunks_exact(inputs * 9).take(width).enumerate() {
                for (i, &value) in kernels.iter().enumerate() {
                    let (input, tap) = (i / 9, i % 9);
                    to[(tap * inputs + input) * width + output] = value;
                }
            }
        });
        Self { shape, weights }
    }

    pub(super) fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    pub(super) fn forward(&self, x: Images<'_>, bias: Option<&[f32]>, y: &mut [f32]) {
        let windows = Windows::new(self.shape.resize, x.batch, x.size);
        let right = std::array::from_fn(|tap| self.weights.right(tap));
        let base = bias.map_or(Base::Zero, Base::Bias);
        self.slide(&windows, x, &right, base, y);
    }

    /// The gradient of the input `size` from that of the output.
    pub(super) fn backward(&self, dy: Images<'_>, size: [usize; 2], dx: &mut [f32]) {
        match self.shape.resize {
            Resize::Keep => self.backward_same(dy, dx),
            Resize::Double => {
                let mut enlarged = Scratch::take(4 * dx.len());
                self.backward_same(dy, &mut enlarged);
                let level = self.weights.level();
                upsample_nearest_backward(level, size[1], self.shape.inputs, &enlarged, dx);
            }
            Resize::HalveAround | Resize::HalveBottomRight => self.backward_halved(dy, size, dx),
        }
    }

    /// A convolution again, with kernels turned by half a circle.
    fn backward_same(&self, dy: Images<'_>, dx: &mut [f32]) {
        let windows = Windows::new(Resize::Keep, dy.batch, dy.size);
        let right = std::array::from_fn(|tap| self.weights.right_transposed(8 - tap));
        self.slide(&windows, dy, &right, Base::Zero, dx);
    }

    /// Each weight adds its products to every second pixel.
    fn backward_halved(&self, dy: Images<'_>, size: [usize; 2], dx: &mut [f32]) {
        let ConvShape { inputs, resize, .. } = self.shape;
        let windows = Windows::new(resize, dy.batch, size);
        let mut padded = windows.zeros(inputs);
        let level = self.weights.level();
        let (dy, cells) = self.weights.left_cells(dy.data, dy.channels);
        for (tap, start) in windows.taps(inputs).into_iter().enumerate() {
            let rows = windows.output_rows(cells);
            let left = Left { data: &dy, rows, taps: &[0], depth: cells, step: 1 };
            let right = [self.weights.right_transposed(tap)];
            let out = Out::new(&mut padded[start..], windows.rows(inputs));
            gemm(level, Product { left, right: &right, out, base: Base::Out });
        }
        windows.crop(&padded, size, inputs, dx);
    }

    /// The sum of the products of the nine weights' pixels.
    fn slide(
        &self,
        windows: &Windows,
        images: Images<'_>,
        right: &[Right<'_>; 9],
        base: Base<'_>,
        out: &mut [f32],
    ) {
        let padded = windows.pad(images);
        let (data, depth) = self.weights.left_cells(&padded, images.channels);
        let (rows, taps) = (windows.rows(depth), windows.taps(depth));
        let left = Left { data: &data, rows, taps: &taps, depth, step: 1 };
        let out = Out::new(out, windows.output_rows(right[0].columns()));
        gemm(self.weights.level(), Product { left, right, out, base });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, ConvOptions, PackedConv3x3};
    use super::*;

    /// The transpose reads columns in pairs, beyond an odd last one too.
    #[test]
    fn what_a_buffer_held_before_is_not_packed() {
        let shape = ConvShape { inputs: 20, outputs: 33, resize: Resize::Keep };
        let (level, precision) = (crate::level(), Precision::Bf16);
        let options = ConvOptions { algorithm: Algorithm::Direct, level, precision };
        let buffers: Vec<Scratch<f32>> = (0..8)
            .map(|_| {
                let mut buffer = Scratch::take(9 * shape.inputs * panel_width(level));
                buffer.fill(f32::NAN);
                buffer
            })
            .collect();
        drop(buffers);
        let weight = vec![1.0; shape.outputs * shape.inputs * 9];
        let packed = PackedConv3x3::new(shape, &weight, None, options);
        let mut dx = vec![0.0; 16 * shape.inputs];
        packed.backward_input(1, [4, 4], &vec![1.0; 16 * shape.outputs], &mut dx);
        // A corner has four neighbours, itself among them.
        assert!(dx.iter().all(|v| v.is_finite()) && dx[0] == 4.0 * 33.0, "{}", dx[0]);
    }
}
