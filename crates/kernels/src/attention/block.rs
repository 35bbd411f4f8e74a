//! Blocks of queries, and what each of their lanes needs to know.

use super::keys::UsableKeys;
use super::shape::Attention;
use crate::simd::{MAX_LANES, Simd};

/// Panels of a block at most: enough to use a tile of keys often while it is in the
/// first-level cache.
const MAX_PANELS: usize = 4;

/// Lanes of a block at most.
pub(super) const MAX_BLOCK: usize = MAX_PANELS * 2 * MAX_LANES;

/// One value for each lane of a block.
pub(super) type LaneValues = [f32; MAX_BLOCK];

/// Some queries of one head.
#[derive(Clone, Copy)]
pub(super) struct QueryBlock {
    pub(super) row: usize,
    pub(super) head: usize,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl Attention<'_> {
    /// Queries of a block: fewer where heads are so wide that their packed copies would
    /// not stay in the second-level cache.
    pub(super) fn block(&self) -> usize {
        (2048 / self.width).clamp(1, MAX_PANELS) * 2 * self.level.lanes()
    }

    /// All blocks of all rows and heads; those of one head follow each other.
    pub(super) fn blocks(&self) -> Vec<QueryBlock> {
        let heads = (0..self.batch).flat_map(|row| (0..self.heads).map(move |head| (row, head)));
        let blocks = heads.flat_map(|(row, head)| {
            (0..self.queries).step_by(self.block()).map(move |first| QueryBlock {
                row,
                head,
                first,
                count: self.block().min(self.queries - first),
            })
        });
        blocks.collect()
    }
}

impl QueryBlock {
    /// Where the first query's first channel lies.
    pub(super) fn start(&self, how: &Attention<'_>) -> usize {
        (self.row * how.queries + self.first) * how.channels() + self.head * how.width
    }

    /// Where the first query lies in `[batch, heads, queries]`.
    pub(super) fn start_of_lse(&self, how: &Attention<'_>) -> usize {
        (self.row * how.heads + self.head) * how.queries + self.first
    }

    /// The panels of the block: the first lane of each, and how many are in use.
    #[inline(always)]
    pub(super) fn panels<S: Simd>(self, _: S) -> impl Iterator<Item = (usize, usize)> {
        let panel = 2 * S::LANES;
        (0..self.count).step_by(panel).map(move |lane| (lane, panel.min(self.count - lane)))
    }

    /// How many of the packed keys any query of the block may use.
    pub(super) fn reach(&self, usable: &UsableKeys) -> usize {
        usable.limit(self.first + self.count - 1)
    }

    /// What the queries of a panel may use of `len` keys from `first`; `None` if that
    /// is all of them.
    #[inline(always)]
    pub(super) fn limit<S: Simd>(
        &self,
        s: S,
        usable: &UsableKeys,
        lane: usize,
        first: usize,
        len: usize,
    ) -> Option<Limit<S>> {
        let query = self.first + lane;
        if usable.limit(query) >= first + len {
            return None;
        }
        let mut below = [0.0; 2 * MAX_LANES];
        for (i, below) in below.iter_mut().enumerate() {
            *below = usable.limit(query + i) as f32;
        }
        Some(Limit { first, below: vectors(s, &below, 0) })
    }
}

/// Which rows (keys) each lane (query) may use.
#[derive(Clone, Copy)]
pub(super) struct Limit<S: Simd> {
    /// The position of row 0.
    first: usize,
    /// The lane may use positions below this.
    below: [S::V; 2],
}

/// `score` where the lane may use the row, the lowest value elsewhere.
#[inline(always)]
pub(super) fn limited<S: Simd>(
    s: S,
    limit: &Option<Limit<S>>,
    row: usize,
    vector: usize,
    score: S::V,
) -> S::V {
    let Some(limit) = limit else { return score };
    let position = s.splat((limit.first + row) as f32);
    s.select(s.less(position, limit.below[vector]), score, s.splat(f32::MIN))
}

/// The two vectors of a panel from the values of lanes.
///
/// # Panics
/// If they end before.
#[inline(always)]
pub(super) fn vectors<S: Simd>(s: S, values: &[f32], lane: usize) -> [S::V; 2] {
    let values = values[lane..][..2 * S::LANES].as_ptr();
    // SAFETY: two vectors are left behind `lane`.
    unsafe { [s.load(values), s.load(values.add(S::LANES))] }
}

/// Multiplies each row of a panel with one factor a lane.
#[inline(always)]
pub(super) fn scale<S: Simd>(s: S, panel: &mut [f32], factor: [S::V; 2]) {
    for row in panel.chunks_exact_mut(2 * S::LANES) {
        for (vector, factor) in row.chunks_exact_mut(S::LANES).zip(factor) {
            // SAFETY: a whole vector.
            unsafe { s.store(vector.as_mut_ptr(), s.mul(s.load(vector.as_ptr()), factor)) };
        }
    }
}
