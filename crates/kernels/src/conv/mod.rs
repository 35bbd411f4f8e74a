//! 3x3 convolutions over channels-last images `[batch, height, width, channels]`.
//!
//! A 1x1 convolution is a [linear layer](crate::PackedLinear) over the pixels.

mod direct;
mod gradient;
mod padded;
mod shape;
mod winograd;

use self::direct::Direct;
pub use self::gradient::conv3x3_weight_gradient;
use self::shape::Images;
pub use self::shape::{Algorithm, ConvShape, Resize};
use self::winograd::{Tile, Winograd};
use crate::gemm::Precision;
use crate::scratch::Aligned;
use crate::simd::Level;

/// How a frozen convolution is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct ConvOptions {
    /// How it is computed; [`Algorithm::choose`] knows the fastest way.
    pub algorithm: Algorithm,
    /// The vector instructions.
    pub level: Level,
    /// How the weights are stored.
    pub precision: Precision,
}

/// A frozen 3x3 convolution, its weights transformed and packed once for what follows.
///
/// Both directions read that one copy. Images may have any size: the algorithm decides
/// about speed and memory only.
#[derive(Clone)]
pub struct PackedConv3x3 {
    shape: ConvShape,
    kernels: Kernels,
    bias: Option<Aligned<f32>>,
}

#[derive(Clone)]
enum Kernels {
    Direct(Direct),
    Winograd(Winograd),
}

impl PackedConv3x3 {
    /// Transforms and packs a weight `[outputs, inputs, 3, 3]` and a bias `[outputs]`,
    /// with all threads.
    ///
    /// For each pair of channels it holds 9 weights (direct), 16 (F(2x2)) or 36
    /// (F(4x4)) in the given precision, with the outputs rounded up to two vectors.
    ///
    /// # Panics
    /// If a slice does not have the size that the shape asks for, a number of channels
    /// is zero, a Winograd algorithm is asked to halve, F(4x4) to use bf16, or the
    /// processor lacks the level.
    pub fn new(
        shape: ConvShape,
        weight: &[f32],
        bias: Option<&[f32]>,
        options: ConvOptions,
    ) -> Self {
        let ConvShape { inputs, outputs, resize } = shape;
        let ConvOptions { algorithm, level, precision } = options;
        assert!(inputs > 0 && outputs > 0, "a convolution of {inputs} by {outputs} channels");
        assert_eq!(weight.len(), outputs * inputs * 9, "weight of {outputs} by {inputs} by 3x3");
        let too_coarse = algorithm == Algorithm::Winograd4 && precision == Precision::Bf16;
        assert!(!too_coarse, "F(4x4) is too inexact with bf16");
        let winograd = |tile| {
            assert_eq!(resize.stride(), 1, "Winograd's filtering has stride 1");
            let weights = Winograd::new(tile, weight, [inputs, outputs], level, precision);
            Kernels::Winograd(weights)
        };
        let kernels = match algorithm {
            Algorithm::Direct => Kernels::Direct(Direct::new(shape, weight, level, precision)),
            Algorithm::Winograd2 => winograd(Tile::Two),
            Algorithm::Winograd4 => winograd(Tile::Four),
        };
        let bias = bias.map(|bias| {
            assert_eq!(bias.len(), outputs, "bias");
            Aligned::from_slice(bias)
        });
        Self { shape, kernels, bias }
    }

    /// Channels, and what becomes of the size.
    pub fn shape(&self) -> ConvShape {
        self.shape
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        let bias = self.bias.as_ref().map_or(0, |bias| size_of_val::<[f32]>(bias));
        bias + match &self.kernels {
            Kernels::Direct(kernels) => kernels.bytes(),
            Kernels::Winograd(kernels) => kernels.bytes(),
        }
    }

    /// Convolves a batch of images of `size = [height, width]`.
    ///
    /// # Shapes
    /// `x [batch, height, width, inputs]`, `y [batch, height', width', outputs]` with the
    /// [size](Resize::output_size) that the shape makes of it.
    ///
    /// # Panics
    /// If a slice does not have that size.
    pub fn forward(&self, batch: usize, size: [usize; 2], x: &[f32], y: &mut [f32]) {
        let x = Images::new(x, batch, size, self.shape.inputs);
        Images::new(y, batch, self.shape.resize.output_size(size), self.shape.outputs);
        let bias = self.bias.as_deref();
        if y.is_empty() {
            return;
        }
        match &self.kernels {
            Kernels::Direct(kernels) => kernels.forward(x, bias, y),
            Kernels::Winograd(kernels) => kernels.forward(x, bias, self.doubles(), y),
        }
    }

    /// The gradient of the input of `size = [height, width]` from that of the output.
    ///
    /// # Shapes
    /// `dy [batch, height', width', outputs]`, `dx [batch, height, width, inputs]`
    ///
    /// # Panics
    /// If a slice does not have that size.
    pub fn backward_input(&self, batch: usize, size: [usize; 2], dy: &[f32], dx: &mut [f32]) {
        let output_size = self.shape.resize.output_size(size);
        let dy = Images::new(dy, batch, output_size, self.shape.outputs);
        Images::new(dx, batch, size, self.shape.inputs);
        if dy.data.is_empty() {
            return dx.fill(0.0);
        }
        match &self.kernels {
            Kernels::Direct(kernels) => kernels.backward(dy, size, dx),
            Kernels::Winograd(kernels) => kernels.backward(dy, self.doubles(), dx),
        }
    }

    fn doubles(&self) -> bool {
        self.shape.resize == Resize::Double
    }
}
