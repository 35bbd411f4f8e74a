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
            // f16 may be too narrow for what flows between blocks.
            Precision::F32 | Precision::Tf32 | Precision::F16 => x,
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
    scaled: bool,
    /// The largest gradient, where they are scaled.
    largest: Option<Tensor<1>>,
}

impl Seeds {
    /// For layers whose weights are in this precision. f16 has no numbers for most
    /// gradients as they are: there they go through the block in a scale of their own
    /// (loss scaling; Micikevicius et al. 2018, arXiv 1710.03740), anew for each block, and
    /// come out of it in the usual one.
    pub fn through(precision: Precision) -> Self {
        Self { scaled: precision == Precision::F16, ..Self::default() }
    }

    /// Adds one output and its gradient, of the same shape. An output that no
    /// leaf reaches carries nothing back and is left out.
    pub fn add<const D: usize>(&mut self, output: Tensor<D>, gradient: Tensor<D>) {
        if !output.is_tracked() {
            return;
        }
        let gradient = gradient.inner();
        if self.scaled {
            let largest = gradient.clone().abs().max();
            self.largest = Some(match self.largest.take() {
                Some(other) => other.max_pair(largest),
                None => largest,
            });
        }
        let part = (output * gradient).sum();
        self.total = Some(match self.total.take() {
            Some(total) => total + part,
            None => part,
        });
    }

    /// Runs the tape backward.
    pub fn backward(self) -> Gradients {
        // Of the largest gradient, so that it is `LARGEST` inside the block.
        let unit = self.largest.map(|largest| largest.clamp_min(SMALLEST) / LARGEST);
        let total = match (self.total, &unit) {
            (Some(total), Some(unit)) => Some(total / unit.clone().autodiff()),
            (total, _) => total,
        };
        Gradients { arrived: total.map(|total| total.backward()), unit }
    }
}

/// The largest gradient that enters a block whose weights are in f16: 12 binary digits
/// below what overflows, 28 above what is lost.
const LARGEST: f32 = 16.0;

/// Gradients below are not scaled up any further: one divided by them would overflow.
const SMALLEST: f32 = 1e-30;

/// What reached the leaves of one replayed block.
pub struct Gradients {
    arrived: Option<burn::tensor::Gradients>,
    /// What they are to be multiplied by.
    unit: Option<Tensor<1>>,
}

impl Gradients {
    /// The gradient of a leaf; `None` if nothing depends on it.
    pub fn take<const D: usize>(&mut self, leaf: &Tensor<D>) -> Option<Tensor<D>> {
        let gradient = leaf.grad_remove(self.arrived.as_mut()?)?;
        Some(match &self.unit {
            Some(unit) => gradient * unit.clone().reshape([1; D]),
            None => gradient,
        })
    }
}

impl From<burn::tensor::Gradients> for Gradients {
    fn from(gradients: burn::tensor::Gradients) -> Self {
        Self { arrived: Some(gradients), unit: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cpu, nn::Frozen, tensor, values};

    #[test]
    fn bf16_rounds_what_is_put_away() {
        let x = tensor([1.0, 1.0 + 1.0 / 512.0, -1.0 - 3.0 / 512.0, 0.0], [2, 2], &cpu());
        let load = |precision| values(Stored::new(&leaf(&x), precision).load());
        assert_eq!(load(Precision::F32), values(x.clone()));
        assert_eq!(load(Precision::Bf16), [1.0, 1.0, -1.0 - 1.0 / 128.0, 0.0]);
        assert!(!Stored::new(&leaf(&x), Precision::Bf16).load().is_tracked());
    }

    /// Gradients for which f16 has no numbers, and those whose products it has none for.
    #[test]
    fn f16_carries_gradients_of_any_size() {
        let (weights, count) = ([[0.5_f32, -2.0], [1.0, 0.25]], 2);
        let how = Frozen { precision: Precision::F16, ..Frozen::new(&cpu()) };
        let layer = how.linear(count, count, weights.concat(), None);
        for size in [0.0, 1e-30, 3e-10, 1.0, 5e4, 1e30] {
            let x = leaf(&tensor([1.0, 1.0], [1, count], &cpu()));
            let mut seeds = Seeds::through(Precision::F16);
            seeds.add(layer.forward(x.clone()), tensor([size, -size], [1, count], &cpu()));
            let got = values(seeds.backward().take(&x).unwrap());
            for (got, want) in got.into_iter().zip([-0.5 * size, -2.25 * size]) {
                assert!((got - want).abs() <= 1e-3 * size, "{got} is not {want}");
            }
            let mut seeds = Seeds::default();
            seeds.add(layer.forward(x.clone()), tensor([size, -size], [1, count], &cpu()));
            let plain = values(seeds.backward().take(&x).unwrap());
            let lost = plain[0] == 0.0 || !plain[0].is_finite();
            assert_eq!(lost, size == 0.0 || !(1e-8..=65504.0).contains(&size), "{size}: {plain:?}");
        }
    }
}
