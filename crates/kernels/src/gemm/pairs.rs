//! Activations rounded to pairs of bf16.

use half::bf16;
use rayon::prelude::*;

use crate::scratch::Scratch;
use crate::simd::{Kernel, Level, Simd, dispatch};

/// Values that a thread rounds at a time.
const CHUNK: usize = 1 << 14;

/// Rounds `[rows, depth]` to bf16 and lays it out as `[rows, depth / 2]` cells of two;
/// behind an odd depth comes a zero.
///
/// # Panics
/// If `values` is not whole rows.
pub(crate) fn round_to_pairs(level: Level, values: &[f32], depth: usize) -> Scratch<f32> {
    assert!(values.len().is_multiple_of(depth), "rows of {depth}");
    let even = depth.next_multiple_of(2);
    let mut cells = Scratch::<f32>::take(values.len() / depth * even / 2);
    let rows = (CHUNK / depth).max(1);
    bytemuck::cast_slice_mut::<f32, bf16>(&mut cells)
        .par_chunks_mut(rows * even)
        .zip(values.par_chunks(rows * depth))
        .for_each(|(to, from)| {
            for (to, from) in to.chunks_exact_mut(even).zip(from.chunks_exact(depth)) {
                dispatch(level, Round { from, to });
            }
        });
    cells
}

/// Rounds a row; what the target has beyond the row becomes zero.
struct Round<'a, 'b> {
    from: &'a [f32],
    to: &'b mut [bf16],
}

impl Kernel for Round<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (whole, rest) = self.to.split_at_mut(self.from.len());
        rest.fill(bf16::ZERO);
        let mut to = whole.chunks_exact_mut(S::LANES);
        let mut from = self.from.chunks_exact(S::LANES);
        for (to, from) in to.by_ref().zip(from.by_ref()) {
            // SAFETY: both hold as many values as there are lanes.
            unsafe { s.store_bf16(to.as_mut_ptr(), s.load(from.as_ptr())) }
        }
        for (to, from) in to.into_remainder().iter_mut().zip(from.remainder()) {
            *to = bf16::from_f32(*from);
        }
    }
}
