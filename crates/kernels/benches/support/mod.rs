//! What the benchmarks share.

/// Values between -1 and 1 without a short period.
pub fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect()
}
