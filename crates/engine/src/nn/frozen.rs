use kernels::{Algorithm, ConvOptions, PackedConv3x3, PackedLinear, Precision};

use super::{Conv2d, ConvShape, Linear};
use crate::{
    Device, Tensor,
    flex::{self, Packed},
    tensor,
};

/// Where frozen layers are built, and how their weights are kept.
///
/// On the processor weights are packed for the kernels once, and exist once. On
/// another device they are plain tensors in f32.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The device.
    pub device: Device,
    /// How packed weights are stored. Norms, sums and the softmax are f32 in any case.
    pub precision: Precision,
    /// How the weights of 3x3 convolutions are kept.
    pub convolutions: Convolutions,
}

/// How the weights of frozen 3x3 convolutions are kept: the more there are of them,
/// the fewer multiplications a convolution takes (Winograd's filtering; Lavin and Gray
/// 2016).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convolutions {
    /// Nine weights a kernel.
    Compact,
    /// Sixteen, for tiles of 2x2.
    #[default]
    Balanced,
    /// Thirty-six for tiles of 4x4 where pictures are large enough, else sixteen.
    Fast,
}

impl Convolutions {
    /// Weights kept for the nine of a kernel, at most.
    pub fn weights(self, precision: Precision) -> usize {
        match (self, precision) {
            (Self::Compact, _) => 9,
            (Self::Fast, Precision::F32) => 36,
            // Tiles of 4x4 lose too much in bf16.
            _ => 16,
        }
    }

    fn algorithm(self, shape: kernels::ConvShape, side: usize, precision: Precision) -> Algorithm {
        let fastest = Algorithm::choose(shape, [side; 2], precision);
        match (self, fastest) {
            (Self::Compact, _) => Algorithm::Direct,
            (Self::Balanced, Algorithm::Winograd4) => Algorithm::Winograd2,
            _ => fastest,
        }
    }
}

impl Frozen {
    /// On a device, in f32, neither fastest nor smallest.
    pub fn new(device: &Device) -> Self {
        let (precision, convolutions) = (Precision::F32, Convolutions::default());
        Self { device: device.clone(), precision, convolutions }
    }

    /// A linear layer from a weight `[outputs, inputs]` and a bias `[outputs]`, both
    /// row-major.
    ///
    /// # Panics
    /// If the numbers of values are others.
    pub fn linear(
        &self,
        inputs: usize,
        outputs: usize,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
    ) -> Linear {
        if flex::serves(&self.device) {
            let (level, bias) = (kernels::level(), bias.as_deref());
            let packed = PackedLinear::new(&weight, bias, inputs, outputs, level, self.precision);
            return Linear::packed(Packed::new(packed));
        }
        let bias = bias.map(|bias| self.vector(bias));
        Linear::from_tensors(tensor(weight, [outputs, inputs], &self.device), bias)
    }

    /// A convolution from a weight `[outputs, inputs, 3, 3]` and a bias `[outputs]`,
    /// both row-major.
    ///
    /// # Panics
    /// If the numbers of values are others.
    pub fn conv(&self, shape: ConvShape, weight: Vec<f32>, bias: Vec<f32>) -> Conv2d {
        let ConvShape { inputs, outputs, resize, side } = shape;
        if flex::serves(&self.device) {
            let shape = kernels::ConvShape { inputs, outputs, resize };
            let (level, precision) = (kernels::level(), self.precision);
            let algorithm = self.convolutions.algorithm(shape, side, precision);
            let options = ConvOptions { algorithm, level, precision };
            let packed = PackedConv3x3::new(shape, &weight, Some(&bias), options);
            return Conv2d::packed(Packed::new(packed));
        }
        let weight = tensor(weight, [outputs, inputs, 3, 3], &self.device);
        Conv2d::from_tensors(shape, weight, self.vector(bias))
    }

    fn vector(&self, values: Vec<f32>) -> Tensor<1> {
        let length = values.len();
        tensor(values, [length], &self.device)
    }
}
