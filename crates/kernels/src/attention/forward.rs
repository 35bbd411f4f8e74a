use std::ops::Range;

use rayon::prelude::*;

use super::block::{QueryBlock, scale};
use super::keys::UsableKeys;
use super::pack::{Along, Heads, in_lanes, out_of_lanes};
use super::product::{Accumulate, Left, product};
use super::shape::{Attention, KEY_TILE};
use super::sinks::{Scores, probability};
use crate::gemm::{MulAdd, ProductKernel};
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::simd::Simd;

impl Attention<'_> {
    /// `softmax(q k^T / sqrt(width)) v` for each head.
    ///
    /// `lse` receives the base-2 logarithm of each query's sum of exponentials,
    /// `log2(sum_j e^(score_j))`, for [`Attention::backward`] and
    /// [`Attention::columns`].
    ///
    /// # Shapes
    /// `q, out [batch, queries, channels]`, `k, v [key_batch, keys, channels]`,
    /// `lse [batch, heads, queries]`
    ///
    /// # Panics
    /// If sizes and lengths do not fit each other.
    pub fn forward(&self, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32], lse: &mut [f32]) {
        self.check(&[q.len(), out.len()], &[k.len(), v.len()], lse.len());
        let usable = self.usable_keys();
        let keys = Heads::pack(self, &usable, k, Along::Channels);
        let values = Heads::pack(self, &usable, v, Along::Keys);
        let shared = (Shared::new(out), Shared::new(lse));
        self.blocks().into_par_iter().for_each(|block| {
            let key_row = block.row / self.share();
            self.launch(Forward {
                how: self,
                usable: &usable[key_row],
                keys: keys.head(key_row, block.head),
                values: values.head(key_row, block.head),
                q: &q[block.start(self)..],
                block,
                out: shared.0,
                lse: shared.1,
            });
        });
        self.fill_even(&usable, v, out, lse);
    }

    /// Means of all values for the queries that may use no key.
    fn fill_even(&self, usable: &[UsableKeys], v: &[f32], out: &mut [f32], lse: &mut [f32]) {
        let channels = self.channels();
        for (i, usable) in usable.iter().enumerate() {
            let even = usable.even(self.queries);
            if even.is_empty() {
                continue;
            }
            let mut mean = vec![0.0; channels];
            for v in v[i * self.keys * channels..][..self.keys * channels].chunks_exact(channels) {
                mean.iter_mut().zip(v).for_each(|(sum, &v)| *sum += f64::from(v));
            }
            for row in i * self.share()..(i + 1) * self.share() {
                let out = &mut out[row * self.queries * channels..][..even.end * channels];
                for (out, sum) in out.iter_mut().zip(mean.iter().cycle()) {
                    *out = (sum / self.keys as f64) as f32;
                }
                let heads = &mut lse[row * self.heads * self.queries..];
                for lse in heads.chunks_exact_mut(self.queries).take(self.heads) {
                    lse[even.clone()].fill((self.keys as f32).log2());
                }
            }
        }
    }
}

/// The forward pass of one block.
struct Forward<'a> {
    how: &'a Attention<'a>,
    usable: &'a UsableKeys,
    /// Usable keys of the head, for sums over channels.
    keys: &'a [f32],
    /// Usable values of the head, for sums over keys.
    values: &'a [f32],
    /// Begins with the block's first query.
    q: &'a [f32],
    block: QueryBlock,
    out: Shared<'a, f32>,
    lse: Shared<'a, f32>,
}

impl ProductKernel for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, p: P) {
        let panel = 2 * S::LANES;
        let one = self.how.width * panel;
        let mut scratch =
            Scratch::take(2 * self.block.count.div_ceil(panel) * one + KEY_TILE * panel);
        let (scores, buffers) = scratch.split_at_mut(KEY_TILE * panel);
        let mut panels = Vec::with_capacity(self.block.count.div_ceil(panel));
        // A closure given to an iterator might not be inlined, see `crate::simd`.
        for (lanes, buffer) in self.block.panels(s).zip(buffers.chunks_exact_mut(2 * one)) {
            panels.push(self.panel(s, p, lanes, buffer));
        }
        let reach = self.block.reach(self.usable);
        for first in (0..reach).step_by(KEY_TILE) {
            for panel in &mut panels {
                self.tile(s, p, first..reach.min(first + KEY_TILE), scores, panel);
            }
        }
        for panel in panels {
            self.finish(s, panel);
        }
    }
}

/// The queries of a panel, and what is known of them after some keys.
struct Panel<'a, S: Simd> {
    /// Its first lane.
    lane: usize,
    /// Lanes in use.
    count: usize,
    /// Scaled to give exponents of 2, `[width / VALUES][2 LANES]`.
    queries: &'a [f32],
    /// Sums of values, each times `2^(score - top)`, `[width][2 LANES]`.
    sums: &'a mut [f32],
    /// The greatest score.
    top: [S::V; 2],
    /// The sum of `2^(score - top)`.
    sum: [S::V; 2],
}

impl Forward<'_> {
    #[inline(always)]
    fn panel<'b, S: Simd, P: MulAdd<S>>(
        &self,
        s: S,
        p: P,
        (lane, count): (usize, usize),
        buffer: &'b mut [f32],
    ) -> Panel<'b, S> {
        let (queries, sums) = buffer.split_at_mut(buffer.len() / 2);
        let stride = self.how.channels();
        in_lanes(s, p, &self.q[lane * stride..], stride, count, self.how.query_scale(), queries);
        sums.fill(0.0);
        let top = [s.splat(f32::NEG_INFINITY); 2];
        Panel { lane, count, queries, sums, top, sum: [s.zero(); 2] }
    }

    /// Takes a tile of keys into account.
    #[inline(always)]
    fn tile<S: Simd, P: MulAdd<S>>(
        &self,
        s: S,
        p: P,
        tile: Range<usize>,
        scores: &mut [f32],
        panel: &mut Panel<'_, S>,
    ) {
        let (width, len) = (self.how.width, tile.len());
        let depth = width.div_ceil(P::VALUES);
        let keys = Left::rows(&self.keys[tile.start * depth..], depth);
        let limit = self.block.limit(s, self.usable, panel.lane, tile.start, len);
        let mut sink = Scores { to: scores, top: panel.top, limit };
        product::<S, P, 2>(s, p, keys, panel.queries, depth, len, &mut sink);
        let factor = panel.rise(s, sink.top);
        panel.exponentiate(s, p, &mut scores[..len * 2 * S::LANES]);
        let values = Left::columns(&self.values[tile.start / P::VALUES * width..], width);
        let mut sink = Accumulate { to: panel.sums, stride: 2 * S::LANES, factor };
        product::<S, P, 2>(s, p, values, scores, len.div_ceil(P::VALUES), width, &mut sink);
    }

    /// Divides by the sum and writes the outputs of a panel.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, panel: Panel<'_, S>) {
        let Panel { lane, count, sums, top, sum, .. } = panel;
        scale(s, sums, sum.map(|sum| s.div(s.splat(1.0), sum)));
        let stride = self.how.channels();
        let start = self.block.start(self.how) + lane * stride;
        let to = self.out.at(start, (count - 1) * stride + self.how.width);
        // SAFETY: `at` checked the place, and no other block has these queries.
        unsafe { out_of_lanes(s, sums, count, to, stride) };
        let to = self.lse.at(self.block.start_of_lse(self.how) + lane, count);
        for first in (0..count).step_by(S::LANES) {
            let vector = first / S::LANES;
            let (tops, sums) = (s.to_array(top[vector]), s.to_array(sum[vector]));
            for i in 0..S::LANES.min(count - first) {
                // SAFETY: as above.
                unsafe { *to.add(first + i) = tops[i] + sums[i].log2() };
            }
        }
    }
}

impl<S: Simd> Panel<'_, S> {
    /// Raises the greatest score, and gives the factor for what was summed before.
    #[inline(always)]
    fn rise(&mut self, s: S, top: [S::V; 2]) -> [S::V; 2] {
        let mut factor = [s.zero(); 2];
        for i in 0..2 {
            factor[i] = probability(s, self.top[i], top[i]);
            self.sum[i] = s.mul(self.sum[i], factor[i]);
        }
        self.top = top;
        factor
    }

    /// Makes scores probabilities but for the division by their sum, and cells: the
    /// rows of `scores` that are left are `VALUES` times fewer.
    #[inline(always)]
    fn exponentiate<P: MulAdd<S>>(&mut self, s: S, p: P, scores: &mut [f32]) {
        let rows = scores.len() / S::LANES / 2;
        let scores = scores.as_mut_ptr();
        for row in (0..rows).step_by(P::VALUES) {
            for i in 0..2 {
                let at = |row: usize| scores.wrapping_add((2 * row + i) * S::LANES);
                // SAFETY: both rows lie within the scores, and what lies where the
                // cells are written was read.
                unsafe {
                    let first = probability(s, s.load(at(row)), self.top[i]);
                    self.sum[i] = s.add(self.sum[i], first);
                    let mut second = s.zero();
                    if P::PAIRS && row + 1 < rows {
                        second = probability(s, s.load(at(row + 1)), self.top[i]);
                        self.sum[i] = s.add(self.sum[i], second);
                    }
                    s.store(at(row / P::VALUES), p.join(s, first, second));
                }
            }
        }
    }
}
