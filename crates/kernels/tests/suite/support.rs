//! Values to compute with, and the comparison with an f64 twin.

/// Reproducible values of about unit variance, never two alike in a row.
pub fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let mut uniform = || {
        // xorshift64*, Vigna 2016.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..len).map(|_| (uniform() + uniform() + uniform() + uniform() - 2.0) * 3f32.sqrt()).collect()
}

/// The greatest difference, relative to the root mean square of what is expected.
pub fn error(actual: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let square: f64 = expected.iter().map(|v| v * v).sum();
    let rms = (square / expected.len().max(1) as f64).sqrt().max(f64::MIN_POSITIVE);
    let difference = |(a, e): (&f32, &f64)| (f64::from(*a) - e).abs();
    let worst = actual.iter().zip(expected).map(difference).fold(0.0, |worst, d| {
        // `max` would drop a NaN.
        if d <= worst { worst } else { d }
    });
    worst / rms
}

/// Fails when [`error`] exceeds a bound or is NaN.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f64], bound: f64, what: &dyn std::fmt::Debug) {
    let error = error(actual, expected);
    assert!(error <= bound, "{what:?}: error {error:.2e} of the rms, allowed {bound:.0e}");
}
