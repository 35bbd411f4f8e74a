use burn::tensor::activation::softmax;

use std::sync::Arc;

use crate::{Bool, Int, Tensor, TensorData};

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
    let shape = q.dims();
    let (probabilities, v) = probabilities(q, k, Some(v), how);
    merge(probabilities.matmul(v.expect("values were given")), shape)
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
    let shape = q.dims();
    let (probabilities, v) = probabilities(q, k, Some(v), how);
    let device = probabilities.device();
    let mean = probabilities.clone().mean_dim(1).squeeze_dim::<3>(1);
    let rows = columns
        .iter()
        .enumerate()
        .map(|(b, wanted)| {
            let index: Vec<i64> = wanted.iter().map(|&c| c as i64).collect();
            let index = Tensor::<1, Int>::from_data(index.as_slice(), &device);
            mean.clone().narrow(0, b, 1).select(2, index).swap_dims(1, 2)
        })
        .collect();
    let out = merge(probabilities.matmul(v.expect("values were given")), shape);
    (out, Tensor::cat(rows, 0))
}

fn probabilities(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Option<Tensor<3>>,
    how: &Attention,
) -> (Tensor<4>, Option<Tensor<4>>) {
    let [batch, queries, channels] = q.dims();
    let [key_batch, keys, _] = k.dims();
    let share = batch / key_batch;
    let width = channels / how.heads;
    let q = split(q, how.heads);
    let k = repeat(split(k, how.heads), share);
    let v = v.map(|v| repeat(split(v, how.heads), share));
    let mut scores = q.matmul(k.swap_dims(2, 3)) * (width as f64).powf(-0.5);
    let device = scores.device();
    if let Some(mask) = &how.keep {
        let drop: Vec<bool> = (0..batch)
            .flat_map(|b| &mask.keep[b / share * keys..][..keys])
            .map(|&used| !used)
            .collect();
        let drop =
            Tensor::<4, Bool>::from_data(TensorData::new(drop, [batch, 1, 1, keys]), &device);
        scores = scores.mask_fill(drop.expand([batch, how.heads, queries, keys]), f32::MIN);
    }
    if how.causal {
        let later = Tensor::<2, Bool>::tril_mask([queries, keys], 0, &device);
        let later = later.unsqueeze::<4>().expand([batch, how.heads, queries, keys]);
        scores = scores.mask_fill(later, f32::MIN);
    }
    (softmax(scores, 3), v)
}

fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [b, n, c] = x.dims();
    x.reshape([b, n, heads, c / heads]).swap_dims(1, 2)
}

fn merge(x: Tensor<4>, shape: [usize; 3]) -> Tensor<3> {
    x.swap_dims(1, 2).reshape(shape)
}

fn repeat(x: Tensor<4>, times: usize) -> Tensor<4> {
    if times == 1 {
        return x;
    }
    let [b, h, n, c] = x.dims();
    x.reshape([b, 1, h, n, c]).expand([b, times, h, n, c]).reshape([b * times, h, n, c])
}
