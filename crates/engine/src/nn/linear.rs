use kernels::PackedLinear;

use crate::{Tensor, flex::Packed, ops};

/// `y = x W^T + b` over the last dimension.
#[derive(Clone, Debug)]
pub struct Linear(Weights);

#[derive(Clone, Debug)]
enum Weights {
    Frozen(Packed<PackedLinear>),
    Tensors(Box<(Tensor<2>, Option<Tensor<1>>)>),
}

impl Linear {
    /// A layer whose weight `[outputs, inputs]` and bias `[outputs]` are tensors:
    /// leaves that collect gradients, or constants. Frozen layers are faster when they
    /// are built by [`Frozen::linear`](super::Frozen::linear).
    pub fn from_tensors(weight: Tensor<2>, bias: Option<Tensor<1>>) -> Self {
        Self(Weights::Tensors(Box::new((weight, bias))))
    }

    pub(super) fn packed(weights: Packed<PackedLinear>) -> Self {
        Self(Weights::Frozen(weights))
    }

    /// # Shapes
    /// `[.., inputs] -> [.., outputs]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.0 {
            Weights::Frozen(weights) => ops::packed_linear(x, weights),
            Weights::Tensors(tensors) => {
                let (weight, bias) = *tensors.clone();
                ops::linear(x, weight, bias)
            }
        }
    }
}
