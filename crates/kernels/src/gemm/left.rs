//! The left factor, read where it lies.

use super::rows::Rows;

/// A matrix of `taps.len() * depth` columns.
///
/// Column `tap * depth + d` of a row lies `taps[tap] + d * step` behind its start. So
/// one type describes a plain matrix, a transposed one, and the windows of a
/// convolution, whose taps are the nine neighbours.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    /// The values.
    pub(crate) data: &'a [f32],
    /// Where rows start.
    pub(crate) rows: Rows,
    /// Offsets of groups of columns.
    pub(crate) taps: &'a [usize],
    /// Columns of a tap.
    pub(crate) depth: usize,
    /// From one column of a tap to the next.
    pub(crate) step: usize,
}

impl<'a> Left<'a> {
    /// `[rows, depth]`, row after row, `stride` apart.
    pub(crate) fn new(data: &'a [f32], rows: usize, depth: usize, stride: usize) -> Self {
        Self { data, rows: Rows::even(rows, stride), taps: &[0], depth, step: 1 }
    }

    /// The transpose of `[depth, rows]`.
    pub(crate) fn transposed(data: &'a [f32], rows: usize, depth: usize) -> Self {
        Self { data, rows: Rows::even(rows, 1), taps: &[0], depth, step: rows }
    }

    /// Columns `first..first + len` of a tap.
    #[inline(always)]
    pub(super) fn columns(&self, tap: usize, first: usize, len: usize) -> Self {
        let data = &self.data[self.taps[tap] + first * self.step..];
        Self { data, taps: &[0], depth: len, ..*self }
    }

    /// The first of `count` rows of one run of a matrix of one tap.
    ///
    /// # Panics
    /// If any of their values lies outside the data.
    #[inline(always)]
    pub(super) fn at(&self, row: usize, count: usize) -> *const f32 {
        debug_assert!(row % self.rows.run + count <= self.rows.run);
        let start = self.rows.at(row);
        let last = start + (count - 1) * self.rows.row + (self.depth - 1) * self.step;
        assert!(last < self.data.len(), "a row of the left factor ends outside its data");
        self.data[start..].as_ptr()
    }
}
