//! Layers over frozen or trained weights.
//!
//! A model is *built* from a [`WeightSource`]: the frozen base reads its file
//! and packs each matrix once, a training program hands out tensors that
//! collect gradients. The model code is the same for both.

mod conv;
mod cross_attention;
mod frozen;
mod kept;
mod linear;
mod norm;
mod precision;

pub use conv::{Conv2d, ConvShape};
pub use cross_attention::{CrossAttention, CrossAttentionShape};
pub use frozen::{Convolutions, Frozen};
pub use kernels::Resize;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};
pub use precision::Precision;

use crate::Tensor;

/// Gives another layer in place of one that a built model has under a name (without
/// `.weight`), or `None` where it stays.
pub type Replace<'a> = dyn Fn(&str, &Linear) -> Option<Linear> + 'a;

/// Where a model's weights come from while it is being built.
///
/// Names are dotted paths as in diffusers' files, without the final
/// `.weight` / `.bias`.
pub trait WeightSource {
    /// What can go wrong: a missing name, a wrong shape.
    type Error;

    /// What the factors of products between the layers, those of attention, are
    /// rounded to where the kernels serve.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// `y = x W^T + b` with `W` of shape `[outputs, inputs]`.
    fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> Result<Linear, Self::Error>;

    /// A convolution with weights `[outputs, inputs, 3, 3]`.
    fn conv(&self, name: &str, shape: ConvShape) -> Result<Conv2d, Self::Error>;

    /// A vector of `length` values; `name` is complete here.
    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>, Self::Error>;

    /// A table of `rows` vectors of `width` values; `name` is complete here.
    fn table(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>, Self::Error>;

    /// A table of which a few rows are looked up at a time. Where nothing of it is learned it may
    /// lie in the machine's memory, whatever the device.
    fn lookup(&self, name: &str, rows: usize, width: usize) -> Result<Tensor<2>, Self::Error> {
        self.table(name, rows, width)
    }

    /// Group norm over `channels` in `groups` groups.
    fn group_norm(
        &self,
        name: &str,
        groups: usize,
        channels: usize,
        epsilon: f64,
    ) -> Result<GroupNorm, Self::Error> {
        let weight = self.vector(&format!("{name}.weight"), channels)?;
        let bias = self.vector(&format!("{name}.bias"), channels)?;
        Ok(GroupNorm::from_tensors(weight, bias, groups, epsilon))
    }

    /// Layer norm over the last dimension of `channels`.
    fn layer_norm(
        &self,
        name: &str,
        channels: usize,
        epsilon: f64,
    ) -> Result<LayerNorm, Self::Error> {
        let weight = self.vector(&format!("{name}.weight"), channels)?;
        let bias = self.vector(&format!("{name}.bias"), channels)?;
        Ok(LayerNorm::from_tensors(weight, bias, epsilon))
    }
}
