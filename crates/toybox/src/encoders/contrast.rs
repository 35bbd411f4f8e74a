//! The loss of both encoders: to find each row's partner among all.

use engine::Tensor;

use crate::judge::cross_entropy;

/// Keeps the division of a row by its length from failing.
const LEAST: f64 = 1e-6;

/// What is taken from the logit of a pair that is neither right nor wrong: its share of
/// the softmax becomes zero.
const HIDDEN: f32 = -1e4;

/// Rows brought to length 1.
pub fn unit(rows: Tensor<2>) -> Tensor<2> {
    let length = (rows.clone() * rows.clone()).sum_dim(1).sqrt();
    rows / (length + LEAST)
}

/// InfoNCE (van den Oord et al. 2018, arXiv 1807.03748) in both directions, as CLIP has
/// it: mean cross-entropy of finding row i of the one among rows of the other, by cosine
/// times `scale`. Where `also(i, j)`, row j of `b` would be no mistake for row i of `a`,
/// and counts for nothing.
///
/// # Shapes
/// `a`, `b [rows, width]`; `scale [1]`
pub fn contrast(
    a: Tensor<2>,
    b: Tensor<2>,
    scale: Tensor<1>,
    also: impl Fn(usize, usize) -> bool,
) -> Tensor<1> {
    let [rows, _] = a.dims();
    let hidden = |at: usize| {
        let (i, j) = (at / rows, at % rows);
        if i != j && also(i, j) { HIDDEN } else { 0.0 }
    };
    let hidden: Vec<f32> = (0..rows * rows).map(hidden).collect();
    let hidden = engine::tensor(hidden, [rows, rows], &a.device());
    let cosines = unit(a).matmul(unit(b).transpose());
    let logits = cosines * scale.unsqueeze::<2>() + hidden;
    let partners: Vec<usize> = (0..rows).collect();
    let there = cross_entropy(logits.clone(), &partners);
    (there + cross_entropy(logits.transpose(), &partners)) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(also: impl Fn(usize, usize) -> bool) -> f32 {
        let device = engine::cpu();
        let a = engine::tensor(vec![2.0, 0.0, 0.0, 3.0, 1.0, 0.0], [3, 2], &device);
        let b = engine::tensor(vec![1.0, 0.0, 0.0, 0.5, 4.0, 0.0], [3, 2], &device);
        let scale = engine::tensor(vec![20.0], [1], &device);
        engine::values(contrast(a, b, scale, also))[0]
    }

    #[test]
    fn partners_are_told_apart_unless_they_are_as_good() {
        // The first and the last row are the same: the one is taken for the other half of
        // the times.
        let expected = 2.0 / 3.0 * 2.0f32.ln();
        assert!((loss(|_, _| false) - expected).abs() < 1e-4);
        assert!(loss(|i, j| i + j == 2) < 1e-4);
    }
}
