use std::ops::Range;

use super::{AttentionSaved, ColumnGradient};
use crate::attention::block::{LaneValues, QueryBlock, scale, vectors};
use crate::attention::columns::BlockColumns;
use crate::attention::keys::UsableKeys;
use crate::attention::pack::{in_lanes, in_rows, out_of_lanes};
use crate::attention::product::{Accumulate, Left, product};
use crate::attention::shape::{Attention, KEY_TILE};
use crate::attention::sinks::{Probabilities, Slopes};
use crate::elementwise::load_up_to;
use crate::gemm::{MulAdd, ProductKernel};
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::simd::Simd;

/// What the tasks of one head share.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) how: &'a Attention<'a>,
    pub(super) usable: &'a UsableKeys,
    /// Usable keys, for sums over channels.
    pub(super) keys: &'a [f32],
    /// The same for sums over keys.
    pub(super) keys_along: &'a [f32],
    /// Usable values, for sums over channels.
    pub(super) values: &'a [f32],
    pub(super) saved: AttentionSaved<'a>,
    pub(super) dout: &'a [f32],
    pub(super) columns: Option<ColumnGradient<'a>>,
    pub(super) dq: Shared<'a, f32>,
}

/// The backward pass of some query blocks of one head.
pub(super) struct Backward<'a> {
    pub(super) head: Head<'a>,
    pub(super) blocks: Vec<QueryBlock>,
    /// The gradients to keys (but for their scale) and values,
    /// `[2][keys][padded width]`.
    pub(super) sums: &'a mut [f32],
}

impl ProductKernel for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, p: P) {
        let Self { head, blocks, sums } = self;
        sums.fill(0.0);
        let (dk, dv) = sums.split_at_mut(sums.len() / 2);
        let lengths = Buffers::lengths(s, p, head.how);
        let mut scratch = Scratch::take(lengths.iter().sum());
        for block in blocks {
            let mut buffers = Buffers::new(lengths, &mut scratch);
            let columns = head.columns.map(|columns| {
                let depth = head.how.width.div_ceil(P::VALUES);
                BlockColumns::new(head.how, head.usable, (head.keys, depth), &block, columns)
            });
            let reach = block.reach(head.usable);
            let block = Block { head, block, columns };
            let lanes = block.pack(s, p, &mut buffers);
            for first in (0..reach).step_by(KEY_TILE) {
                let tile = first..reach.min(first + KEY_TILE);
                for (lane, _) in block.block.panels(s) {
                    block.slopes(s, p, &lanes, &mut buffers, tile.clone(), lane);
                    block.to_queries(s, p, &mut buffers, tile.clone(), lane);
                }
                block.to_keys(s, p, &buffers, tile, dk, dv);
            }
            block.finish(s, buffers.dq);
        }
    }
}

/// Working memory for a block of queries and a tile of keys.
struct Buffers<'a> {
    /// `[panels][width / VALUES][2 LANES]` with room for `width` rows, scaled to give
    /// exponents of 2.
    queries: &'a mut [f32],
    /// The same of the gradient to the result.
    douts: &'a mut [f32],
    /// `[panels][width][2 LANES]`
    dq: &'a mut [f32],
    /// `[width / (2 LANES)][block / VALUES][2 LANES]`
    query_rows: &'a mut [f32],
    /// The same of the gradient to the result.
    dout_rows: &'a mut [f32],
    /// `[KEY_TILE][block / VALUES]`, neighbouring queries in a cell.
    probabilities: &'a mut [f32],
    /// The same of the gradient to the scores.
    slopes: &'a mut [f32],
    /// One panel of the gradient to the scores, `[KEY_TILE / VALUES][2 LANES]`.
    slope_panel: &'a mut [f32],
    /// One panel of column gradients, `[KEY_TILE][2 LANES]`.
    extra: &'a mut [f32],
}

impl<'a> Buffers<'a> {
    #[inline(always)]
    fn lengths<S: Simd, P: MulAdd<S>>(_: S, _: P, how: &Attention<'_>) -> [usize; 9] {
        let panel = 2 * S::LANES;
        let in_lanes = how.block() * how.width;
        let in_rows = how.block() / P::VALUES * how.width.next_multiple_of(panel);
        let tile = KEY_TILE * how.block() / P::VALUES;
        let one = KEY_TILE * panel;
        [in_lanes, in_lanes, in_lanes, in_rows, in_rows, tile, tile, one / P::VALUES, one]
    }

    #[inline(always)]
    fn new(lengths: [usize; 9], mut scratch: &'a mut [f32]) -> Self {
        let slices = lengths.map(|len| {
            let (taken, rest) = std::mem::take(&mut scratch).split_at_mut(len);
            scratch = rest;
            taken
        });
        let [queries, douts, dq, query_rows, dout_rows, rest @ ..] = slices;
        let [probabilities, slopes, slope_panel, extra] = rest;
        Self {
            queries,
            douts,
            dq,
            query_rows,
            dout_rows,
            probabilities,
            slopes,
            slope_panel,
            extra,
        }
    }
}

/// What is subtracted in each lane of a block.
struct LaneTerms {
    /// From the score, to give the exponent of the probability.
    lse: LaneValues,
    /// From the gradient to the probability.
    deltas: LaneValues,
}

/// One query block of a task.
struct Block<'a> {
    head: Head<'a>,
    block: QueryBlock,
    columns: Option<BlockColumns>,
}

impl Block<'_> {
    /// Fills the buffers of the block, and makes the gradient to the queries zero.
    #[inline(always)]
    fn pack<S: Simd, P: MulAdd<S>>(&self, s: S, p: P, buffers: &mut Buffers<'_>) -> LaneTerms {
        let (how, count) = (self.head.how, self.block.count);
        let (width, stride) = (how.width, how.channels());
        let start = self.block.start(how);
        let (q, dout) = (&self.head.saved.q[start..], &self.head.dout[start..]);
        buffers.dq.fill(0.0);
        let one = width * 2 * S::LANES;
        let panels = buffers.queries.chunks_exact_mut(one).zip(buffers.douts.chunks_exact_mut(one));
        for ((lane, count), (queries, douts)) in self.block.panels(s).zip(panels) {
            let at = lane * stride;
            in_lanes(s, p, &q[at..], stride, count, how.query_scale(), queries);
            in_lanes(s, p, &dout[at..], stride, count, 1.0, douts);
        }
        let rows = how.block() / P::VALUES;
        in_rows(s, p, q, stride, (count, width), rows, buffers.query_rows);
        in_rows(s, p, dout, stride, (count, width), rows, buffers.dout_rows);
        self.lane_terms(s, p, buffers.queries)
    }

    #[inline(always)]
    fn lane_terms<S: Simd, P: MulAdd<S>>(&self, s: S, p: P, queries: &[f32]) -> LaneTerms {
        let (how, block) = (self.head.how, &self.block);
        let mut terms = LaneTerms { lse: [0.0; _], deltas: [0.0; _] };
        let lse = &self.head.saved.lse[block.start_of_lse(how)..][..block.count];
        terms.lse[..block.count].copy_from_slice(lse);
        for (i, delta) in terms.deltas[..block.count].iter_mut().enumerate() {
            let at = block.start(how) + i * how.channels();
            let row = |data: &'_ [f32]| data[at..][..how.width].as_ptr();
            // SAFETY: `row` checked that there are as many channels.
            *delta = unsafe { dot(s, row(self.head.saved.out), row(self.head.dout), how.width) };
        }
        if let Some(columns) = &self.columns {
            let LaneTerms { lse, deltas } = &mut terms;
            columns.add_to_deltas(s, p, self.head.usable, queries, lse, deltas);
        }
        terms
    }

    /// The range of one panel of [`Buffers::queries`] and its like.
    #[inline(always)]
    fn panel<S: Simd>(&self, _: S, lane: usize) -> Range<usize> {
        lane * self.head.how.width..(lane + 2 * S::LANES) * self.head.how.width
    }

    /// Probabilities of one panel's queries for the keys of a tile, and the gradients
    /// to their scores.
    #[inline(always)]
    fn slopes<S: Simd, P: MulAdd<S>>(
        &self,
        s: S,
        p: P,
        lanes: &LaneTerms,
        buffers: &mut Buffers<'_>,
        tile: Range<usize>,
        lane: usize,
    ) {
        let Head { how, usable, .. } = self.head;
        let depth = how.width.div_ceil(P::VALUES);
        let stride = how.block() / P::VALUES;
        let (start, len) = (tile.start * depth, tile.len());
        let panel = self.panel(s, lane);
        let probabilities = &mut buffers.probabilities[lane / P::VALUES..];
        let mut sink = Probabilities {
            cells: p,
            to: probabilities,
            stride,
            lse: vectors(s, &lanes.lse, lane),
            limit: self.block.limit(s, usable, lane, tile.start, len),
        };
        let keys = Left::rows(&self.head.keys[start..], depth);
        product::<S, P, 2>(s, p, keys, &buffers.queries[panel.clone()], depth, len, &mut sink);

        let columns = self.columns.as_ref();
        let any = columns.is_some_and(|columns| columns.spread(s, &tile, lane, buffers.extra));
        let mut sink = Slopes {
            cells: p,
            probabilities,
            slopes: &mut buffers.slopes[lane / P::VALUES..],
            stride,
            panel: buffers.slope_panel,
            deltas: vectors(s, &lanes.deltas, lane),
            extra: any.then_some(&*buffers.extra),
        };
        let values = Left::rows(&self.head.values[start..], depth);
        product::<S, P, 2>(s, p, values, &buffers.douts[panel], depth, len, &mut sink);
    }

    /// What the keys of a tile give to the panel of queries whose slopes were computed
    /// last.
    #[inline(always)]
    fn to_queries<S: Simd, P: MulAdd<S>>(
        &self,
        s: S,
        p: P,
        buffers: &mut Buffers<'_>,
        tile: Range<usize>,
        lane: usize,
    ) {
        let width = self.head.how.width;
        let keys = &self.head.keys_along[tile.start / P::VALUES * width..];
        let keys = Left::columns(keys, width);
        let to = &mut buffers.dq[self.panel(s, lane)];
        let mut sink = Accumulate { to, stride: 2 * S::LANES, factor: [s.splat(1.0); 2] };
        let len = tile.len().div_ceil(P::VALUES);
        product::<S, P, 2>(s, p, keys, buffers.slope_panel, len, width, &mut sink);
    }

    /// What the block's queries give to the keys and values of a tile.
    #[inline(always)]
    fn to_keys<S: Simd, P: MulAdd<S>>(
        &self,
        s: S,
        p: P,
        buffers: &Buffers<'_>,
        tile: Range<usize>,
        dk: &mut [f32],
        dv: &mut [f32],
    ) {
        let (how, panel) = (self.head.how, 2 * S::LANES);
        let rows = how.block() / P::VALUES;
        let padded = how.width.next_multiple_of(S::LANES);
        let len = self.block.count.div_ceil(P::VALUES);
        let sums = [
            (&*buffers.slopes, &*buffers.query_rows, dk),
            (&*buffers.probabilities, &*buffers.dout_rows, dv),
        ];
        for (cells, right, to) in sums {
            let left = Left::rows(cells, rows);
            let to = &mut to[tile.start * padded..tile.end * padded];
            for (i, right) in right.chunks_exact(rows * panel).enumerate() {
                let to = &mut to[i * panel..];
                let mut sink = Accumulate { to, stride: padded, factor: [s.splat(1.0); 2] };
                if padded - i * panel > S::LANES {
                    product::<S, P, 2>(s, p, left, right, len, tile.len(), &mut sink);
                } else {
                    product::<S, P, 1>(s, p, left, right, len, tile.len(), &mut sink);
                }
            }
        }
    }

    /// Scales the gradient to the queries and writes it.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, dq: &mut [f32]) {
        let how = self.head.how;
        for (lane, count) in self.block.panels(s) {
            let dq = &mut dq[self.panel(s, lane)];
            scale(s, dq, [s.splat(how.score_scale()); 2]);
            let start = self.block.start(how) + lane * how.channels();
            let to = self.head.dq.at(start, (count - 1) * how.channels() + how.width);
            // SAFETY: `at` checked the place, and no other task has these queries.
            unsafe { out_of_lanes(s, dq, count, to, how.channels()) };
        }
    }
}

/// The dot product of two rows.
///
/// # Safety
/// Both must be valid for reading `len` values.
#[inline(always)]
unsafe fn dot<S: Simd>(s: S, a: *const f32, b: *const f32, len: usize) -> f32 {
    let mut sum = s.zero();
    for i in (0..len).step_by(S::LANES) {
        let count = S::LANES.min(len - i);
        // SAFETY: the caller vouches for `len` values.
        let (a, b) = unsafe { (load_up_to(s, a.add(i), count), load_up_to(s, b.add(i), count)) };
        sum = s.mul_add(a, b, sum);
    }
    s.reduce_add(sum)
}
