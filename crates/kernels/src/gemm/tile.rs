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

/// Covers the rows from `$row` to `$end` with tiles of falling height: runs `$tile` for
/// each, where `$row` is its first row and `$height` a constant, and leaves `$row` at
/// the end.
macro_rules! in_tiles {
    ($simd:ident, $row:ident, $end:expr, $height:ident => $tile:expr) => {
        in_tiles!(@heights $simd, $row, $end, $height, $tile, 12 8 6 4 2 1)
    };
    (@heights $simd:ident, $row:ident, $end:expr, $height:ident, $tile:expr, $($rows:literal)*) => {$(
        while $simd::TILE_ROWS >= $rows && $end - $row >= $rows {
            const $height: usize = $rows;
            $tile;
            $row += $height;
        }
    )*};
}
pub(crate) use in_tiles;

/// Cells of a cache line.
pub(crate) const LINE: usize = 16;

/// The sums of `R` rows by `N` vectors.
///
/// Each step reads `N` vectors of the panel and one cell of each row, and does
/// `R N` multiply-adds that do not depend on each other: with 12 by 2 vectors of
/// AVX-512 the multipliers, not the loads, are the limit.
///
/// The first steps also ask the caches for a line each of `ahead`, which is needed
/// next: packed weights mostly come from memory, and the processor's own guesses end
/// with each page.
///
/// # Safety
/// All cells that `factors` describes must be valid for reading.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, P: MulAdd<S>, const R: usize, const N: usize>(
    s: S,
    product: P,
    factors: Factors,
    ahead: &[f32],
) -> [[S::V; N]; R] {
    let mut sums = [[s.zero(); N]; R];
    let mut at = factors;
    let asking = factors.len.min(ahead.len() / LINE);
    for line in 0..asking {
        s.prefetch(ahead.as_ptr().wrapping_add(line * LINE));
        // SAFETY: the caller vouches for `len` steps.
        at = unsafe { step(s, product, at, &mut sums) };
    }
    for _ in asking..factors.len {
        // SAFETY: as above.
        at = unsafe { step(s, product, at, &mut sums) };
    }
    sums
}

/// Adds the products of one column of the left factor, and returns where the next is.
///
/// # Safety
/// Its cells must be valid for reading.
#[inline(always)]
unsafe fn step<S: Simd, P: MulAdd<S>, const R: usize, const N: usize>(
    s: S,
    product: P,
    at: Factors,
    sums: &mut [[S::V; N]; R],
) -> Factors {
    let mut panel = [s.zero(); N];
    for (i, vector) in panel.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the panel's rows.
        *vector = unsafe { s.load(at.right.add(i * S::LANES)) };
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the left factor's rows.
        let cell = s.splat(unsafe { *at.left.add(r * at.row) });
        for (sum, vector) in sums.iter_mut().zip(panel) {
            *sum = product.mul_add(s, cell, vector, *sum);
        }
    }
    Factors {
        left: at.left.wrapping_add(at.step),
        right: at.right.wrapping_add(2 * S::LANES),
        ..at
    }
}
