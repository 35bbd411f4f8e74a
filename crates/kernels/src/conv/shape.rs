//! What a convolution does to the size of an image, and which way to compute it.

use crate::gemm::Precision;

/// How a 3x3 convolution relates the sizes of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resize {
    /// Stride 1, one zero on all sides: the size stays.
    Keep,
    /// Stride 2, one zero on all sides: `(n + 1) / 2`, the U-Net's way down.
    HalveAround,
    /// Stride 2, one zero below and on the right: `n / 2`, the VAE encoder's way down.
    HalveBottomRight,
    /// The image is first enlarged twofold, each pixel four times, then as [`Resize::Keep`].
    Double,
}

impl Resize {
    /// `[height, width]` of the output.
    pub fn output_size(self, [height, width]: [usize; 2]) -> [usize; 2] {
        let side = |n: usize| match self {
            Resize::Keep => n,
            Resize::HalveAround => n.div_ceil(2),
            Resize::HalveBottomRight => n / 2,
            Resize::Double => 2 * n,
        };
        [side(height), side(width)]
    }

    /// Pixels between the windows of two outputs.
    pub(super) fn stride(self) -> usize {
        match self {
            Resize::Keep | Resize::Double => 1,
            Resize::HalveAround | Resize::HalveBottomRight => 2,
        }
    }

    /// Zeros above and on the left.
    pub(super) fn before(self) -> usize {
        usize::from(self != Resize::HalveBottomRight)
    }
}

/// Channels of a 3x3 convolution, and how it resizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// What becomes of height and width.
    pub resize: Resize,
}

/// How a 3x3 convolution is computed.
///
/// Winograd's minimal filtering (Lavin & Gray 2015, arXiv 1509.09308) trades products
/// for additions on transformed tiles. The errors are measured against f64 with 320
/// channels: the greatest, relative to the output's root mean square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Nine products, one for each neighbour; 9 weights a kernel. Error 2e-6, with bf16
    /// 1 %.
    Direct,
    /// F(2x2, 3x3): 2.25 times fewer products; 16 weights a kernel. Error 3e-6, with
    /// bf16 1.5 %.
    Winograd2,
    /// F(4x4, 3x3): 4 times fewer products; 36 weights a kernel. Error 2e-5. Not for
    /// bf16, whose error it makes 20 %.
    Winograd4,
}

impl Algorithm {
    /// The fastest way for images of about the given `[height, width]` (of the input).
    ///
    /// Direct when the image is halved or channels are few; F(4x4) from 16x16 on;
    /// F(2x2) below, where larger tiles would mostly hold border and reading their
    /// weights would take longer than the products, and for bf16.
    pub fn choose(shape: ConvShape, size: [usize; 2], precision: Precision) -> Self {
        const FEW: usize = 16;
        let [height, width] = shape.resize.output_size(size);
        if shape.resize.stride() == 2 || shape.inputs < FEW || shape.outputs < FEW {
            Algorithm::Direct
        } else if precision == Precision::F32 && height.min(width) >= 16 {
            Algorithm::Winograd4
        } else {
            Algorithm::Winograd2
        }
    }
}

/// A batch of channels-last images, `[batch, height, width, channels]`.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub(super) data: &'a [f32],
    pub(super) batch: usize,
    pub(super) size: [usize; 2],
    pub(super) channels: usize,
}

impl<'a> Images<'a> {
    /// # Panics
    /// If the slice does not have the size that the shape asks for.
    pub(super) fn new(data: &'a [f32], batch: usize, size: [usize; 2], channels: usize) -> Self {
        let [height, width] = size;
        assert_eq!(
            data.len(),
            batch * height * width * channels,
            "{batch} images of {height}x{width} with {channels} channels"
        );
        Self { data, batch, size, channels }
    }
}
