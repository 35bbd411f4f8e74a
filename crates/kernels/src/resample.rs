//! Nearest-neighbour upsampling by two.

use rayon::prelude::*;

use crate::elementwise::{load_up_to, store_up_to};
use crate::simd::{Kernel, Level, Simd, dispatch};

/// Every pixel becomes two by two.
///
/// # Shapes
/// `x [rows, width, channels]`, `out [rows, 2, width, 2, channels]`; the rows of all
/// images lie behind each other, so batch and height need not be told apart.
///
/// # Panics
/// If the lengths do not fit that.
pub fn upsample_nearest(width: usize, channels: usize, x: &[f32], out: &mut [f32]) {
    assert_eq!(4 * x.len(), out.len(), "upsampling makes four of each value");
    let row = row_length(width, channels, x.len());
    if row == 0 {
        return;
    }
    x.par_chunks(row).zip(out.par_chunks_mut(4 * row)).for_each(|(x, out)| {
        let (upper, lower) = out.split_at_mut(2 * row);
        let pairs = x.chunks_exact(channels).zip(upper.chunks_exact_mut(2 * channels));
        for (pixel, pair) in pairs {
            pair[..channels].copy_from_slice(pixel);
            pair[channels..].copy_from_slice(pixel);
        }
        lower.copy_from_slice(upper);
    });
}

/// The gradient of [`upsample_nearest`] to its input: sums of two by two.
///
/// # Shapes
/// `dout [rows, 2, width, 2, channels]`, `dx [rows, width, channels]`
///
/// # Panics
/// If the lengths do not fit that.
pub fn upsample_nearest_backward(
    level: Level,
    width: usize,
    channels: usize,
    dout: &[f32],
    dx: &mut [f32],
) {
    assert_eq!(dout.len(), 4 * dx.len(), "upsampling makes four of each value");
    let row = row_length(width, channels, dx.len());
    if row == 0 {
        return;
    }
    let rows = dout.par_chunks(4 * row).zip(dx.par_chunks_mut(row));
    rows.for_each(|(dout, dx)| dispatch(level, SumOfFour { channels, dout, dx }));
}

/// Values of a row of pixels; none when there is nothing to do.
///
/// # Panics
/// If `len` is not whole rows.
fn row_length(width: usize, channels: usize, len: usize) -> usize {
    if len == 0 {
        return 0;
    }
    let row = width * channels;
    assert!(row > 0 && len.is_multiple_of(row), "{len} values are no rows of {width} x {channels}");
    row
}

/// One row of [`upsample_nearest_backward`].
struct SumOfFour<'a> {
    channels: usize,
    dout: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for SumOfFour<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { channels, dout, dx } = self;
        let (upper, lower) = dout.split_at(2 * dx.len());
        let pairs = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
        for (pixel, (upper, lower)) in dx.chunks_exact_mut(channels).zip(pairs) {
            for i in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - i);
                // SAFETY: `count` values are left behind `i` in each of the channels.
                unsafe {
                    let pair = |row: &[f32]| {
                        let left = load_up_to(s, row.as_ptr().add(i), count);
                        s.add(left, load_up_to(s, row.as_ptr().add(channels + i), count))
                    };
                    let sum = s.add(pair(upper), pair(lower));
                    store_up_to(s, pixel.as_mut_ptr().add(i), count, sum);
                }
            }
        }
    }
}
