//! The right factor: its panels, read where they lie or made on the way.

use super::copy;
use super::panels::{Cells, PanelsView};
use crate::simd::Simd;

/// A matrix of `depth` rows by `columns`, whichever way it is stored.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Packed beforehand.
    Packed(PanelsView<'a>),
    /// The transpose of a packed matrix: panels are made from squares of it. So one
    /// copy of a frozen weight serves both directions.
    PackedTransposed(PanelsView<'a>),
    /// `[depth, columns]`, row after row.
    Rows {
        /// The values.
        data: &'a [f32],
        /// Terms of each sum.
        depth: usize,
        /// Columns of the result.
        columns: usize,
    },
    /// `[columns, depth]`, column after column: a weight as its file has it.
    Columns {
        /// The values.
        data: &'a [f32],
        /// Terms of each sum.
        depth: usize,
        /// Columns of the result.
        columns: usize,
    },
}

impl Right<'_> {
    /// Terms of each sum.
    pub(crate) fn depth(&self) -> usize {
        match *self {
            Right::Packed(packed) => packed.depth,
            Right::PackedTransposed(packed) => packed.columns,
            Right::Rows { depth, .. } | Right::Columns { depth, .. } => depth,
        }
    }

    /// Columns of the result.
    pub(crate) fn columns(&self) -> usize {
        match *self {
            Right::Packed(packed) => packed.columns,
            Right::PackedTransposed(packed) => packed.depth,
            Right::Rows { columns, .. } | Right::Columns { columns, .. } => columns,
        }
    }

    /// Rows `first..first + len` of a panel: in place, or made in `to`.
    #[inline(always)]
    pub(crate) fn block<'b, S: Simd>(
        &'b self,
        s: S,
        panel: usize,
        first: usize,
        len: usize,
        to: &'b mut [f32],
    ) -> &'b [f32] {
        let width = 2 * S::LANES;
        if let Right::Packed(packed) = self
            && let Cells::F32(cells) = packed.cells
        {
            assert_eq!(packed.level, S::LEVEL);
            return &cells[(panel * packed.depth + first) * width..][..len * width];
        }
        let to = &mut to[..len * width];
        self.copy_block(s, panel, first, len, to);
        to
    }

    /// Writes rows `first..first + len` of a panel to `to`, with zeros beyond the last
    /// column.
    #[inline(always)]
    pub(crate) fn copy_block<S: Simd>(
        &self,
        s: S,
        panel: usize,
        first: usize,
        len: usize,
        to: &mut [f32],
    ) {
        let width = 2 * S::LANES;
        assert_eq!(to.len(), len * width);
        let start = panel * width;
        let columns = width.min(self.columns() - start);
        match *self {
            Right::Packed(packed) => copy::packed(s, packed, panel, first, to),
            Right::PackedTransposed(packed) => {
                copy::packed_transposed(s, packed, panel, first, columns, to)
            }
            Right::Rows { data, columns: stride, .. } => {
                copy::rows(&data[first * stride + start..], stride, columns, width, to);
            }
            Right::Columns { data, depth, .. } => {
                copy::transposed(s, &data[start * depth + first..], depth, columns, to);
            }
        }
    }
}
