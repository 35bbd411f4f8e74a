use rayon::prelude::*;

use super::sums::{Terms, channel_sums};
use crate::elementwise::{CHUNK, load_up_to, store_up_to};
use crate::simd::{Kernel, Level, MAX_LANES, Simd, dispatch};

/// Layer norm over rows of channels (Ba et al. 2016, arXiv 1607.06450).
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// The instructions to use.
    pub level: Level,
    /// Added to the variance.
    pub epsilon: f64,
    /// Factor of each channel.
    pub weight: &'a [f32],
    /// Summand of each channel.
    pub bias: &'a [f32],
}

impl LayerNorm<'_> {
    /// Normalises each row of `x`, and writes its mean and reciprocal deviation to
    /// `moments`, for [`LayerNorm::backward`].
    ///
    /// # Shapes
    /// `x, out [rows, channels]`, `moments [rows, 2]`
    ///
    /// # Panics
    /// If the lengths do not fit that.
    pub fn forward(&self, x: &[f32], out: &mut [f32], moments: &mut [f32]) {
        let part = self.part(x.len(), out.len(), moments.len());
        let parts = x.par_chunks(part.values).zip(out.par_chunks_mut(part.values));
        parts.zip(moments.par_chunks_mut(part.moments)).for_each(|((x, out), moments)| {
            dispatch(self.level, Forward { norm: *self, x, out, moments });
        });
    }

    /// The gradient to `x`, and to weight and bias if asked.
    ///
    /// # Shapes
    /// `x, dout, dx [rows, channels]`, `moments [rows, 2]` from
    /// [`LayerNorm::forward`]; `affine` are the gradients of weight and bias,
    /// `[channels]` each.
    ///
    /// # Panics
    /// If the lengths do not fit that.
    pub fn backward(
        &self,
        x: &[f32],
        moments: &[f32],
        dout: &[f32],
        dx: &mut [f32],
        affine: Option<[&mut [f32]; 2]>,
    ) {
        let part = self.part(x.len(), dout.len(), moments.len());
        assert_eq!(x.len(), dx.len(), "the input and its gradient differ in length");
        let inputs = x.par_chunks(part.values).zip(dout.par_chunks(part.values));
        let parts = inputs.zip(moments.par_chunks(part.moments));
        parts.zip(dx.par_chunks_mut(part.values)).for_each(|(((x, dout), moments), dx)| {
            dispatch(self.level, ToInput { norm: *self, x, dout, moments, dx });
        });
        if let Some([dweight, dbias]) = affine {
            let channels = self.weight.len();
            let slopes = Slopes { x, dout, moments, channels };
            let sums = channel_sums(self.level, 1, x.len() / channels, channels, |_| slopes);
            for (c, (dbias, dweight)) in dbias.iter_mut().zip(dweight).enumerate() {
                (*dbias, *dweight) = (sums[c] as f32, sums[channels + c] as f32);
            }
        }
    }

    /// Checks the lengths and cuts them into parts.
    fn part(&self, x: usize, other: usize, moments: usize) -> PartLengths {
        let channels = self.weight.len();
        assert_eq!(channels, self.bias.len(), "weight and bias differ in length");
        assert!(channels > 0 && x.is_multiple_of(channels), "{x} values, rows of {channels}");
        assert_eq!(x, other, "the activations differ in length");
        assert_eq!(moments, x / channels * 2, "mean and deviation of each row");
        let rows = (CHUNK / channels).max(1);
        PartLengths { values: rows * channels, moments: 2 * rows }
    }
}

/// Lengths of the slices that a thread takes at once: whole rows.
struct PartLengths {
    values: usize,
    moments: usize,
}

/// Values of one f32 sum in each lane of four vectors; beyond it, f64.
const SEGMENT: usize = 4096;

/// Sums `terms` over the channels, which it gives `count` at a time.
#[inline(always)]
fn row_sums<S: Simd, const N: usize>(
    s: S,
    channels: usize,
    terms: impl Fn(usize, usize) -> [S::V; N],
) -> [f64; N] {
    let mut totals = [0.0; N];
    for first in (0..channels).step_by(SEGMENT) {
        let end = channels.min(first + SEGMENT);
        let mut sums = [[s.zero(); N]; 4];
        let mut c = first;
        while c + 4 * S::LANES <= end {
            for (i, sums) in sums.iter_mut().enumerate() {
                add_terms(s, sums, terms(c + i * S::LANES, S::LANES));
            }
            c += 4 * S::LANES;
        }
        while c < end {
            add_terms(s, &mut sums[0], terms(c, S::LANES.min(end - c)));
            c += S::LANES;
        }
        let [mut a, b, mut c, d] = sums;
        add_terms(s, &mut a, b);
        add_terms(s, &mut c, d);
        add_terms(s, &mut a, c);
        for (total, sum) in totals.iter_mut().zip(a) {
            *total += f64::from(s.reduce_add(sum));
        }
    }
    totals
}

#[inline(always)]
fn add_terms<S: Simd, const N: usize>(s: S, sums: &mut [S::V; N], terms: [S::V; N]) {
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum = s.add(*sum, term);
    }
}

/// Whole rows of the forward pass.
struct Forward<'a> {
    norm: LayerNorm<'a>,
    x: &'a [f32],
    out: &'a mut [f32],
    moments: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { norm, x, out, moments } = self;
        let channels = norm.weight.len();
        let rows = x.chunks_exact(channels).zip(out.chunks_exact_mut(channels));
        for ((x, out), moments) in rows.zip(moments.chunks_exact_mut(2)) {
            // SAFETY: sums and loops ask for channels that exist.
            let at = |row: &[f32], c, count| unsafe { load_up_to(s, row.as_ptr().add(c), count) };
            let [sum] = row_sums(s, channels, |c, count| [at(x, c, count)]);
            let near = (sum / channels as f64) as f32;
            let sums = row_sums(s, channels, |c, count| {
                let distance = s.sub(at(x, c, count), only(s, near, count));
                [distance, s.mul(distance, distance)]
            });
            // What the first, f32 sum missed shows in the distances.
            let [miss, square] = sums.map(|sum| sum / channels as f64);
            let mean = (f64::from(near) + miss) as f32;
            let rstd = (square - miss * miss + norm.epsilon).sqrt().recip() as f32;
            moments.copy_from_slice(&[mean, rstd]);
            for c in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - c);
                let hat = s.mul(s.sub(at(x, c, count), s.splat(mean)), s.splat(rstd));
                let y = s.mul_add(hat, at(norm.weight, c, count), at(norm.bias, c, count));
                // SAFETY: `count` channels are left behind `c`.
                unsafe { store_up_to(s, out.as_mut_ptr().add(c), count, y) };
            }
        }
    }
}

/// `x` in the first `count` lanes, zero elsewhere.
#[inline(always)]
fn only<S: Simd>(s: S, x: f32, count: usize) -> S::V {
    if count == S::LANES {
        return s.splat(x);
    }
    // SAFETY: `count` is less than the lanes, and those at most MAX_LANES.
    unsafe { s.load_partial([x; MAX_LANES].as_ptr(), count) }
}

/// Whole rows of the gradient to the input.
struct ToInput<'a> {
    norm: LayerNorm<'a>,
    x: &'a [f32],
    dout: &'a [f32],
    moments: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for ToInput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { norm, x, dout, moments, dx } = self;
        let channels = norm.weight.len();
        let rows = x.chunks_exact(channels).zip(dout.chunks_exact(channels));
        let rows = rows.zip(dx.chunks_exact_mut(channels));
        for (((x, dout), dx), moments) in rows.zip(moments.chunks_exact(2)) {
            let (mean, rstd) = (s.splat(moments[0]), s.splat(moments[1]));
            // SAFETY: sums and loops ask for channels that exist.
            let at = |row: &[f32], c, count| unsafe { load_up_to(s, row.as_ptr().add(c), count) };
            // Beyond the row this is zero, and so is every term of the sums.
            let slope = |c, count| s.mul(at(dout, c, count), at(norm.weight, c, count));
            let hat = |c, count| s.mul(s.sub(at(x, c, count), mean), rstd);
            let means = row_sums(s, channels, |c, count| {
                let slope = slope(c, count);
                [slope, s.mul(slope, hat(c, count))]
            });
            let [mean_slope, mean_product] =
                means.map(|sum| s.splat((sum / channels as f64) as f32));
            for c in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - c);
                let rest = s.mul_add(hat(c, count), mean_product, mean_slope);
                let gradient = s.mul(rstd, s.sub(slope(c, count), rest));
                // SAFETY: `count` channels are left behind `c`.
                unsafe { store_up_to(s, dx.as_mut_ptr().add(c), count, gradient) };
            }
        }
    }
}

/// Sums of `dout` and of `dout hat`: the gradients of bias and weight.
#[derive(Clone, Copy)]
struct Slopes<'a> {
    x: &'a [f32],
    dout: &'a [f32],
    moments: &'a [f32],
    channels: usize,
}

impl Terms for Slopes<'_> {
    #[inline(always)]
    unsafe fn at<S: Simd>(
        self,
        s: S,
        _block: usize,
        row: usize,
        channel: usize,
        count: usize,
    ) -> [S::V; 2] {
        let at = row * self.channels + channel;
        // SAFETY: the caller vouches for row and channels.
        let (x, dout) = unsafe {
            let x = load_up_to(s, self.x.as_ptr().add(at), count);
            (x, load_up_to(s, self.dout.as_ptr().add(at), count))
        };
        let [mean, rstd] = [self.moments[2 * row], self.moments[2 * row + 1]];
        let hat = s.mul(s.sub(x, s.splat(mean)), s.splat(rstd));
        [dout, s.mul(dout, hat)]
    }
}
