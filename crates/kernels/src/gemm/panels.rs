//! Packed matrices: what a frozen weight is kept as.

use std::ops::Deref;

use half::bf16;
use rayon::prelude::*;

use super::arithmetic::has_pairs;
use super::pairs::round_to_pairs;
use super::right::Right;
use crate::scratch::{Aligned, Scratch};
use crate::simd::{Kernel, Level, Simd, dispatch};

/// How a frozen weight is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floats, products and sums alike.
    #[default]
    F32,
    /// Weights rounded to bfloat16 (8 bits of mantissa), sums in f32.
    ///
    /// Halves the memory. Where the processor multiplies pairs of bf16 (AVX-512
    /// BF16) the activations are rounded too, and products take half the time;
    /// elsewhere the weights are widened on the way and activations stay f32.
    Bf16,
}

/// Matrices of one shape packed in panels.
///
/// f32: `[panel][matrix][depth][width]`; bf16, in pairs along the depth:
/// `[panel][matrix][depth / 2][width][2]`. A panel is two vectors of the level wide.
/// What lies beyond the last column, and behind an odd depth, is zero.
#[derive(Clone)]
pub(crate) struct Panels {
    cells: Storage,
    matrices: usize,
    depth: usize,
    columns: usize,
    level: Level,
}

#[derive(Clone)]
enum Storage {
    F32(Aligned<f32>),
    Bf16(Aligned<bf16>),
}

/// One matrix of [`Panels`].
#[derive(Clone, Copy)]
pub(crate) struct PanelsView<'a> {
    /// All matrices' values.
    pub(super) cells: Cells<'a>,
    /// Which matrix, of how many.
    matrix: (usize, usize),
    pub(super) depth: usize,
    pub(super) columns: usize,
    level: Level,
}

/// The values of [`PanelsView`].
#[derive(Clone, Copy)]
pub(super) enum Cells<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// The cells of a left factor: as they are, or rounded to pairs of bf16.
pub(crate) enum LeftCells<'a> {
    Plain(&'a [f32]),
    Pairs(Scratch<f32>),
}

impl Deref for LeftCells<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            LeftCells::Plain(values) => values,
            LeftCells::Pairs(cells) => cells,
        }
    }
}

impl<'a> PanelsView<'a> {
    /// The rows of a panel.
    ///
    /// # Panics
    /// If the matrix is not stored as f32, or for another level.
    #[inline(always)]
    pub(super) fn f32_panel<S: Simd>(&self, _: S, panel: usize) -> &'a [f32] {
        assert_eq!(self.level, S::LEVEL, "packed for another level");
        let Cells::F32(cells) = self.cells else { panic!("stored as bf16") };
        let len = self.depth * 2 * S::LANES;
        &cells[(panel * self.matrix.1 + self.matrix.0) * len..][..len]
    }

    /// The pairs of rows of a panel.
    ///
    /// # Panics
    /// If the matrix is not stored as bf16, or for another level.
    #[inline(always)]
    pub(super) fn bf16_panel<S: Simd>(&self, _: S, panel: usize) -> &'a [bf16] {
        assert_eq!(self.level, S::LEVEL, "packed for another level");
        let Cells::Bf16(cells) = self.cells else { panic!("stored as f32") };
        let len = self.depth.next_multiple_of(2) * 2 * S::LANES;
        &cells[(panel * self.matrix.1 + self.matrix.0) * len..][..len]
    }
}

/// Columns of a panel.
pub(crate) fn panel_width(level: Level) -> usize {
    2 * level.lanes()
}

impl Panels {
    /// Packs matrices of one shape in parallel: `fill` is given the index of a panel
    /// and the panel, `[matrix][depth][width]`, all zeros; those beyond the last column
    /// it leaves.
    pub(crate) fn pack(
        level: Level,
        precision: Precision,
        [matrices, depth, columns]: [usize; 3],
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let width = panel_width(level);
        let panels = columns.div_ceil(width);
        let one = matrices * depth * width;
        let cells = match precision {
            Precision::F32 => {
                let mut data = Aligned::zeroed(panels * one);
                data.par_chunks_exact_mut(one).enumerate().for_each(|(i, to)| fill(i, to));
                Storage::F32(data)
            }
            Precision::Bf16 => {
                let paired = depth.next_multiple_of(2) * width;
                let mut data = Aligned::zeroed(panels * matrices * paired);
                let chunks = data.par_chunks_exact_mut(matrices * paired).enumerate();
                chunks.for_each(|(i, to)| {
                    let mut wide = Scratch::take(one);
                    wide.fill(0.0);
                    fill(i, &mut wide);
                    let wide = wide.chunks_exact(depth * width);
                    wide.zip(to.chunks_exact_mut(paired))
                        .for_each(|(wide, to)| pair_up(wide, width, to));
                });
                Storage::Bf16(data)
            }
        };
        Self { cells, matrices, depth, columns, level }
    }

    /// Packs one matrix.
    pub(crate) fn pack_one(level: Level, precision: Precision, right: Right<'_>) -> Self {
        let shape = [1, right.depth(), right.columns()];
        Self::pack(level, precision, shape, |panel, to| {
            dispatch(level, CopyPanel { right, panel, to });
        })
    }

    /// The `i`-th matrix as the right factor of a product.
    pub(crate) fn right(&self, i: usize) -> Right<'_> {
        let view = self.view(i);
        if self.is_pairs() { Right::Pairs(view) } else { Right::Packed(view) }
    }

    /// The transpose of the `i`-th matrix as the right factor of a product.
    pub(crate) fn right_transposed(&self, i: usize) -> Right<'_> {
        let view = self.view(i);
        if self.is_pairs() { Right::PairsTransposed(view) } else { Right::PackedTransposed(view) }
    }

    fn view(&self, i: usize) -> PanelsView<'_> {
        assert!(i < self.matrices);
        let cells = match &self.cells {
            Storage::F32(data) => Cells::F32(data),
            Storage::Bf16(data) => Cells::Bf16(data),
        };
        let Self { matrices, depth, columns, level, .. } = *self;
        PanelsView { cells, matrix: (i, matrices), depth, columns, level }
    }

    /// `[rows, depth]` as a left factor must be for these matrices, and how many cells
    /// a row has then.
    pub(crate) fn left_cells<'a>(&self, rows: &'a [f32], depth: usize) -> (LeftCells<'a>, usize) {
        if self.is_pairs() {
            (LeftCells::Pairs(round_to_pairs(self.level, rows, depth)), depth.div_ceil(2))
        } else {
            (LeftCells::Plain(rows), depth)
        }
    }

    /// Rows of a matrix, the terms of each sum.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of a matrix.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The level whose vectors set the width of the panels.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Whether products read it as pairs of bf16, for which the left factor must be
    /// rounded to pairs too.
    pub(crate) fn is_pairs(&self) -> bool {
        matches!(self.cells, Storage::Bf16(_)) && has_pairs(self.level)
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.cells {
            Storage::F32(data) => size_of_val::<[f32]>(data),
            Storage::Bf16(data) => size_of_val::<[bf16]>(data),
        }
    }
}

/// Makes one whole panel of a matrix.
struct CopyPanel<'a, 'b> {
    right: Right<'a>,
    panel: usize,
    to: &'b mut [f32],
}

impl Kernel for CopyPanel<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.right.copy_block(s, self.panel, 0, self.to);
    }
}

/// Rounds rows of a panel to bf16 and lays each two of them together, value by value.
fn pair_up(rows: &[f32], width: usize, pairs: &mut [bf16]) {
    for (two, pairs) in rows.chunks(2 * width).zip(pairs.chunks_exact_mut(2 * width)) {
        for (half, row) in two.chunks_exact(width).enumerate() {
            for (value, pair) in row.iter().zip(pairs.chunks_exact_mut(2)) {
                pair[half] = bf16::from_f32(*value);
            }
        }
    }
}
