//! Leaves and seeds for block-wise replay.
//!
//! A long frozen network is run once without a tape, keeping only the inputs
//! of its blocks. Going backward, one block at a time is run again with its
//! inputs as [`leaf`]s, and [`Seeds`] carry the gradients of its outputs in.

use crate::Tensor;

/// A copy of `x` that starts a new tape and keeps its gradient.
pub fn leaf<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().inner().autodiff().require_grad()
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
