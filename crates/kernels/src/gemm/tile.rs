//! The micro-kernel: a tile of sums in registers.

use super::arithmetic::MulAdd;
use crate::simd::Simd;

/// The factors of a tile: `R` rows from the left, `N` vectors from the right.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    /// The first row's first cell.
    pub(crate) left: *const f32,
    /// Cells between two rows of the left factor.
    pub(crate) row: usize,
    /// Cells between two columns of the left factor.
    pub(crate) step: usize,
    /// The panel's first cell; its rows are two vectors apart.
    pub(crate) right: *const f32,
    /// Cells to sum over.
    pub(crate) len: usize,
}

/// The sums of `R` rows by `N` vectors.
///
/// Each step reads `N` vectors of the panel and one cell of each row, and does
/// `R N` multiply-adds that do not depend on each other: with 12 by 2 vectors of
/// AVX-512 the multipliers, not the loads, are the limit.
///
/// # Safety
/// All cells that `factors` describes must be valid for reading.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, P: MulAdd<S>, const R: usize, const N: usize>(
    s: S,
    product: P,
    factors: Factors,
) -> [[S::V; N]; R] {
    let Factors { mut left, row, step, mut right, len } = factors;
    let mut sums = [[s.zero(); N]; R];
    for _ in 0..len {
        let mut panel = [s.zero(); N];
        for (i, vector) in panel.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the panel's rows.
            *vector = unsafe { s.load(right.add(i * S::LANES)) };
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the left factor's rows.
            let cell = s.splat(unsafe { *left.add(r * row) });
            for (sum, vector) in sums.iter_mut().zip(panel) {
                *sum = product.mul_add(s, cell, vector, *sum);
            }
        }
        left = left.wrapping_add(step);
        right = right.wrapping_add(2 * S::LANES);
    }
    sums
}
