//! Sums over the rows of a matrix, one a channel.
//!
//! Vectors lie along the channels. f32 sums run over [`BLOCK`] rows, beyond that
//! they are added up in f64, so that neither the number of rows nor that of threads
//! shows in the result.

use rayon::prelude::*;

use crate::elementwise::{CHUNK, load_up_to, store_up_to};
use crate::simd::{Kernel, Level, Simd, dispatch};

/// Rows of one f32 sum.
const BLOCK: usize = 32;

/// Two quantities to sum over rows.
pub(super) trait Terms: Copy + Send + Sync {
    /// Both terms of `count` channels from `channel` on, in `row` of the block that
    /// starts with row `block`. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// Row and channels must lie inside the matrix that the terms were made for.
    unsafe fn at<S: Simd>(
        self,
        s: S,
        block: usize,
        row: usize,
        channel: usize,
        count: usize,
    ) -> [S::V; 2];

    /// What the sums of `rows` rows of a block stand for.
    #[inline(always)]
    fn settle(self, _block: usize, _rows: usize, _channel: usize, sums: [f32; 2]) -> [f64; 2] {
        sums.map(f64::from)
    }
}

/// Sums the terms of each image over its rows (pixels), in parallel.
///
/// # Shapes
/// `[images][2][channels]`
pub(super) fn channel_sums<T: Terms>(
    level: Level,
    images: usize,
    rows: usize,
    channels: usize,
    terms: impl Fn(usize) -> T + Sync,
) -> Vec<f64> {
    let at_once = rows_at_once(channels);
    let parts = rows.div_ceil(at_once);
    let mut partial = vec![0.0; images * parts * 2 * channels];
    partial.par_chunks_mut(2 * channels).enumerate().for_each(|(i, totals)| {
        let (image, first) = (i / parts, i % parts * at_once);
        let range = image * rows + first..image * rows + rows.min(first + at_once);
        dispatch(level, Part { terms: terms(image), range, channels, totals });
    });
    let mut totals = vec![0.0; images * 2 * channels];
    let sources = partial.chunks_exact(2 * channels * parts);
    for (total, source) in totals.chunks_exact_mut(2 * channels).zip(sources) {
        for part in source.chunks_exact(2 * channels) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
    }
    totals
}

/// Rows that a thread takes at once: whole blocks.
pub(super) fn rows_at_once(channels: usize) -> usize {
    (2 * CHUNK / channels / BLOCK).max(1) * BLOCK
}

/// The sums of some rows of one image.
struct Part<'a, T> {
    terms: T,
    range: std::ops::Range<usize>,
    channels: usize,
    totals: &'a mut [f64],
}

impl<T: Terms> Kernel for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut sums = vec![0.0; 2 * self.channels];
        let (totals0, totals1) = self.totals.split_at_mut(self.channels);
        for block in self.range.clone().step_by(BLOCK) {
            let rows = BLOCK.min(self.range.end - block);
            sums.fill(0.0);
            // Four rows for each access to the sums.
            for row in (0..rows / 4).map(|i| block + 4 * i) {
                add_rows::<S, T, 4>(s, self.terms, self.channels, block, row, &mut sums);
            }
            for row in block + rows / 4 * 4..block + rows {
                add_rows::<S, T, 1>(s, self.terms, self.channels, block, row, &mut sums);
            }
            let (sums0, sums1) = sums.split_at(self.channels);
            for c in 0..self.channels {
                let [a, b] = self.terms.settle(block, rows, c, [sums0[c], sums1[c]]);
                totals0[c] += a;
                totals1[c] += b;
            }
        }
    }
}

/// Adds the terms of `R` rows to the sums of a block.
#[inline(always)]
fn add_rows<S: Simd, T: Terms, const R: usize>(
    s: S,
    terms: T,
    channels: usize,
    block: usize,
    row: usize,
    sums: &mut [f32],
) {
    let (sums0, sums1) = sums.split_at_mut(channels);
    for channel in (0..channels).step_by(S::LANES) {
        let count = S::LANES.min(channels - channel);
        let (to0, to1) = (sums0[channel..].as_mut_ptr(), sums1[channel..].as_mut_ptr());
        // SAFETY: `count` channels are left behind `channel` in a row and in the sums.
        unsafe {
            let [mut a, mut b] = terms.at(s, block, row, channel, count);
            for r in 1..R {
                let [next_a, next_b] = terms.at(s, block, row + r, channel, count);
                (a, b) = (s.add(a, next_a), s.add(b, next_b));
            }
            store_up_to(s, to0, count, s.add(a, load_up_to(s, to0, count)));
            store_up_to(s, to1, count, s.add(b, load_up_to(s, to1, count)));
        }
    }
}
