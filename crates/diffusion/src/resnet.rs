//! The residual block that U-Net and VAE share.

use engine::{
    Tensor,
    nn::{Conv2d, ConvShape, GroupNorm, Linear, WeightSource},
    ops,
};

/// Sizes of a residual block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResnetShape {
    pub inputs: usize,
    pub outputs: usize,
    pub groups: usize,
    pub epsilon: f64,
    /// Side of the images that are expected.
    pub side: usize,
    /// Width of the time embedding; the VAE has none.
    pub time: Option<usize>,
}

/// Norm, SiLU, convolution, twice; the time embedding is added in between and
/// the input at the end.
#[derive(Clone)]
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Linear>,
}

impl Resnet {
    pub fn build<S: WeightSource>(
        source: &S,
        name: &str,
        shape: ResnetShape,
    ) -> Result<Self, S::Error> {
        let ResnetShape { inputs, outputs, groups, epsilon, side, time } = shape;
        let part = |p: &str| format!("{name}.{p}");
        Ok(Self {
            norm1: source.group_norm(&part("norm1"), groups, inputs, epsilon)?,
            conv1: source.conv(&part("conv1"), ConvShape::same(inputs, outputs, side))?,
            time: time
                .map(|width| source.linear(&part("time_emb_proj"), width, outputs, true))
                .transpose()?,
            norm2: source.group_norm(&part("norm2"), groups, outputs, epsilon)?,
            conv2: source.conv(&part("conv2"), ConvShape::same(outputs, outputs, side))?,
            shortcut: (inputs != outputs)
                .then(|| source.linear(&part("conv_shortcut"), inputs, outputs, true))
                .transpose()?,
        })
    }

    /// # Shapes
    /// `x [batch, height, width, inputs]`; `time [batch or 1, time width]`, the
    /// embedding with its SiLU already applied.
    pub fn forward(&self, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        let mut h = self.conv1.forward(self.norm1.forward_silu(x.clone()));
        if let (Some(project), Some(time)) = (&self.time, time) {
            h = ops::add_to_pixels(h, project.forward(time.clone()));
        }
        let h = self.conv2.forward(self.norm2.forward_silu(h));
        let x = match &self.shortcut {
            Some(project) => project.forward(x),
            None => x,
        };
        ops::add(x, h)
    }
}
