use burn::tensor::activation::softmax;

use super::Attention;
use crate::{Bool, Int, Tensor, TensorData};

/// The twin of [`attention`](super::attention).
pub fn attention_twin(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, how: &Attention) -> Tensor<3> {
    let shape = q.dims();
    let (probabilities, v) = probabilities(q, k, v, how);
    merge(probabilities.matmul(v), shape)
}

/// [`attention_twin`] for some queries after the other, so that there are not many more
/// scores than `most` at a time.
pub(super) fn attention_in_parts(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    how: &Attention,
    most: usize,
) -> Tensor<3> {
    let [batch, queries, _] = q.dims();
    let rows = most.div_ceil(batch * how.heads * k.dims()[1]).min(queries);
    // Which keys a causal query sees depends on its place.
    if rows == queries || how.causal {
        return attention_twin(q, k, v, how);
    }
    let part = |start| {
        let some = q.clone().narrow(1, start, rows.min(queries - start));
        attention_twin(some, k.clone(), v.clone(), how)
    };
    Tensor::cat((0..queries).step_by(rows).map(part).collect(), 1)
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
    // Not by `expand`: with it the gradients of shared keys came out wrong on Vulkan (Burn
    // 0.22.1), by as much as their size.
    Tensor::cat(vec![x.reshape([b, 1, h, n, c]); times], 1).reshape([b * times, h, n, c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device,
        ops::KeyMask,
        replay::{Seeds, leaf},
        rng::TorchRng,
        tensor, values,
    };

    /// The result and the gradients of queries, keys and values.
    fn results(f: impl Fn([Tensor<3>; 3]) -> Tensor<3>) -> [Vec<f32>; 4] {
        let (device, mut rng) = (device::from_environment().unwrap(), TorchRng::new(1));
        let shapes = [[4, 7, 6], [2, 5, 6], [2, 5, 6]];
        let inputs = shapes.map(|shape: [usize; 3]| {
            leaf(&tensor(rng.randn(shape.iter().product()), shape, &device))
        });
        let out = f(inputs.clone());
        let gradient = tensor(rng.randn(4 * 7 * 6), [4, 7, 6], &device);
        let mut seeds = Seeds::default();
        seeds.add(out.clone(), gradient);
        let mut found = seeds.backward();
        let [q, k, v] = inputs.map(|input| values(found.take(&input).unwrap()));
        [values(out), q, k, v]
    }

    #[test]
    fn parts_are_the_whole() {
        let keep = [true, false, true, true, false, true, true, true, false, true];
        let mask = KeyMask { rows: 2, keys: 5, keep: keep.into() };
        for causal in [false, true] {
            let how = Attention { keep: Some(mask.clone()), causal, ..Attention::heads(2) };
            let whole = results(|[q, k, v]| attention_twin(q, k, v, &how));
            for rows in [1, 3, 6, 7, 100] {
                let most = rows * 4 * 2 * 5;
                let parts = results(|[q, k, v]| attention_in_parts(q, k, v, &how, most));
                for (part, whole) in parts.iter().zip(&whole) {
                    assert!(part.iter().zip(whole).all(|(a, b)| (a - b).abs() < 1e-5), "{rows}");
                }
            }
        }
    }
}
