//! Packed matrices: what a frozen weight is kept as.

use half::bf16;
use rayon::prelude::*;

use super::right::Right;
use crate::scratch::Aligned;
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
/// f32: `[matrix][panel][depth][width]`; bf16, in pairs along the depth:
/// `[matrix][panel][depth / 2][width][2]`. A panel is two vectors of the level wide.
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
    pub(crate) cells: Cells<'a>,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    pub(crate) level: Level,
}

/// The values of [`PanelsView`].
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// Columns of a panel.
pub(crate) fn panel_width(level: Level) -> usize {
    2 * level.lanes()
}

impl Panels {
    /// Packs the matrices that `source` gives by their index, all of one shape, in
    /// parallel.
    pub(crate) fn pack<'a>(
        level: Level,
        precision: Precision,
        matrices: usize,
        source: impl Fn(usize) -> Right<'a> + Sync,
    ) -> Self {
        let first = source(0);
        let (depth, columns) = (first.depth(), first.columns());
        let panels = columns.div_ceil(panel_width(level));
        let one = depth * panel_width(level);
        let fill = |i: usize, to: &mut [f32]| {
            dispatch(level, Fill { right: source(i / panels), panel: i % panels, to });
        };
        let cells = match precision {
            Precision::F32 => {
                let mut data = Aligned::zeroed(matrices * panels * one);
                let chunks = data.par_chunks_exact_mut(one.max(1)).enumerate();
                chunks.for_each(|(i, to)| fill(i, to));
                Storage::F32(data)
            }
            Precision::Bf16 => {
                let paired = depth.next_multiple_of(2) * panel_width(level);
                let mut data = Aligned::zeroed(matrices * panels * paired);
                let chunks = data.par_chunks_exact_mut(paired.max(1)).enumerate();
                chunks.for_each_init(
                    || vec![0.0; one],
                    |wide, (i, to)| {
                        fill(i, wide);
                        pair_up(wide, panel_width(level), to);
                    },
                );
                Storage::Bf16(data)
            }
        };
        Self { cells, matrices, depth, columns, level }
    }

    /// The `i`-th matrix.
    pub(crate) fn matrix(&self, i: usize) -> PanelsView<'_> {
        assert!(i < self.matrices);
        let one = |len: usize| i * (len / self.matrices)..(i + 1) * (len / self.matrices);
        let cells = match &self.cells {
            Storage::F32(data) => Cells::F32(&data[one(data.len())]),
            Storage::Bf16(data) => Cells::Bf16(&data[one(data.len())]),
        };
        PanelsView { cells, depth: self.depth, columns: self.columns, level: self.level }
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

    /// How the values are stored.
    pub(crate) fn precision(&self) -> Precision {
        match self.cells {
            Storage::F32(_) => Precision::F32,
            Storage::Bf16(_) => Precision::Bf16,
        }
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.cells {
            Storage::F32(data) => size_of_val::<[f32]>(data),
            Storage::Bf16(data) => size_of_val::<[bf16]>(data),
        }
    }
}

/// Makes one whole panel.
struct Fill<'a, 'b> {
    right: Right<'a>,
    panel: usize,
    to: &'b mut [f32],
}

impl Kernel for Fill<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let depth = self.right.depth();
        self.right.copy_block(s, self.panel, 0, depth, self.to);
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
