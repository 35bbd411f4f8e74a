use burn::tensor::activation::softmax;

use super::Attention;
use crate::{Bool, Int, Tensor, TensorData};

/// The twin of [`attention`](super::attention).
pub fn attention_twin(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, how: &Attention) -> Tensor<3> {
    let shape = q.dims();
    let (probabilities, v) = probabilities(q, k, v, how);
    merge(probabilities.matmul(v), shape)
}

/// The twin of [`attention_columns`](super::attention_columns).
pub fn attention_columns_twin(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    how: &Attention,
    columns: &[Vec<usize>],
) -> (Tensor<3>, Tensor<3>) {
    let shape = q.dims();
    let (probabilities, v) = probabilities(q, k, v, how);
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
    let out = merge(probabilities.matmul(v), shape);
    (out, Tensor::cat(rows, 0))
}

/// Probabilities `[batch, heads, queries, keys]`, and values to go with them.
fn probabilities(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    how: &Attention,
) -> (Tensor<4>, Tensor<4>) {
    let [batch, queries, channels] = q.dims();
    let [key_batch, keys, _] = k.dims();
    let share = batch / key_batch;
    let width = channels / how.heads;
    let q = split(q, how.heads);
    let k = repeat(split(k, how.heads), share);
    let v = repeat(split(v, how.heads), share);
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
