use burn::tensor::activation::softmax;

use super::Attention;
use crate::{Bool, Int, Tensor, TensorData, nn::Precision, ops::product};

/// The twin of [`attention`](super::attention).
pub fn attention_twin(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, how: &Attention) -> Tensor<3> {
    let shape = q.dims();
    let (probabilities, v) = probabilities(q, k, v, how);
    merge(times(probabilities, v), shape)
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
    let queries = q.dims()[1];
    let rows = rows_of_part(q.dims(), k.dims()[1], how, most);
    if rows == queries {
        return attention_twin(q, k, v, how);
    }
    let part = |start| {
        let some = q.clone().narrow(1, start, rows.min(queries - start));
        attention_twin(some, k.clone(), v.clone(), how)
    };
    Tensor::cat((0..queries).step_by(rows).map(part).collect(), 1)
}

/// Queries of a part.
fn rows_of_part(
    [batch, queries, _]: [usize; 3],
    keys: usize,
    how: &Attention,
    most: usize,
) -> usize {
    // Which keys a causal query sees depends on its place.
    match how.causal {
        true => queries,
        false => most.div_ceil(batch * how.heads * keys).min(queries),
    }
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
    let out = merge(times(probabilities, v), shape);
    (out, Tensor::cat(rows, 0))
}

/// Probabilities `[batch, heads, queries, keys]`, and values to go with them.
fn probabilities(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    how: &Attention,
) -> (Tensor<4>, Tensor<4>) {
    let share = q.dims()[0] / k.dims()[0];
    let q = split(q, how.heads);
    let k = repeat(split(k, how.heads), share);
    let v = repeat(split(v, how.heads), share);
    let mut scores = times(q.clone(), k.swap_dims(2, 3)) * scale(&q);
    for drop in dropped(&scores, share, how) {
        scores = scores.mask_fill(drop, f32::MIN);
    }
    (softmax(scores, 3), v)
}

/// What scores of queries `[batch, heads, queries, width]` are multiplied by.
fn scale(q: &Tensor<4>) -> f64 {
    (q.dims()[3] as f64).powf(-0.5)
}

/// Which of the scores do not count.
fn dropped(scores: &Tensor<4>, share: usize, how: &Attention) -> Vec<Tensor<4, Bool>> {
    let (shape @ [batch, _, queries, keys], device) = (scores.dims(), scores.device());
    let of_keys = how.keep.as_ref().map(|mask| {
        let drop: Vec<bool> = (0..batch)
            .flat_map(|b| &mask.keep[b / share * keys..][..keys])
            .map(|&used| !used)
            .collect();
        Tensor::<4, Bool>::from_data(TensorData::new(drop, [batch, 1, 1, keys]), &device)
    });
    let later = how
        .causal
        .then(|| Tensor::<2, Bool>::tril_mask([queries, keys], 0, &device).unsqueeze::<4>());
    of_keys.into_iter().chain(later).map(|drop| drop.expand(shape)).collect()
}

/// The gradients of queries, keys and values from that of the result, for some queries
/// after the other as [`attention_in_parts`].
pub(super) fn gradients_in_parts(
    [q, k, v]: [Tensor<3>; 3],
    gradient: Tensor<3>,
    how: &Attention,
    most: usize,
) -> [Tensor<3>; 3] {
    let ([batch, queries, _], [key_batch, keys, channels]) = (q.dims(), k.dims());
    let rows = rows_of_part(q.dims(), keys, how, most);
    let split = |x: Tensor<3>| split(x, how.heads);
    let share = batch / key_batch;
    let wide_k = repeat(split(k.clone()), share);
    let (mut dq, mut dk, mut dv) = (Vec::new(), None, None);
    for start in (0..queries).step_by(rows) {
        let part = |x: &Tensor<3>| x.clone().narrow(1, start, rows.min(queries - start));
        let (some, dout) = (part(&q), split(part(&gradient)));
        let (p, wide_v) = probabilities(some.clone(), k.clone(), v.clone(), how);
        add(&mut dv, times(p.clone().swap_dims(2, 3), dout.clone()));
        let dp = times(dout, wide_v.swap_dims(2, 3));
        let mean = (dp.clone() * p.clone()).sum_dim(3);
        let shape = some.dims();
        let some = split(some);
        let mut dscores = (dp - mean) * p * scale(&some);
        for drop in dropped(&dscores, share, how) {
            dscores = dscores.mask_fill(drop, 0);
        }
        dq.push(merge(times(dscores.clone(), wide_k.clone()), shape));
        add(&mut dk, times(dscores.swap_dims(2, 3), some));
    }
    let narrow = |wide: Option<Tensor<4>>| {
        let wide = wide.expect("there are queries");
        let [_, h, n, c] = wide.dims();
        let sum = wide.reshape([key_batch, share, h, n, c]).sum_dim(1);
        merge(sum.reshape([key_batch, h, n, c]), [key_batch, keys, channels])
    };
    [Tensor::cat(dq, 1), narrow(dk), narrow(dv)]
}

fn add(sum: &mut Option<Tensor<4>>, part: Tensor<4>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + part,
        None => part,
    });
}

fn times(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    product(a, b, Precision::F32)
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
        ops::{KeyMask, attention::recomputed::Recomputed},
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
    fn parts_are_the_whole_with_scores_kept_or_computed_again() {
        let keep = [true, false, true, true, false, true, true, true, false, true];
        let mask = KeyMask { rows: 2, keys: 5, keep: keep.into() };
        let nothing = KeyMask { keep: [[false; 5], [true; 5]].concat().into(), ..mask.clone() };
        for (keep, causal) in [(mask.clone(), false), (mask, true), (nothing, false)] {
            let how = Attention { keep: Some(keep), causal, ..Attention::heads(2) };
            let whole = results(|[q, k, v]| attention_twin(q, k, v, &how));
            for rows in [1, 3, 6, 7, 100] {
                let most = rows * 4 * 2 * 5;
                let kept = results(|[q, k, v]| attention_in_parts(q, k, v, &how, most));
                let again = results(|[q, k, v]| Recomputed::attention(q, k, v, &how, most));
                for (parts, what) in [(kept, "kept"), (again, "computed again")] {
                    for (part, whole) in parts.iter().zip(&whole) {
                        let mut both = part.iter().zip(whole);
                        assert!(both.all(|(a, b)| (a - b).abs() < 1e-5), "{what}, {rows} rows");
                    }
                }
            }
        }
    }
}
