//! Multi-head scaled-dot-product attention (Vaswani et al. 2017, arXiv 1706.03762).

mod fused;
mod recomputed;
mod twin;

use std::sync::Arc;

pub use twin::{attention_columns_twin, attention_twin};

use crate::{Tensor, device, flex, nn::Precision};
use fused::Fused;
use recomputed::Recomputed;

/// Scores that are computed at a time where no kernel does without them (256 MiB): more
/// may be more than a device takes in one piece.
pub const MOST_SCORES: usize = 64 << 20;

/// Which keys may be used: `rows * keys` flags, row-major. A row without any
/// usable key attends to all keys evenly (the scores all become the type's
/// lowest before the softmax).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMask {
    /// Rows of the key batch.
    pub rows: usize,
    /// Keys of a row.
    pub keys: usize,
    /// `true` for a key that is used.
    pub keep: Arc<[bool]>,
}

/// What an attention may see, besides queries, keys and values.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    /// Number of heads; channels are `heads * width`, head-major.
    pub heads: usize,
    /// One row of flags for every row of the key batch.
    pub keep: Option<KeyMask>,
    /// Query `i` sees keys `0..=i` only.
    pub causal: bool,
    /// What the kernels round the factors of the products to, which is f32 or bf16: f16
    /// is taken for f32. Scores, softmax and sums are f32 in any case.
    pub precision: Precision,
}

impl Attention {
    /// Plain attention with this many heads.
    pub fn heads(heads: usize) -> Self {
        Self { heads, ..Self::default() }
    }
}

/// Multi-head scaled-dot-product attention.
///
/// The key batch may divide the query batch: consecutive query rows then share
/// one row of keys and values (samples of one prompt share its context).
///
/// # Shapes
/// `q [batch, queries, channels]`, `k, v [key batch, keys, channels]`
/// `-> [batch, queries, channels]`
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, how: &Attention) -> Tensor<3> {
    if flex::serves(&q.device()) {
        let inputs = [q.into_dispatch(), k.into_dispatch(), v.into_dispatch()];
        return flex::apply(Fused::new(how, None), inputs);
    }
    let most = MOST_SCORES.min(device::most_values(&q.device()));
    Recomputed::attention(q, k, v, how, most)
}

/// [`attention`] together with chosen columns of the head-averaged
/// probabilities: how much each query looks at key `columns[row][j]`.
///
/// # Shapes
/// As [`attention`]; `columns` has one list of equal length a *query* row;
/// the second output is `[batch, columns, queries]`.
pub fn attention_columns(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    how: &Attention,
    columns: &[Vec<usize>],
) -> (Tensor<3>, Tensor<3>) {
    if !flex::serves(&q.device()) {
        return attention_columns_twin(q, k, v, how, columns);
    }
    let shape @ [batch, queries, _] = q.dims();
    let inputs = [q.into_dispatch(), k.into_dispatch(), v.into_dispatch()];
    // One operation has one result: both lie behind each other in it.
    let both: Tensor<1> = flex::apply(Fused::new(how, Some(columns)), inputs);
    let length = shape.iter().product();
    let maps = both.clone().narrow(0, length, both.dims()[0] - length);
    let out = both.narrow(0, 0, length).reshape(shape);
    (out, maps.reshape([batch, columns[0].len(), queries]))
}
