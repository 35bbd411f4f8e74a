use std::f32::consts::LOG2_E;

use super::keys::UsableKeys;
use crate::gemm::{Precision, ProductKernel, dispatch_product, has_pairs};
use crate::simd::Level;

/// Keys that are multiplied at once: whole register tiles of every level, and whole
/// pairs. A tile of keys and values of usual width stays in the first-level cache.
pub(super) const KEY_TILE: usize = 96;

/// Multi-head scaled-dot-product attention (Vaswani et al. 2017, arXiv 1706.03762):
/// sizes, mask and arithmetic.
///
/// Channels are `heads * width`, head-major. The key batch may divide the query
/// batch: `batch / key_batch` consecutive rows of queries then share one row of keys
/// and values. A query that may use no key at all attends to all keys of its row
/// evenly, which is what a softmax makes of equal lowest scores; no gradient reaches
/// queries and keys through it.
///
/// Results do not depend on the number of threads. Their errors, relative to the
/// greatest value, are up to 1.5e-6, or 1e-2 with factors of bf16, those of gradients
/// twice that, for scores of a few units; errors grow with the scores.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// The instructions to use.
    pub level: Level,
    /// What the factors of the products are rounded to. Scores, probabilities and all
    /// sums are f32 in any case, and where the processor does not multiply pairs of
    /// bf16, so are the factors.
    pub precision: Precision,
    /// Rows of queries.
    pub batch: usize,
    /// Queries of a row.
    pub queries: usize,
    /// Rows of keys; divides `batch`.
    pub key_batch: usize,
    /// Keys of a row.
    pub keys: usize,
    /// Number of heads.
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
    /// Which keys may be used, `[key_batch, keys]`; all, if there is no mask.
    pub keep: Option<&'a [bool]>,
    /// Query `i` uses keys `0..=i` only.
    pub causal: bool,
}

impl Attention<'_> {
    /// Channels of all heads.
    pub(super) fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// Whether the factors of products are pairs of bf16.
    pub(super) fn pairs(&self) -> bool {
        self.precision == Precision::Bf16 && has_pairs(self.level)
    }

    /// Cells that hold `len` neighbours.
    pub(super) fn cells(&self, len: usize) -> usize {
        if self.pairs() { len.div_ceil(2) } else { len }
    }

    /// Runs a part of the computation with the instructions and cells asked for.
    pub(super) fn launch(&self, kernel: impl ProductKernel) {
        dispatch_product(self.level, self.pairs(), kernel);
    }

    /// Rows of queries that share a row of keys.
    pub(super) fn share(&self) -> usize {
        self.batch / self.key_batch.max(1)
    }

    /// What queries are multiplied with, so that scores become exponents of 2.
    pub(super) fn query_scale(&self) -> f32 {
        LOG2_E * self.score_scale()
    }

    /// What the product of a query and a key is multiplied with.
    pub(super) fn score_scale(&self) -> f32 {
        (self.width as f64).powf(-0.5) as f32
    }

    /// The usable keys of each row.
    pub(super) fn usable_keys(&self) -> Vec<UsableKeys> {
        let row = |row: usize| self.keep.map(|keep| &keep[row * self.keys..][..self.keys]);
        (0..self.key_batch).map(|i| UsableKeys::new(self.keys, row(i), self.causal)).collect()
    }

    /// # Panics
    /// If the sizes do not fit each other or the slices.
    pub(super) fn check(&self, query_slices: &[usize], key_slices: &[usize], lse: usize) {
        let Self { batch, queries, key_batch, keys, heads, .. } = *self;
        assert!(self.channels() > 0 && keys > 0, "attention needs channels and keys");
        // Positions of keys are compared as f32.
        assert!(keys < 1 << 24, "{keys} keys are too many");
        assert!(batch == key_batch * self.share(), "{key_batch} rows of keys for {batch}");
        let masked = self.keep.map_or(key_batch * keys, <[bool]>::len);
        assert_eq!(masked, key_batch * keys, "a flag for each key");
        for len in query_slices {
            assert_eq!(*len, batch * queries * self.channels(), "[batch, queries, channels]");
        }
        for len in key_slices {
            assert_eq!(*len, key_batch * keys * self.channels(), "[key_batch, keys, channels]");
        }
        assert_eq!(lse, batch * heads * queries, "[batch, heads, queries]");
    }
}
