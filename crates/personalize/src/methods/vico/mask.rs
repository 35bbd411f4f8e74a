//! The automatic mask: Otsu's threshold over a text-attention map.

use std::cmp::Ordering;

/// Candidate thresholds `k / 10`.
const CANDIDATES: usize = 10;

/// A thresholded attention map of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Otsu {
    /// Patches of the object: values at or above the threshold.
    pub keep: Vec<bool>,
    /// The threshold on the normalised map, 0 if no candidate separates it.
    pub threshold: f32,
    /// The map, min-max normalised; NaN throughout for a map without contrast.
    pub scaled: Vec<f32>,
    /// Between-class variance of each candidate; NaN where a class is empty.
    pub scores: [f32; CANDIDATES],
}

/// Otsu's method (1979) as ViCo's program computes it: min-max normalisation,
/// then the candidate `k / 10` with the largest `w0 w1 (m0 - m1)^2`; of equals
/// the first wins. A map without contrast is kept whole: it says nothing about
/// where the object is, so nothing is taken away.
pub fn otsu(map: &[f32]) -> Otsu {
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let span = high - low;
    let scaled: Vec<f32> = map.iter().map(|v| (v - low) / span).collect();
    let mut scores = [f32::NAN; CANDIDATES];
    let (mut best, mut threshold) = (0.0, 0.0);
    for (k, score) in scores.iter_mut().enumerate() {
        let candidate = candidate(k);
        *score = between_class_variance(&scaled, candidate);
        if *score > best {
            (best, threshold) = (*score, candidate);
        }
    }
    // Not "at or above": NaN, of a map without contrast, is kept.
    let keep = scaled.iter().map(|v| !matches!(v.partial_cmp(&threshold), Some(Ordering::Less)));
    Otsu { keep: keep.collect(), threshold, scores, scaled }
}

fn candidate(k: usize) -> f32 {
    (k as f64 / CANDIDATES as f64) as f32
}

fn between_class_variance(values: &[f32], threshold: f32) -> f32 {
    let (mut below, mut above) = (Mean::default(), Mean::default());
    for &v in values {
        if v < threshold {
            below.add(v);
        } else if v >= threshold {
            above.add(v);
        }
    }
    let count = values.len() as f64;
    let weight = (below.count / count) * (above.count / count);
    let difference = below.value() - above.value();
    weight as f32 * (difference * difference)
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += f64::from(value);
        self.count += 1.0;
    }

    /// NaN without any value.
    fn value(&self) -> f32 {
        (self.sum / self.count) as f32
    }
}
