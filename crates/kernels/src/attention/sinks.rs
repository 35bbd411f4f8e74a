//! What is made of scores and their gradients, tile by tile, while they are in
//! registers.

use super::block::{Limit, limited};
use super::product::Sink;
use crate::gemm::MulAdd;
use crate::simd::{Simd, math};

/// `2^(score - lse)`
#[inline(always)]
pub(super) fn probability<S: Simd>(s: S, score: S::V, lse: S::V) -> S::V {
    math::exp2(s, s.sub(score, lse))
}

/// Stores scores, `[rows][2 LANES]`, and keeps the greatest of each lane.
pub(super) struct Scores<'a, S: Simd> {
    pub(super) to: &'a mut [f32],
    pub(super) top: [S::V; 2],
    pub(super) limit: Option<Limit<S>>,
}

impl<S: Simd> Sink<S> for Scores<'_, S> {
    #[inline(always)]
    fn has_room(&self, rows: usize, _: usize) -> bool {
        rows * 2 * S::LANES <= self.to.len()
    }

    #[inline(always)]
    unsafe fn put<const R: usize, const N: usize>(
        &mut self,
        s: S,
        row: usize,
        sums: [[S::V; N]; R],
    ) {
        for (r, sums) in sums.into_iter().enumerate() {
            for (i, sum) in sums.into_iter().enumerate() {
                let score = limited(s, &self.limit, row + r, i, sum);
                self.top[i] = s.max(self.top[i], score);
                let at = (2 * (row + r) + i) * S::LANES;
                // SAFETY: the caller vouches for room.
                unsafe { s.store(self.to.as_mut_ptr().add(at), score) }
            }
        }
    }
}

/// Makes scores probabilities and stores them as cells of neighbouring lanes.
pub(super) struct Probabilities<'a, S: Simd, P> {
    pub(super) cells: P,
    pub(super) to: &'a mut [f32],
    /// Cells from one row to the next.
    pub(super) stride: usize,
    /// Base-2 logarithm of the sum of each lane.
    pub(super) lse: [S::V; 2],
    pub(super) limit: Option<Limit<S>>,
}

impl<S: Simd, P: MulAdd<S>> Sink<S> for Probabilities<'_, S, P> {
    #[inline(always)]
    fn has_room(&self, rows: usize, vectors: usize) -> bool {
        (rows - 1) * self.stride + vectors * S::LANES / P::VALUES <= self.to.len()
    }

    #[inline(always)]
    unsafe fn put<const R: usize, const N: usize>(
        &mut self,
        s: S,
        row: usize,
        sums: [[S::V; N]; R],
    ) {
        for (r, sums) in sums.into_iter().enumerate() {
            for (i, sum) in sums.into_iter().enumerate() {
                let score = limited(s, &self.limit, row + r, i, sum);
                let value = probability(s, score, self.lse[i]);
                let at = (row + r) * self.stride + i * S::LANES / P::VALUES;
                // SAFETY: the caller vouches for room.
                unsafe { self.cells.store_cells(s, self.to.as_mut_ptr().add(at), value) };
            }
        }
    }
}

/// Makes gradients to probabilities those to scores, `P (gradient - delta)`, and
/// stores them both ways.
pub(super) struct Slopes<'a, S: Simd, P> {
    pub(super) cells: P,
    /// What [`Probabilities`] stored.
    pub(super) probabilities: &'a [f32],
    /// Cells of neighbouring lanes.
    pub(super) slopes: &'a mut [f32],
    /// Cells from one row to the next, of both.
    pub(super) stride: usize,
    /// Cells of neighbouring rows, `[rows / VALUES][2 LANES]`.
    pub(super) panel: &'a mut [f32],
    pub(super) deltas: [S::V; 2],
    /// Added to the gradients, `[rows][2 LANES]`.
    pub(super) extra: Option<&'a [f32]>,
}

impl<S: Simd, P: MulAdd<S>> Slopes<'_, S, P> {
    /// One vector of gradients to scores, stored as neighbouring lanes.
    ///
    /// # Safety
    /// As for [`Sink::put`].
    #[inline(always)]
    unsafe fn slope(&mut self, s: S, row: usize, vector: usize, gradient: S::V) -> S::V {
        let at = row * self.stride + vector * S::LANES / P::VALUES;
        let mut gradient = s.sub(gradient, self.deltas[vector]);
        // SAFETY: the caller vouches for room.
        unsafe {
            if let Some(extra) = self.extra {
                let extra = extra.as_ptr().add((2 * row + vector) * S::LANES);
                gradient = s.add(gradient, s.load(extra));
            }
            let probability = self.cells.load_cells(s, self.probabilities.as_ptr().add(at));
            let slope = s.mul(probability, gradient);
            self.cells.store_cells(s, self.slopes.as_mut_ptr().add(at), slope);
            slope
        }
    }
}

impl<S: Simd, P: MulAdd<S>> Sink<S> for Slopes<'_, S, P> {
    #[inline(always)]
    fn has_room(&self, rows: usize, vectors: usize) -> bool {
        let end = (rows - 1) * self.stride + vectors * S::LANES / P::VALUES;
        let panel = 2 * S::LANES;
        end <= self.probabilities.len().min(self.slopes.len())
            && rows.div_ceil(P::VALUES) * panel <= self.panel.len()
            && self.extra.is_none_or(|extra| rows * panel <= extra.len())
    }

    #[inline(always)]
    unsafe fn put<const R: usize, const N: usize>(
        &mut self,
        s: S,
        row: usize,
        sums: [[S::V; N]; R],
    ) {
        // Tiles that are followed by others have an even height, so pairs stay together.
        for (r, pair) in sums.chunks(P::VALUES).enumerate() {
            let row = row + r * P::VALUES;
            for (i, &first) in pair[0].iter().enumerate() {
                // SAFETY: the caller vouches for room.
                unsafe {
                    let first = self.slope(s, row, i, first);
                    let second = match pair.get(1) {
                        Some(second) => self.slope(s, row + 1, i, second[i]),
                        None => s.zero(),
                    };
                    let at = (2 * (row / P::VALUES) + i) * S::LANES;
                    let cells = self.cells.join(s, first, second);
                    s.store(self.panel.as_mut_ptr().add(at), cells);
                }
            }
        }
    }
}
