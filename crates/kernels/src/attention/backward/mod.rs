//! The gradients, with the probabilities computed again tile by tile:
//!
//! ```text
//! P  = 2^(S - log)        D  = dO V^T + column gradients     delta = sum_keys P D
//! dV = P^T dO             dS = P (D - delta)
//! dQ = dS K scale         dK = dS^T Q scale
//! ```
//!
//! `delta` is `dO O` summed over channels (Dao et al. 2022, arXiv 2205.14135), plus
//! the column gradients times their probabilities. A task takes some query blocks of
//! one head, one after the other; it owns their gradients and leaves partial sums of
//! those to keys and values, which [`gather`] adds up in a fixed order.

mod gather;
mod task;

use rayon::prelude::*;

use self::gather::gather;
use self::task::{Backward, Head};
use super::block::QueryBlock;
use super::keys::UsableKeys;
use super::pack::{Along, Heads};
use super::shape::Attention;
use crate::scratch::Scratch;
use crate::shared::Shared;

/// What went into [`Attention::forward`] and came out of it.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSaved<'a> {
    /// Queries, `[batch, queries, channels]`.
    pub q: &'a [f32],
    /// Keys, `[key_batch, keys, channels]`.
    pub k: &'a [f32],
    /// Values, `[key_batch, keys, channels]`.
    pub v: &'a [f32],
    /// The result, `[batch, queries, channels]`.
    pub out: &'a [f32],
    /// The logarithms, `[batch, heads, queries]`.
    pub lse: &'a [f32],
}

/// The gradient that came to [`Attention::columns`].
#[derive(Clone, Copy, Debug)]
pub struct ColumnGradient<'a> {
    /// The keys that were asked for, `[batch, columns]`.
    pub columns: &'a [usize],
    /// The gradient, `[batch, columns, queries]`.
    pub gradient: &'a [f32],
}

/// Where [`Attention::backward`] writes.
#[derive(Debug)]
pub struct AttentionGradients<'a> {
    /// `[batch, queries, channels]`
    pub dq: &'a mut [f32],
    /// `[key_batch, keys, channels]`
    pub dk: &'a mut [f32],
    /// `[key_batch, keys, channels]`
    pub dv: &'a mut [f32],
}

/// Tasks from which a pass is not cut further: enough for many cores, and few enough
/// for the partial sums that each leaves.
const ENOUGH_TASKS: usize = 16;

/// Most floats of partial sums (256 MiB).
const MOST_PARTIAL: usize = 64 << 20;

impl Attention<'_> {
    /// The gradients to queries, keys and values, from those to the result and, if
    /// given, to the columns of the probabilities.
    ///
    /// # Shapes
    /// `dout [batch, queries, channels]`, and as the parts of the arguments say.
    ///
    /// # Panics
    /// If sizes and lengths do not fit each other.
    pub fn backward(
        &self,
        saved: AttentionSaved<'_>,
        dout: &[f32],
        columns: Option<ColumnGradient<'_>>,
        gradients: AttentionGradients<'_>,
    ) {
        let AttentionSaved { q, k, v, out, lse } = saved;
        let AttentionGradients { dq, dk, dv } = gradients;
        let queries = [q.len(), out.len(), dout.len(), dq.len()];
        self.check(&queries, &[k.len(), v.len(), dk.len(), dv.len()], lse.len());
        if let Some(columns) = columns {
            self.check_columns(columns.columns, columns.gradient.len());
        }
        let usable = self.usable_keys();
        let packed = Packed::new(self, &usable, k, v);
        let (blocks, splits) = (self.blocks(), self.splits());
        let dq = Shared::new(dq);
        let one = 2 * self.keys * self.padded_width();
        let mut partial = Scratch::take(self.key_batch * self.heads * splits * one);
        partial.par_chunks_mut(one).enumerate().for_each(|(i, sums)| {
            let (key_row, head) = (i / splits / self.heads, i / splits % self.heads);
            let blocks = self.part(&blocks, (key_row, head), i % splits, splits);
            let head = Head {
                how: self,
                usable: &usable[key_row],
                keys: packed.keys.head(key_row, head),
                keys_along: packed.keys_along().head(key_row, head),
                values: packed.values.head(key_row, head),
                saved,
                dout,
                columns,
                dq,
            };
            self.launch(Backward { head, blocks, sums });
        });
        gather(self, &usable, &partial, splits, dout, dk, dv);
    }

    /// Width of a head rounded up to whole vectors.
    fn padded_width(&self) -> usize {
        self.width.next_multiple_of(self.level.lanes())
    }

    /// Parts that the queries of one head are cut into. Their number must not depend on
    /// that of threads, because the sums over them would.
    fn splits(&self) -> usize {
        let blocks = self.share() * self.queries.div_ceil(self.block());
        let heads = self.key_batch * self.heads;
        let fitting = MOST_PARTIAL / (2 * heads * self.keys * self.padded_width()).max(1);
        ENOUGH_TASKS.div_ceil(heads.max(1)).min(blocks).min(fitting).max(1)
    }

    /// The `i`-th of `parts` parts of the blocks that meet one head of one key row.
    fn part(
        &self,
        blocks: &[QueryBlock],
        (key_row, head): (usize, usize),
        i: usize,
        parts: usize,
    ) -> Vec<QueryBlock> {
        let each = self.queries.div_ceil(self.block());
        let rows = key_row * self.share()..(key_row + 1) * self.share();
        let of_head = rows.flat_map(|row| &blocks[(row * self.heads + head) * each..][..each]);
        let count = self.share() * each;
        let range = count * i / parts..count * (i + 1) / parts;
        of_head.skip(range.start).take(range.len()).copied().collect()
    }
}

/// Keys and values in cells.
struct Packed {
    /// For sums over channels.
    keys: Heads,
    /// For sums over keys, where that asks for other cells.
    keys_along: Option<Heads>,
    values: Heads,
}

impl Packed {
    fn new(how: &Attention<'_>, usable: &[UsableKeys], k: &[f32], v: &[f32]) -> Self {
        let pack = |data, along| Heads::pack(how, usable, data, along);
        Self {
            keys: pack(k, Along::Channels),
            keys_along: how.pairs().then(|| pack(k, Along::Keys)),
            values: pack(v, Along::Channels),
        }
    }

    fn keys_along(&self) -> &Heads {
        self.keys_along.as_ref().unwrap_or(&self.keys)
    }
}
