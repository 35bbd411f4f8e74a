use crate::{Tensor, ops};

/// Group norm over channels-last activations, optionally followed by SiLU.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// Weight and bias are `[channels]`; `groups` divides `channels`.
    pub fn from_tensors(weight: Tensor<1>, bias: Tensor<1>, groups: usize, epsilon: f64) -> Self {
        Self { weight, bias, groups, epsilon }
    }

    /// # Shapes
    /// `[batch, height, width, channels]`, unchanged.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.apply(x, false)
    }

    /// The norm followed by SiLU, in one pass over the activations.
    pub fn forward_silu(&self, x: Tensor<4>) -> Tensor<4> {
        self.apply(x, true)
    }

    fn apply(&self, x: Tensor<4>, silu: bool) -> Tensor<4> {
        ops::group_norm(x, self.weight.clone(), self.bias.clone(), self.groups, self.epsilon, silu)
    }
}

/// Layer norm over the last dimension.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    /// Weight and bias are `[channels]`.
    pub fn from_tensors(weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Self {
        Self { weight, bias, epsilon }
    }

    /// # Shapes
    /// `[batch, tokens, channels]`, unchanged.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::layer_norm(x, self.weight.clone(), self.bias.clone(), self.epsilon)
    }
}
