//! Making a block of a panel from the ways a matrix is stored.

use super::panels::{Cells, PanelsView};
use super::rows::Rows;
use super::tile::LINE;
use crate::elementwise::load_up_to;
use crate::simd::{MAX_LANES, Simd};

/// Columns of the widest panel.
const MAX_WIDTH: usize = 2 * MAX_LANES;

/// Copies `columns` values of rows from `first` on; the rest of the panel becomes zero.
#[inline(always)]
pub(super) fn rows<S: Simd>(
    s: S,
    from: &[f32],
    rows: Rows,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    let width = 2 * S::LANES;
    let mut to = to.chunks_exact_mut(width);
    let mut row = first;
    while to.len() > 0 {
        let end = rows.run_end(row, row + to.len());
        let from = &from[rows.at(row)..];
        for (i, to) in to.by_ref().take(end - row).enumerate() {
            let from = &from[i * rows.row..][..columns];
            for lane in [0, S::LANES] {
                // SAFETY: `from` has `columns` values, of which those that fall into
                // this vector are read, and `to` has two vectors.
                unsafe {
                    let count = S::LANES.min(columns.saturating_sub(lane));
                    let values = load_up_to(s, from.as_ptr().wrapping_add(lane), count);
                    s.store(to.as_mut_ptr().add(lane), values);
                }
            }
        }
        row = end;
    }
}

/// Lays `count` rows of the source, `stride` apart, into the columns of a panel; its
/// other columns become zero.
#[inline(always)]
pub(crate) fn transposed<S: Simd>(s: S, from: &[f32], stride: usize, count: usize, to: &mut [f32]) {
    let width = 2 * S::LANES;
    let len = to.len() / width;
    assert!(count <= width && (count == 0 || from.len() >= (count - 1) * stride + len));
    let (whole_count, whole_len) = (count - count % S::LANES, len - len % S::LANES);
    for column in (0..whole_count).step_by(S::LANES) {
        for row in (0..whole_len).step_by(S::LANES) {
            // SAFETY: the square lies within the `count` by `len` values of the source
            // and the `len` rows of the panel, checked above.
            unsafe {
                let from = from.as_ptr().add(column * stride + row);
                let to = to.as_mut_ptr().add(row * width + column);
                s.transpose(from, stride, to, width);
            }
        }
    }
    if whole_len == len && whole_count == width {
        return;
    }
    for (row, to) in to.chunks_exact_mut(width).enumerate() {
        let done = if row < whole_len { whole_count } else { 0 };
        for (column, to) in to.iter_mut().enumerate().skip(done) {
            *to = if column < count { from[column * stride + row] } else { 0.0 };
        }
    }
}

/// Rows of a packed matrix from `first` on, widened if need be.
#[inline(always)]
pub(super) fn packed<S: Simd>(
    s: S,
    view: PanelsView<'_>,
    panel: usize,
    first: usize,
    to: &mut [f32],
) {
    let width = 2 * S::LANES;
    match view.cells {
        Cells::F32(_) => {
            to.copy_from_slice(&view.f32_panel(s, panel)[first * width..][..to.len()]);
        }
        Cells::Bf16(_) => {
            assert!(first.is_multiple_of(2), "blocks begin with a pair");
            let pairs = &view.bf16_panel(s, panel)[first * width..];
            for (to, pairs) in to.chunks_mut(2 * width).zip(pairs.chunks_exact(2 * width)) {
                widen(s, pairs, to);
            }
        }
    }
}

/// Two rows of a panel, or the first alone, from their pairs.
#[inline(always)]
fn widen<S: Simd>(s: S, pairs: &[half::bf16], to: &mut [f32]) {
    let width = 2 * S::LANES;
    assert!(pairs.len() == 2 * width && (to.len() == width || to.len() == 2 * width));
    for lane in (0..width).step_by(S::LANES) {
        // SAFETY: the lengths were just checked.
        unsafe {
            let (even, odd) = s.load_bf16_pairs(pairs.as_ptr().add(2 * lane));
            s.store(to.as_mut_ptr().add(lane), even);
            if to.len() == 2 * width {
                s.store(to.as_mut_ptr().add(width + lane), odd);
            }
        }
    }
}

/// Rows from `first` of a panel of the transpose: `columns` rows of the packed matrix
/// that begin at `panel`, square by square.
#[inline(always)]
pub(super) fn packed_transposed<S: Simd>(
    s: S,
    view: PanelsView<'_>,
    panel: usize,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    let width = 2 * S::LANES;
    assert!(first.is_multiple_of(width), "blocks begin with a panel");
    let squares = to.len().div_ceil(width * width);
    for (i, to) in to.chunks_mut(width * width).enumerate() {
        let source = first / width + i;
        match view.cells {
            Cells::F32(_) => {
                // Squares are a page each, where the processor's own guesses end.
                if i + 1 < squares {
                    ask_for_square(s, view, source + 1, panel);
                } else {
                    ask_for_square(s, view, first / width, panel + 1);
                }
                let square = &view.f32_panel(s, source)[panel * width * width..];
                transposed(s, square, width, columns, to);
            }
            Cells::Bf16(_) => {
                let mut square = [0.0; MAX_WIDTH * MAX_WIDTH];
                packed(s, view, source, panel * width, &mut square[..columns * width]);
                transposed(s, &square, width, columns, to);
            }
        }
    }
}

/// Asks the caches for a square of a packed matrix, if there is one.
#[inline(always)]
fn ask_for_square<S: Simd>(s: S, view: PanelsView<'_>, source: usize, panel: usize) {
    let width = 2 * S::LANES;
    if source * width < view.columns && panel * width < view.depth {
        let rows = &view.f32_panel(s, source)[panel * width * width..];
        for line in rows.chunks(LINE).take(width * width / LINE) {
            s.prefetch(line.as_ptr());
        }
    }
}

/// Pairs of rows from the `first` pair on of a panel of the transpose.
///
/// The packed pairs lie along its columns: as cells of four bytes they are transposed,
/// then the halves of each two rows are laid together.
#[inline(always)]
pub(super) fn pairs_transposed<S: Simd>(
    s: S,
    view: PanelsView<'_>,
    panel: usize,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    let (width, lanes) = (2 * S::LANES, S::LANES);
    assert!(first.is_multiple_of(lanes), "blocks begin with a panel");
    for (i, to) in to.chunks_mut(lanes * width).enumerate() {
        let packed = view.bf16_panel(s, first / lanes + i);
        let packed: &[f32] = bytemuck::cast_slice(&packed[panel * width * width..]);
        let mut square = [0.0; MAX_WIDTH * MAX_LANES];
        square_of_pairs(s, packed, columns.div_ceil(2), &mut square[..width * lanes]);
        for (two, to) in square.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            let (even, odd) = bytemuck::cast_slice::<f32, u16>(two).split_at(width);
            let to = bytemuck::cast_slice_mut::<f32, u16>(to).chunks_exact_mut(2);
            for ((even, odd), to) in even.iter().zip(odd).zip(to) {
                to.copy_from_slice(&[*even, *odd]);
            }
        }
    }
}

/// Transposes `count` rows of a panel's cells, at most as many as lanes, into rows of as
/// many cells as lanes.
#[inline(always)]
fn square_of_pairs<S: Simd>(s: S, from: &[f32], count: usize, to: &mut [f32]) {
    let (width, lanes) = (2 * S::LANES, S::LANES);
    assert!(count <= lanes && from.len() >= count * width && to.len() == width * lanes);
    if count == lanes {
        for half in [0, lanes] {
            // SAFETY: `lanes` rows of `width` cells, and as many columns to write.
            unsafe {
                let to = to.as_mut_ptr().add(half * lanes);
                s.transpose(from.as_ptr().add(half), width, to, lanes);
            }
        }
        return;
    }
    for (column, to) in to.chunks_exact_mut(lanes).enumerate() {
        for (row, to) in to.iter_mut().enumerate().take(count) {
            *to = from[row * width + column];
        }
    }
}
