//! The optimiser's step.

use rayon::prelude::*;

use crate::elementwise::{CHUNK, load_up_to, store_up_to};
use crate::simd::{Kernel, Level, Simd, dispatch};

/// The factors of one AdamW step (Loshchilov & Hutter 2019, arXiv 1711.05101), each
/// rounded to f32 once.
///
/// With gradient `g`, first moment `m`, second moment `v` and weight `w`, in this
/// order and without fusing any multiplication with an addition:
///
/// ```text
/// m = beta1 m + one_minus_beta1 g
/// v = beta2 v + (one_minus_beta2 g) g
/// w = w keep - (step_size m) / (sqrt(v) / root_correction + epsilon)
/// ```
///
/// So every level gives the same bits as a plain loop over f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// `1 - learning rate * weight decay`.
    pub keep: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// `1 - beta1`, rounded from the exact difference.
    pub one_minus_beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// `1 - beta2`, rounded from the exact difference.
    pub one_minus_beta2: f32,
    /// `sqrt(1 - beta2^t)` at step `t`, counted from 1.
    pub root_correction: f32,
    /// `learning rate / (1 - beta1^t)`.
    pub step_size: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
}

impl AdamWStep {
    /// Updates `weights` and both moments in place, in parallel.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply(
        &self,
        level: Level,
        weights: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let lengths = [gradient.len(), first.len(), second.len()];
        assert_eq!(lengths, [weights.len(); 3], "gradient, moments and weights differ in length");
        let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
        let parts = weights.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK)).zip(moments);
        parts.for_each(|((weights, gradient), (first, second))| {
            dispatch(level, Part { factors: *self, weights, gradient, first, second });
        });
    }

    /// The new weight and moments of one vector.
    #[inline(always)]
    fn update<S: Simd>(self, s: S, w: S::V, g: S::V, m: S::V, v: S::V) -> [S::V; 3] {
        let scaled = |factor, x| s.mul(s.splat(factor), x);
        let m = s.add(scaled(self.beta1, m), scaled(self.one_minus_beta1, g));
        let v = s.add(scaled(self.beta2, v), s.mul(scaled(self.one_minus_beta2, g), g));
        let root = s.div(s.sqrt(v), s.splat(self.root_correction));
        let denominator = s.add(root, s.splat(self.epsilon));
        let step = s.div(scaled(self.step_size, m), denominator);
        [s.sub(s.mul(w, s.splat(self.keep)), step), m, v]
    }
}

/// A part of the slices, of equal lengths.
struct Part<'a> {
    factors: AdamWStep,
    weights: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.weights.len();
        for i in (0..len).step_by(S::LANES) {
            let count = S::LANES.min(len - i);
            // SAFETY: `count` values are left behind `i` in slices of `len`.
            unsafe {
                let g = load_up_to(s, self.gradient.as_ptr().add(i), count);
                let state = [&mut *self.weights, &mut *self.first, &mut *self.second];
                let state = state.map(|values| values.as_mut_ptr().add(i));
                let [w, m, v] = state.map(|from| load_up_to(s, from, count));
                let updated = self.factors.update(s, w, g, m, v);
                for (to, value) in state.into_iter().zip(updated) {
                    store_up_to(s, to, count, value);
                }
            }
        }
    }
}
