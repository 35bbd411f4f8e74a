use burn::tensor::{module::conv2d, ops::ConvOptions};

use crate::Tensor;

/// How a convolution treats the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// The same number of zeros on all four sides.
    Same(usize),
    /// One row below and one column to the right, as the VAE's downsampling does.
    BottomRight,
}

/// Shape of a square convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Kernel side, 1 or 3.
    pub kernel: usize,
    /// Step between outputs, 1 or 2.
    pub stride: usize,
    /// Border.
    pub padding: Padding,
}

impl ConvShape {
    /// 3x3, stride 1, one zero around: keeps height and width.
    pub fn same3(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, kernel: 3, stride: 1, padding: Padding::Same(1) }
    }

    /// 1x1.
    pub fn point(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, kernel: 1, stride: 1, padding: Padding::Same(0) }
    }

    /// 3x3, stride 2: halves height and width.
    pub fn halve(channels: usize, padding: Padding) -> Self {
        Self { inputs: channels, outputs: channels, kernel: 3, stride: 2, padding }
    }
}

/// A convolution over channels-last activations.
#[derive(Clone, Debug)]
pub struct Conv2d {
    shape: ConvShape,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
}

impl Conv2d {
    /// Weight `[outputs, inputs, kernel, kernel]`, bias `[outputs]`.
    pub fn from_tensors(shape: ConvShape, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Self {
        Self { shape, weight, bias }
    }

    /// # Shapes
    /// `[batch, height, width, inputs] -> [batch, height', width', outputs]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (x, around) = match self.shape.padding {
            Padding::Same(n) => (x, n),
            Padding::BottomRight => (pad_bottom_right(x), 0),
        };
        let options = ConvOptions::new(
            [self.shape.stride, self.shape.stride],
            [around, around],
            [1, 1],
            1,
        );
        conv2d(x.permute([0, 3, 1, 2]), self.weight.clone(), self.bias.clone(), options)
            .permute([0, 2, 3, 1])
    }
}

fn pad_bottom_right(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    let device = x.device();
    let x = Tensor::cat(vec![x, Tensor::zeros([b, 1, w, c], &device)], 1);
    Tensor::cat(vec![x, Tensor::zeros([b, h + 1, 1, c], &device)], 2)
}
