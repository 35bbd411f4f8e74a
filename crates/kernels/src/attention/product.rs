//! Products whose tiles go on being computed with, instead of to memory.

use crate::gemm::{Factors, MulAdd, in_tiles, tile};
use crate::simd::Simd;

/// Takes the tiles of a product, from its first row to the last.
pub(super) trait Sink<S: Simd> {
    /// Whether there is room for `rows` rows of `vectors` vectors.
    fn has_room(&self, rows: usize, vectors: usize) -> bool;

    /// Takes rows `row..row + R`, `N` vectors of each. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// [`Sink::has_room`] must hold for all rows up to the last of these.
    unsafe fn put<const R: usize, const N: usize>(
        &mut self,
        s: S,
        row: usize,
        sums: [[S::V; N]; R],
    );
}

/// The left factor: rows `row` cells apart, the cells of a row `step` apart.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    cells: &'a [f32],
    row: usize,
    step: usize,
}

impl<'a> Left<'a> {
    /// Rows that lie behind each other, `stride` cells apart.
    #[inline(always)]
    pub(super) fn rows(cells: &'a [f32], stride: usize) -> Self {
        Self { cells, row: stride, step: 1 }
    }

    /// The transpose of that.
    #[inline(always)]
    pub(super) fn columns(cells: &'a [f32], stride: usize) -> Self {
        Self { cells, row: 1, step: stride }
    }
}

/// Multiplies `rows` rows of the left factor, of `len` cells each, with one panel of
/// the right one, `N` vectors wide.
///
/// # Panics
/// If a factor has too few cells, or the sink no room.
#[inline(always)]
pub(super) fn product<S: Simd, P: MulAdd<S>, const N: usize>(
    s: S,
    mul_add: P,
    left: Left<'_>,
    right: &[f32],
    len: usize,
    rows: usize,
    sink: &mut impl Sink<S>,
) {
    if rows == 0 || len == 0 {
        return;
    }
    let last = (rows - 1) * left.row + (len - 1) * left.step;
    assert!(last < left.cells.len() && len * 2 * S::LANES <= right.len(), "factors too short");
    assert!(N <= 2 && sink.has_room(rows, N), "no room for a product");
    let Left { row: stride, step, .. } = left;
    let mut row = 0;
    in_tiles!(S, row, rows, HEIGHT => {
        let left = left.cells.as_ptr().wrapping_add(row * stride);
        let factors = Factors { left, row: stride, step, right: right.as_ptr(), len };
        // SAFETY: the assertions cover all rows.
        unsafe { sink.put(s, row, tile::<S, P, HEIGHT, N>(s, mul_add, factors, &[])) }
    });
}

/// Adds to what is there: `to = to * factor + sums`, rows `stride` apart.
pub(super) struct Accumulate<'a, S: Simd> {
    pub(super) to: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) factor: [S::V; 2],
}

impl<S: Simd> Sink<S> for Accumulate<'_, S> {
    #[inline(always)]
    fn has_room(&self, rows: usize, vectors: usize) -> bool {
        (rows - 1) * self.stride + vectors * S::LANES <= self.to.len()
    }

    #[inline(always)]
    unsafe fn put<const R: usize, const N: usize>(
        &mut self,
        s: S,
        row: usize,
        sums: [[S::V; N]; R],
    ) {
        for (r, sums) in sums.into_iter().enumerate() {
            for (i, sum) in sums.into_iter().enumerate() {
                // SAFETY: the caller vouches for room.
                unsafe {
                    let to = self.to.as_mut_ptr().add((row + r) * self.stride + i * S::LANES);
                    s.store(to, s.mul_add(s.load(to), self.factor[i], sum));
                }
            }
        }
    }
}
