//! Laying queries, keys and values the way the products read them.

use rayon::prelude::*;

use super::keys::UsableKeys;
use super::shape::Attention;
use crate::elementwise::{load_up_to, store_up_to};
use crate::gemm::{MulAdd, ProductKernel};
use crate::scratch::Scratch;
use crate::simd::{MAX_LANES, Simd};

/// Which values share a cell where a cell holds two.
#[derive(Clone, Copy)]
pub(super) enum Along {
    /// Neighbouring channels: `[key][width / VALUES]`, for sums over channels.
    Channels,
    /// Neighbouring keys: `[key / VALUES][width]`, for sums over keys.
    Keys,
}

/// The usable keys (or their values) of all rows and heads.
pub(super) struct Heads {
    cells: Scratch<f32>,
    /// Cells of one head.
    len: usize,
    heads: usize,
}

impl Heads {
    /// Packs `[key_batch, keys, channels]` in parallel.
    pub(super) fn pack(
        how: &Attention<'_>,
        usable: &[UsableKeys],
        data: &[f32],
        along: Along,
    ) -> Self {
        let len = match along {
            Along::Channels => how.keys * how.cells(how.width),
            Along::Keys => how.cells(how.keys) * how.width,
        };
        let mut cells = Scratch::take(how.key_batch * how.heads * len);
        cells.par_chunks_mut(len).enumerate().for_each(|(i, to)| {
            let (row, head) = (i / how.heads, i % how.heads);
            let kept = usable[row].kept();
            let row = &data[row * how.keys * how.channels()..][..how.keys * how.channels()];
            how.launch(PackHead { how, kept, along, from: &row[head * how.width..], to });
        });
        Self { cells, len, heads: how.heads }
    }

    /// The cells of one head.
    pub(super) fn head(&self, key_row: usize, head: usize) -> &[f32] {
        &self.cells[(key_row * self.heads + head) * self.len..][..self.len]
    }
}

struct PackHead<'a> {
    how: &'a Attention<'a>,
    kept: &'a [usize],
    along: Along,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl ProductKernel for PackHead<'_> {
    #[inline(always)]
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, p: P) {
        let (width, stride) = (self.how.width, self.how.channels());
        let row = |key: usize| &self.from[key * stride..][..width];
        match self.along {
            Along::Channels => {
                let rows = self.to.chunks_exact_mut(width.div_ceil(P::VALUES));
                for (&key, to) in self.kept.iter().zip(rows) {
                    neighbours(s, p, row(key), to);
                }
            }
            Along::Keys => {
                let rows = self.to.chunks_exact_mut(width);
                for (keys, to) in self.kept.chunks(P::VALUES).zip(rows) {
                    joined(s, p, row(keys[0]), keys.get(1).map(|&key| row(key)), to);
                }
            }
        }
    }
}

/// Writes a row as cells of neighbours; an odd last one is paired with zero.
#[inline(always)]
fn neighbours<S: Simd, P: MulAdd<S>>(s: S, p: P, from: &[f32], to: &mut [f32]) {
    let chunks = from.chunks(S::LANES).zip(to.chunks_mut(S::LANES / P::VALUES));
    for (from, to) in chunks {
        // SAFETY: a chunk of `from` has at most LANES values; what a whole vector
        // makes fits the array, and `to` if `from` is whole.
        unsafe {
            let values = load_up_to(s, from.as_ptr(), from.len());
            if from.len() == S::LANES {
                p.store_cells(s, to.as_mut_ptr(), values);
            } else {
                let mut cells = [0.0; MAX_LANES];
                p.store_cells(s, cells.as_mut_ptr(), values);
                to.copy_from_slice(&cells[..to.len()]);
            }
        }
    }
}

/// Joins the values of two rows, or of one and zeros, place by place.
#[inline(always)]
fn joined<S: Simd, P: MulAdd<S>>(s: S, p: P, a: &[f32], b: Option<&[f32]>, to: &mut [f32]) {
    let len = to.len();
    assert!(a.len() == len && b.is_none_or(|b| b.len() == len));
    for i in (0..len).step_by(S::LANES) {
        let count = S::LANES.min(len - i);
        // SAFETY: `count` values are left behind `i` in rows of `len`.
        unsafe {
            let b = b.map_or(s.zero(), |b| load_up_to(s, b.as_ptr().add(i), count));
            let cells = p.join(s, load_up_to(s, a.as_ptr().add(i), count), b);
            store_up_to(s, to.as_mut_ptr().add(i), count, cells);
        }
    }
}

/// Lays up to a panel of queries into lanes: `[width / VALUES][2 LANES]`, times
/// `scale`. Lanes beyond `count` are zero.
///
/// `from` begins with the first query's first channel; `to` holds `width` rows of a
/// panel, of which the first are left filled.
#[inline(always)]
pub(super) fn in_lanes<S: Simd, P: MulAdd<S>>(
    s: S,
    p: P,
    from: &[f32],
    stride: usize,
    count: usize,
    scale: f32,
    to: &mut [f32],
) {
    let panel = 2 * S::LANES;
    let rows = to.len() / panel;
    assert!(count <= panel && from.len() > (count - 1) * stride + rows - 1);
    for lane in (0..panel).step_by(S::LANES) {
        let queries = S::LANES.min(count.saturating_sub(lane));
        for row in (0..rows).step_by(S::LANES) {
            let channels = S::LANES.min(rows - row);
            // SAFETY: the part has `queries` rows of `channels` values that exist, and
            // its transpose lies within the panel. No pointer is used for no queries.
            unsafe {
                let from = from.as_ptr().wrapping_add(lane * stride + row);
                let to = to.as_mut_ptr().add(row * panel + lane);
                transpose_part(s, from, stride, (queries, channels), to, panel, S::LANES);
            }
        }
    }
    let scale = s.splat(scale);
    let to = to.as_mut_ptr();
    for row in (0..rows).step_by(P::VALUES) {
        for lane in (0..panel).step_by(S::LANES) {
            // SAFETY: the rows lie in `to`; a cell is written where its values, or
            // those before them, were read.
            unsafe {
                let value = |row: usize| match row < rows {
                    true => s.mul(s.load(to.add(row * panel + lane)), scale),
                    false => s.zero(),
                };
                let second = if P::VALUES == 2 { value(row + 1) } else { s.zero() };
                let cells = p.join(s, value(row), second);
                s.store(to.add(row / P::VALUES * panel + lane), cells);
            }
        }
    }
}

/// Lays the channels of `count` queries into lanes, panel by panel:
/// `[width / (2 LANES)][rows][2 LANES]` with a row for each `VALUES` queries and room
/// for more.
#[inline(always)]
pub(super) fn in_rows<S: Simd, P: MulAdd<S>>(
    s: S,
    p: P,
    from: &[f32],
    stride: usize,
    (count, width): (usize, usize),
    rows: usize,
    to: &mut [f32],
) {
    let panel = 2 * S::LANES;
    assert!(count.div_ceil(P::VALUES) <= rows && width <= stride);
    for (i, to) in to.chunks_exact_mut(rows * panel).enumerate() {
        let columns = panel.min(width - i * panel);
        let row = |query: usize| &from[query * stride + i * panel..][..columns];
        for (first, to) in (0..count).step_by(P::VALUES).zip(to.chunks_exact_mut(panel)) {
            let second = (P::VALUES == 2 && first + 1 < count).then(|| row(first + 1));
            let (filled, beyond) = to.split_at_mut(columns);
            joined(s, p, row(first), second, filled);
            beyond.fill(0.0);
        }
    }
}

/// Writes the first `count` lanes of a panel back as rows of `width` channels.
///
/// # Safety
/// `to` must be valid for writing `width` values of each of `count` rows, `stride`
/// apart.
#[inline(always)]
pub(super) unsafe fn out_of_lanes<S: Simd>(
    s: S,
    from: &[f32],
    count: usize,
    to: *mut f32,
    stride: usize,
) {
    let panel = 2 * S::LANES;
    let width = from.len() / panel;
    for lane in (0..count).step_by(S::LANES) {
        let queries = S::LANES.min(count - lane);
        for channel in (0..width).step_by(S::LANES) {
            let channels = S::LANES.min(width - channel);
            // SAFETY: all lanes of the panel's rows exist, and what is written lies
            // within what the caller vouches for.
            unsafe {
                let from = from.as_ptr().add(channel * panel + lane);
                let to = to.add(lane * stride + channel);
                transpose_part(s, from, panel, (channels, queries), to, stride, channels);
            }
        }
    }
}

/// Transposes up to a square of `rows` by `columns` values. Of each column, `written`
/// values are written (which are all rows at least): zeros behind the last row.
///
/// # Safety
/// The rows must be valid for reading at `from`, and as many rows as there are
/// columns for writing `written` values at `to`; the two must not overlap.
#[inline(always)]
unsafe fn transpose_part<S: Simd>(
    s: S,
    from: *const f32,
    from_stride: usize,
    (rows, columns): (usize, usize),
    to: *mut f32,
    to_stride: usize,
    written: usize,
) {
    if rows == S::LANES && columns == S::LANES {
        // SAFETY: a whole square, as the caller vouches.
        return unsafe { s.transpose(from, from_stride, to, to_stride) };
    }
    let mut square = [0.0; MAX_LANES * MAX_LANES];
    let mut turned = [0.0; MAX_LANES * MAX_LANES];
    // SAFETY: as the caller vouches; the arrays hold any square.
    unsafe {
        for row in 0..rows {
            let values = load_up_to(s, from.add(row * from_stride), columns);
            s.store(square.as_mut_ptr().add(row * S::LANES), values);
        }
        s.transpose(square.as_ptr(), S::LANES, turned.as_mut_ptr(), S::LANES);
        for column in 0..columns {
            let values = s.load(turned.as_ptr().add(column * S::LANES));
            store_up_to(s, to.add(column * to_stride), written, values);
        }
    }
}
