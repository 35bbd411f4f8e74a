//! The right factor: its panels, read where they lie or made on the way.

use super::copy;
use super::panels::{Cells, PanelsView};
use super::rows::Rows;
use crate::simd::Simd;

/// A matrix of `depth` rows by `columns`, whichever way it is stored.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a> {
    /// Packed beforehand.
    Packed(PanelsView<'a>),
    /// The transpose of a packed matrix: panels are made from squares of it. So one
    /// copy of a frozen weight serves both directions.
    PackedTransposed(PanelsView<'a>),
    /// Packed beforehand as bf16, read as pairs: a cell is two rows.
    Pairs(PanelsView<'a>),
    /// The transpose of a matrix packed as bf16, again as pairs.
    PairsTransposed(PanelsView<'a>),
    /// Rows of values that lie side by side.
    Rows {
        /// The values.
        data: &'a [f32],
        /// Where rows start.
        rows: Rows,
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

impl<'a> Right<'a> {
    /// `[depth, columns]`, row after row.
    pub(crate) fn rows(data: &'a [f32], depth: usize, columns: usize) -> Self {
        Right::Rows { data, rows: Rows::even(depth, columns), columns }
    }

    /// Whether its cells are pairs of bf16, which the left factor's must be then too.
    pub(crate) fn is_pairs(&self) -> bool {
        matches!(self, Right::Pairs(_) | Right::PairsTransposed(_))
    }

    /// Cells of each sum.
    pub(crate) fn depth(&self) -> usize {
        match *self {
            Right::Pairs(packed) => packed.depth.div_ceil(2),
            Right::PairsTransposed(packed) => packed.columns.div_ceil(2),
            Right::Packed(packed) => packed.depth,
            Right::PackedTransposed(packed) => packed.columns,
            Right::Rows { rows, .. } => rows.count,
            Right::Columns { depth, .. } => depth,
        }
    }

    /// Columns of the result.
    pub(crate) fn columns(&self) -> usize {
        match *self {
            Right::Packed(packed) | Right::Pairs(packed) => packed.columns,
            Right::PackedTransposed(packed) | Right::PairsTransposed(packed) => packed.depth,
            Right::Rows { columns, .. } | Right::Columns { columns, .. } => columns,
        }
    }

    /// Rows `first..first + len` of a panel where they lie, if they lie as they must.
    #[inline(always)]
    pub(crate) fn in_place<S: Simd>(
        &self,
        s: S,
        panel: usize,
        first: usize,
        len: usize,
    ) -> Option<&[f32]> {
        let width = 2 * S::LANES;
        match self {
            Right::Packed(packed) if let Cells::F32(_) = packed.cells => {
                Some(&packed.f32_panel(s, panel)[first * width..][..len * width])
            }
            Right::Pairs(packed) => {
                let pairs = &packed.bf16_panel(s, panel)[first * 2 * width..][..len * 2 * width];
                Some(bytemuck::cast_slice(pairs))
            }
            _ => None,
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
        if let Some(rows) = self.in_place(s, panel, first, len) {
            return rows;
        }
        let to = &mut to[..len * 2 * S::LANES];
        self.copy_block(s, panel, first, to);
        to
    }

    /// Writes rows of a panel from `first` on, with zeros beyond the last column.
    #[inline(always)]
    pub(crate) fn copy_block<S: Simd>(&self, s: S, panel: usize, first: usize, to: &mut [f32]) {
        let width = 2 * S::LANES;
        let start = panel * width;
        let columns = width.min(self.columns() - start);
        match *self {
            Right::Packed(packed) => copy::packed(s, packed, panel, first, to),
            Right::PackedTransposed(packed) => {
                copy::packed_transposed(s, packed, panel, first, columns, to);
            }
            Right::Pairs(packed) => {
                let pairs = &packed.bf16_panel(s, panel)[first * 2 * width..];
                to.copy_from_slice(bytemuck::cast_slice(&pairs[..2 * to.len()]));
            }
            Right::PairsTransposed(packed) => {
                copy::pairs_transposed(s, packed, panel, first, columns, to);
            }
            Right::Rows { data, rows, .. } => {
                copy::rows(s, &data[start..], rows, first, columns, to);
            }
            Right::Columns { data, depth, .. } => {
                copy::transposed(s, &data[start * depth + first..], depth, columns, to);
            }
        }
    }
}
