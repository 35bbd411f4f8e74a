//! Columns of the probabilities, averaged over heads: how much each query looks at
//! chosen keys.

use std::ops::Range;

use rayon::prelude::*;

use super::backward::ColumnGradient;
use super::block::{LaneValues, MAX_BLOCK, QueryBlock, vectors};
use super::keys::UsableKeys;
use super::pack::{Along, Heads, in_lanes};
use super::product::{Left, product};
use super::shape::Attention;
use super::sinks::Probabilities;
use crate::gemm::{Fused, MulAdd, ProductKernel, panel_width};
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::simd::Simd;

impl Attention<'_> {
    /// `out[row][j][query] = mean over heads of P[query][columns[row][j]]`, where `P`
    /// are the probabilities of [`Attention::forward`], which gave `lse`.
    ///
    /// Its gradient is an argument of [`Attention::backward`].
    ///
    /// # Shapes
    /// `q [batch, queries, channels]`, `k [key_batch, keys, channels]`,
    /// `lse [batch, heads, queries]`, `columns [batch, columns]`,
    /// `out [batch, columns, queries]`
    ///
    /// # Panics
    /// If sizes and lengths do not fit each other, or a column is not below `keys`.
    pub fn columns(&self, q: &[f32], k: &[f32], lse: &[f32], columns: &[usize], out: &mut [f32]) {
        self.check(&[q.len()], &[k.len()], lse.len());
        let each = self.check_columns(columns, out.len());
        let usable = self.usable_keys();
        let keys = Heads::pack(self, &usable, k, Along::Channels);
        let out = Shared::new(out);
        let panel = panel_width(self.level);
        let panels = self.queries.div_ceil(panel);
        (0..self.batch * panels).into_par_iter().for_each(|i| {
            let (row, first) = (i / panels, i % panels * panel);
            let count = panel.min(self.queries - first);
            let key_row = row / self.share();
            self.launch(Columns {
                how: self,
                usable: &usable[key_row],
                keys: &keys,
                q,
                lse,
                columns: &columns[row * each..][..each],
                block: QueryBlock { row, head: 0, first, count },
                out,
            });
        });
    }

    /// Checks the columns and gives the number of each row.
    pub(super) fn check_columns(&self, columns: &[usize], out: usize) -> usize {
        assert_eq!(columns.len() * self.queries, out, "[batch, columns, queries]");
        assert!(columns.iter().all(|&key| key < self.keys), "a column lies beyond the keys");
        let each = columns.len() / self.batch.max(1);
        assert_eq!(each * self.batch, columns.len(), "as many columns for each row");
        each
    }
}

/// The columns of one panel of queries.
struct Columns<'a> {
    how: &'a Attention<'a>,
    usable: &'a UsableKeys,
    keys: &'a Heads,
    q: &'a [f32],
    lse: &'a [f32],
    columns: &'a [usize],
    block: QueryBlock,
    out: Shared<'a, f32>,
}

impl ProductKernel for Columns<'_> {
    #[inline(always)]
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, p: P) {
        let Self { how, usable, columns, mut block, .. } = self;
        let panel = 2 * S::LANES;
        let positions = positions(usable, columns);
        let mut queries = Scratch::take(how.width * panel);
        let mut one = vec![0.0; columns.len() * panel];
        let mut mean = vec![0.0; columns.len() * panel];
        for head in 0..how.heads {
            block.head = head;
            let q = &self.q[block.start(how)..];
            in_lanes(s, p, q, how.channels(), block.count, how.query_scale(), &mut queries);
            let mut lse = [0.0; MAX_BLOCK];
            let saved = &self.lse[block.start_of_lse(how)..][..block.count];
            lse[..block.count].copy_from_slice(saved);
            let keys = self.keys.head(block.row / how.share(), head);
            let cells = gathered(keys, how.width.div_ceil(P::VALUES), &positions);
            probabilities(s, p, &cells, &queries, &lse[..panel], &mut one);
            mean.iter_mut().zip(&one).for_each(|(sum, p)| *sum += p);
        }
        forbid(usable, &positions, &block, panel, &mut mean);
        for (j, mean) in mean.chunks_exact(panel).enumerate() {
            let row = block.row * columns.len() + j;
            let to = self.out.at(row * how.queries + block.first, block.count);
            for (i, sum) in mean[..block.count].iter().enumerate() {
                let even = usable.even(how.queries).contains(&(block.first + i));
                let share = 1.0 / how.keys as f32;
                let value = if even { share } else { sum / how.heads as f32 };
                // SAFETY: `at` checked the place, and no other panel has these queries.
                unsafe { *to.add(i) = value };
            }
        }
    }
}

/// Where the columns' keys are packed, if the mask leaves them.
fn positions(usable: &UsableKeys, columns: &[usize]) -> Vec<Option<usize>> {
    columns.iter().map(|&key| usable.position(key)).collect()
}

/// The packed keys of the columns; zeros for those that the mask drops.
fn gathered(keys: &[f32], depth: usize, positions: &[Option<usize>]) -> Vec<f32> {
    let mut cells = vec![0.0; positions.len() * depth];
    for (cells, position) in cells.chunks_exact_mut(depth).zip(positions) {
        if let Some(position) = position {
            cells.copy_from_slice(&keys[position * depth..][..depth]);
        }
    }
    cells
}

/// Probabilities of gathered keys in the lanes of one panel, `[keys][2 LANES]`, as if
/// every query might use every one.
#[inline(always)]
fn probabilities<S: Simd, P: MulAdd<S>>(
    s: S,
    p: P,
    cells: &[f32],
    queries: &[f32],
    lse: &[f32],
    to: &mut [f32],
) {
    let panel = 2 * S::LANES;
    let rows = to.len() / panel;
    let depth = cells.len().checked_div(rows).unwrap_or(0);
    let keys = Left::rows(cells, depth);
    let lse = vectors(s, lse, 0);
    let mut sink = Probabilities { cells: Fused, to, stride: panel, lse, limit: None };
    product::<S, P, 2>(s, p, keys, queries, depth, rows, &mut sink);
}

/// Makes the probabilities zero where a query may not use the key.
fn forbid(
    usable: &UsableKeys,
    positions: &[Option<usize>],
    block: &QueryBlock,
    panel: usize,
    probabilities: &mut [f32],
) {
    for (position, row) in positions.iter().zip(probabilities.chunks_exact_mut(panel)) {
        for (i, p) in row.iter_mut().enumerate() {
            if position.is_none_or(|position| usable.limit(block.first + i) <= position) {
                *p = 0.0;
            }
        }
    }
}

/// The columns of one head that a query block of a backward pass meets.
pub(super) struct BlockColumns {
    width: usize,
    block: QueryBlock,
    positions: Vec<Option<usize>>,
    /// Their packed keys.
    cells: Vec<f32>,
    /// Their gradients for this head, `[columns][MAX_BLOCK]`.
    gradient: Vec<f32>,
}

impl BlockColumns {
    pub(super) fn new(
        how: &Attention<'_>,
        usable: &UsableKeys,
        (keys, depth): (&[f32], usize),
        block: &QueryBlock,
        columns: ColumnGradient<'_>,
    ) -> Self {
        let each = columns.columns.len() / how.batch;
        let positions = positions(usable, &columns.columns[block.row * each..][..each]);
        let mut gradient = vec![0.0; each * MAX_BLOCK];
        for (j, to) in gradient.chunks_exact_mut(MAX_BLOCK).enumerate() {
            let start = (block.row * each + j) * how.queries + block.first;
            let from = &columns.gradient[start..][..block.count];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from / how.heads as f32);
        }
        let cells = gathered(keys, depth, &positions);
        Self { width: how.width, block: *block, positions, cells, gradient }
    }

    /// Adds probability times gradient to each lane.
    #[inline(always)]
    pub(super) fn add_to_deltas<S: Simd, P: MulAdd<S>>(
        &self,
        s: S,
        p: P,
        usable: &UsableKeys,
        queries: &[f32],
        lse: &LaneValues,
        deltas: &mut LaneValues,
    ) {
        let panel = 2 * S::LANES;
        let mut one = vec![0.0; self.positions.len() * panel];
        for (lane, count) in self.block.panels(s) {
            let part = QueryBlock { first: self.block.first + lane, count, ..self.block };
            let queries = &queries[lane * self.width..];
            probabilities(s, p, &self.cells, queries, &lse[lane..], &mut one);
            forbid(usable, &self.positions, &part, panel, &mut one);
            let gradients = self.gradient.chunks_exact(MAX_BLOCK);
            for (one, gradient) in one.chunks_exact(panel).zip(gradients) {
                let deltas = deltas[lane..].iter_mut().zip(&gradient[lane..]);
                deltas.zip(one).for_each(|((delta, g), p)| *delta += p * g);
            }
        }
    }

    /// Lays the gradients of the columns in a tile of keys out as `[keys][2 LANES]`;
    /// false if there are none.
    #[inline(always)]
    pub(super) fn spread<S: Simd>(
        &self,
        _s: S,
        tile: &Range<usize>,
        lane: usize,
        to: &mut [f32],
    ) -> bool {
        let panel = 2 * S::LANES;
        let inside = |position: &Option<usize>| position.is_some_and(|p| tile.contains(&p));
        if !self.positions.iter().any(inside) {
            return false;
        }
        to.fill(0.0);
        let gradients = self.gradient.chunks_exact(MAX_BLOCK);
        for (position, gradient) in self.positions.iter().zip(gradients) {
            if let Some(position) = position.filter(|position| tile.contains(position)) {
                let to = &mut to[(position - tile.start) * panel..][..panel];
                to.iter_mut().zip(&gradient[lane..]).for_each(|(to, g)| *to += g);
            }
        }
        true
    }
}
