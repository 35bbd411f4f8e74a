use kernels::PackedLinear;

use super::kept::KeptLinear;
use crate::{Tensor, flex::Packed, ops};

/// `y = x W^T + b` over the last dimension.
#[derive(Clone, Debug)]
pub struct Linear(Weights);

#[derive(Clone, Debug)]
enum Weights {
    Frozen(Packed<PackedLinear>),
    Kept(Box<KeptLinear>),
    Tensors(Box<(Tensor<2>, Option<Tensor<1>>)>),
    LowRank(Box<LowRank>),
    HeldFirst(Box<Linear>),
}

#[derive(Clone, Debug)]
struct LowRank {
    layer: Linear,
    down: Linear,
    up: Linear,
    scale: f64,
}

impl Linear {
    /// A layer whose weight `[outputs, inputs]` and bias `[outputs]` are tensors:
    /// leaves that collect gradients, or constants. Frozen layers are faster when they
    /// are built by [`Frozen::linear`](super::Frozen::linear).
    pub fn from_tensors(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self(Weights::Tensors(Box::new((weight, bias))))
    }

    /// This layer with the product of two small ones added, `scale * up(down(x))`: a LoRA
    /// (Hu et al. 2021).
    ///
    /// # Shapes
    /// `down [.., inputs] -> [.., rank]`, `up [.., rank] -> [.., outputs]`
    pub fn with_low_rank(self, down: Linear, up: Linear, scale: f64) -> Self {
        Self(Weights::LowRank(Box::new(LowRank { layer: self, down, up, scale })))
    }

    /// This layer with the first row of its result a constant: no gradient passes
    /// through it, neither to the input's first row nor to the weight.
    pub fn holding_first_row(self) -> Self {
        Self(Weights::HeldFirst(Box::new(self)))
    }

    pub(super) fn packed(weights: Packed<PackedLinear>) -> Self {
        Self(Weights::Frozen(weights))
    }

    pub(super) fn kept(weights: KeptLinear) -> Self {
        Self(Weights::Kept(Box::new(weights)))
    }

    /// # Shapes
    /// `[.., inputs] -> [.., outputs]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.0 {
            Weights::Frozen(weights) => ops::packed_linear(x, weights),
            Weights::Kept(weights) => weights.forward(x),
            Weights::Tensors(tensors) => {
                let (weight, bias) = *tensors.clone();
                ops::linear(x, weight, bias)
            }
            Weights::LowRank(lora) => {
                let LowRank { layer, down, up, scale } = lora.as_ref();
                layer.forward(x.clone()) + up.forward(down.forward(x)) * *scale
            }
            Weights::HeldFirst(layer) => held_first_row(layer.forward(x)),
        }
    }
}

fn held_first_row<const D: usize>(y: Tensor<D>) -> Tensor<D> {
    let (rows, count) = (D - 2, y.dims()[D - 2]);
    let first = y.clone().narrow(rows, 0, 1).detach();
    Tensor::cat(vec![first, y.narrow(rows, 1, count - 1)], rows)
}
