use kernels::{Algorithm, ConvOptions, PackedConv3x3, PackedLinear};

use super::{
    Conv2d, ConvShape, Linear, Precision,
    kept::{KeptConv, KeptLinear},
};
use crate::{
    Device, Tensor,
    flex::{self, Packed},
    tensor,
};

/// Where frozen layers are built, and how their weights are kept.
///
/// On the processor weights are packed for the kernels once, and exist once. On
/// another device they are plain tensors, there or in the machine's memory.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The device.
    pub device: Device,
    /// What weights are rounded to, and the factors of their products.
    pub precision: Precision,
    /// How the kernels keep the weights of 3x3 convolutions.
    pub convolutions: Convolutions,
    /// The weights of layers stay in the machine's memory and are brought to the device
    /// whenever a layer computes. The kernels, for which there is no such difference, do
    /// not serve then.
    pub streamed: bool,
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

    fn algorithm(
        self,
        shape: kernels::ConvShape,
        side: usize,
        precision: kernels::Precision,
    ) -> Algorithm {
        let fastest = Algorithm::choose(shape, [side; 2], precision);
        match (self, fastest) {
            (Self::Compact, _) => Algorithm::Direct,
            (Self::Balanced, Algorithm::Winograd4) => Algorithm::Winograd2,
            _ => fastest,
        }
    }
}

impl Frozen {
    /// On a device, in f32 and not streamed, neither fastest nor smallest.
    pub fn new(device: &Device) -> Self {
        let (precision, convolutions) = (Precision::F32, Convolutions::default());
        Self { device: device.clone(), precision, convolutions, streamed: false }
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
        if let Some(precision) = self.of_kernels() {
            let (level, bias) = (kernels::level(), bias.as_deref());
            let packed = PackedLinear::new(&weight, bias, inputs, outputs, level, precision);
            return Linear::packed(Packed::new(packed));
        }
        let bias = bias.map(|bias| self.vector(bias));
        Linear::kept(KeptLinear::new([outputs, inputs], weight, bias, self))
    }

    /// A convolution from a weight `[outputs, inputs, 3, 3]` and a bias `[outputs]`,
    /// both row-major.
    ///
    /// # Panics
    /// If the numbers of values are others.
    pub fn conv(&self, shape: ConvShape, weight: Vec<f32>, bias: Vec<f32>) -> Conv2d {
        let ConvShape { inputs, outputs, resize, side } = shape;
        if let Some(precision) = self.of_kernels() {
            let shape = kernels::ConvShape { inputs, outputs, resize };
            let level = kernels::level();
            let algorithm = self.convolutions.algorithm(shape, side, precision);
            let options = ConvOptions { algorithm, level, precision };
            let packed = PackedConv3x3::new(shape, &weight, Some(&bias), options);
            return Conv2d::packed(Packed::new(packed));
        }
        let (dims, bias) = ([outputs, inputs, 3, 3], self.vector(bias));
        Conv2d::kept(KeptConv::new(dims, weight, bias, resize, self))
    }

    /// The precision in which the kernels keep the weights, if they serve.
    fn of_kernels(&self) -> Option<kernels::Precision> {
        let serve = flex::serves(&self.device) && !self.streamed;
        if serve { self.precision.of_kernels() } else { None }
    }

    fn vector(&self, values: Vec<f32>) -> Tensor<1> {
        let length = values.len();
        tensor(values, [length], &self.device)
    }
}
