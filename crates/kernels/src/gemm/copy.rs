//! Making a block of a panel from the ways a matrix is stored.

use super::panels::{Cells, PanelsView};
use super::rows::Rows;
use crate::simd::{MAX_LANES, Simd};

/// Columns of the widest panel.
const MAX_WIDTH: usize = 2 * MAX_LANES;

/// Copies `columns` values of rows from `first` on; the rest of the panel becomes zero.
#[inline(always)]
pub(super) fn rows(
    from: &[f32],
    rows: Rows,
    first: usize,
    columns: usize,
    width: usize,
    to: &mut [f32],
) {
    let mut to = to.chunks_exact_mut(width);
    let mut row = first;
    while to.len() > 0 {
        let end = rows.run_end(row, row + to.len());
        let from = &from[rows.at(row)..];
        for (i, to) in to.by_ref().take(end - row).enumerate() {
            let (filled, beyond) = to.split_at_mut(columns);
            filled.copy_from_slice(&from[i * rows.row..][..columns]);
            beyond.fill(0.0);
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
    for (i, to) in to.chunks_mut(width * width).enumerate() {
        let source = first / width + i;
        match view.cells {
            Cells::F32(_) => {
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

/// Pairs of rows from the `first` pair on of a panel of the transpose.
#[inline(always)]
pub(super) fn pairs_transposed<S: Simd>(
    s: S,
    view: PanelsView<'_>,
    panel: usize,
    first: usize,
    columns: usize,
    to: &mut [f32],
) {
    let width = 2 * S::LANES;
    for (i, to) in to.chunks_mut(S::LANES * width).enumerate() {
        let mut square = [0.0; MAX_WIDTH * MAX_WIDTH];
        let square = &mut square[..2 * to.len()];
        packed_transposed(s, view, panel, 2 * first + i * width, columns, square);
        for (two, pairs) in square.chunks_exact(2 * width).zip(to.chunks_exact_mut(width)) {
            let (even, odd) = two.split_at(width);
            for ((even, odd), pair) in even.iter().zip(odd).zip(pairs) {
                // The lower halves are zero: these values came from bf16.
                *pair = f32::from_bits(even.to_bits() >> 16 | odd.to_bits());
            }
        }
    }
}
