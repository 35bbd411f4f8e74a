//! Leaves and seeds for block-wise replay.
//!
//! A long frozen network is run once without a tape, keeping only the inputs
//! of its blocks. Going backward, one block at a time is run again with its
//! inputs as [`leaf`]s, and [`Seeds`] carry the gradients of its outputs in.

use burn::tensor::FloatDType;

use crate::{Tensor, nn::Precision};

/// A copy of `x` that starts a new tape and keeps its gradient.
pub fn leaf<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().inner().autodiff().require_grad()
}

/// The input of a block, put away until the block is run again. In bf16 it takes
/// half the memory and comes back rounded.
#[derive(Clone, Debug)]
pub struct Stored<const D: usize>(Tensor<D>);

impl<const D: usize> Stored<D> {
    /// Puts the values of `x` away, without its tape.
    pub fn new(x: &Tensor<D>, precision: Precision) -> Self {
        let x = x.clone().inner();
        Self(match precision {
            Precision::F32 => x,
            Precision::Bf16 => x.cast(FloatDType::BF16),
        })
    }

    /// The values, in f32.
    pub fn load(&self) -> Tensor<D> {
        self.0.clone().cast(FloatDType::F32)
    }
}

/// Outputs of a replayed block with the gradients that arrive at them.
#[derive(Default)]
pub struct Seeds {
    total: Option<Tensor<1>>,
}

impl Seeds {
    /// Adds one output and its gradient, of the same shape. An output that no
    /// leaf reaches carries nothing back and is left out.
    pub fn add<const D: usize>(&mut self, output: Tensor<D>, gradient: Tensor<D>) {
        if !output.is_tracked() {
            return;
        }
        let part = (output * gradient.inner()).sum();
        self.total = Some(match self.total.take() {
            Some(total) => total + part,
            None => part,
        });
    }

    /// Runs the tape backward.
    pub fn backward(self) -> Gradients {
        Gradients(self.total.map(|total| total.backward()))
    }
}

/// What reached the leaves of one replayed block.
pub struct Gradients(Option<burn::tensor::Gradients>);

impl Gradients {
    /// The gradient of a leaf; `None` if nothing depends on it.
    pub fn take<const D: usize>(&mut self, leaf: &Tensor<D>) -> Option<Tensor<D>> {
        leaf.grad_remove(self.0.as_mut()?)
    }
}

impl From<burn::tensor::Gradients> for Gradients {
    fn from(gradients: burn::tensor::Gradients) -> Self {
        Self(Some(gradients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cpu, tensor, values};

    #[test]
    fn bf16_rounds_what_is_put_away() {
        let x = tensor([1.0, 1.0 + 1.0 / 512.0, -1.0 - 3.0 / 512.0, 0.0], [2, 2], &cpu());
        let load = |precision| values(Stored::new(&leaf(&x), precision).load());
        assert_eq!(load(Precision::F32), values(x.clone()));
        assert_eq!(load(Precision::Bf16), [1.0, 1.0, -1.0 - 1.0 / 128.0, 0.0]);
        assert!(!Stored::new(&leaf(&x), Precision::Bf16).load().is_tracked());
    }
}
