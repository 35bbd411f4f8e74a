use kernels::PackedConv3x3;

use super::kept::KeptConv;
use crate::{
    Tensor,
    flex::Packed,
    ops::{self, Resize},
};

/// Shape of a 3x3 convolution. (A 1x1 convolution over channels-last activations is a
/// [`Linear`](super::Linear) layer.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// What becomes of height and width.
    pub resize: Resize,
    /// Side of the input images that are expected. Images of other sizes are convolved
    /// as well, but the fastest way is chosen for this one.
    pub side: usize,
}

impl ConvShape {
    /// Stride 1, one zero around: keeps height and width.
    pub fn same(inputs: usize, outputs: usize, side: usize) -> Self {
        Self { inputs, outputs, resize: Resize::Keep, side }
    }

    /// With as many outputs as inputs, and another size.
    pub fn resizing(channels: usize, resize: Resize, side: usize) -> Self {
        Self { inputs: channels, outputs: channels, resize, side }
    }
}

/// A 3x3 convolution over channels-last activations.
#[derive(Clone, Debug)]
pub struct Conv2d(Weights);

#[derive(Clone, Debug)]
enum Weights {
    Frozen(Packed<PackedConv3x3>),
    Kept(Box<KeptConv>),
    Tensors(Resize, Box<(Tensor<4>, Tensor<1>)>),
}

impl Conv2d {
    /// A convolution whose weight `[outputs, inputs, 3, 3]` and bias `[outputs]` are
    /// tensors: leaves that collect gradients, or constants. Frozen layers are faster
    /// when they are built by [`Frozen::conv`](super::Frozen::conv).
    pub fn from_tensors(shape: ConvShape, weight: Tensor<4>, bias: Tensor<1>) -> Self {
        Self(Weights::Tensors(shape.resize, Box::new((weight, bias))))
    }

    pub(super) fn packed(weights: Packed<PackedConv3x3>) -> Self {
        Self(Weights::Frozen(weights))
    }

    pub(super) fn kept(weights: KeptConv) -> Self {
        Self(Weights::Kept(Box::new(weights)))
    }

    /// # Shapes
    /// `[batch, height, width, inputs] -> [batch, height', width', outputs]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match &self.0 {
            Weights::Frozen(weights) => ops::packed_conv3x3(x, weights),
            Weights::Kept(weights) => weights.forward(x),
            Weights::Tensors(resize, tensors) => {
                let (weight, bias) = *tensors.clone();
                ops::conv3x3(x, weight, bias, *resize)
            }
        }
    }
}
