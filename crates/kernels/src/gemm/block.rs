//! One thread's part of a product: a range of rows by a range of panels.

use std::ops::Range;

use super::DEPTH_BLOCK;
use super::arithmetic::MulAdd;
use super::left::Left;
use super::right::Right;
use super::rows::Rows;
use super::tile::{Factors, LINE, in_tiles, tile};
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::simd::Simd;

/// What the product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Base<'a> {
    /// Nothing.
    Zero,
    /// One value a column, as many as there are columns.
    Bias(&'a [f32]),
    /// What the result holds already.
    Out,
}

/// The result, shared between threads that write different parts of it.
#[derive(Clone, Copy)]
pub(crate) struct Out<'a> {
    data: Shared<'a, f32>,
    rows: Rows,
}

impl<'a> Out<'a> {
    /// Rows of values that lie side by side.
    pub(crate) fn new(data: &'a mut [f32], rows: Rows) -> Self {
        Self { data: Shared::new(data), rows }
    }

    /// Where `columns` values of each of `rows` rows of one run are to be written.
    ///
    /// # Panics
    /// If any of them lies outside.
    #[inline(always)]
    fn at(&self, row: usize, rows: usize, column: usize, columns: usize) -> *mut f32 {
        debug_assert!(row % self.rows.run + rows <= self.rows.run);
        let start = self.rows.at(row) + column;
        self.data.at(start, (rows - 1) * self.rows.row + columns)
    }
}

/// A product, to be computed part by part.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    /// `[rows, depth]`
    pub(crate) left: Left<'a>,
    /// `[depth, columns]` for each tap of the left factor.
    pub(crate) right: &'a [Right<'a>],
    /// `[rows, columns]`
    pub(crate) out: Out<'a>,
    /// What is added.
    pub(crate) base: Base<'a>,
}

impl Product<'_> {
    /// Columns of the result.
    pub(crate) fn columns(&self) -> usize {
        self.right[0].columns()
    }

    /// Cells of each sum.
    pub(crate) fn depth(&self) -> usize {
        self.left.taps.len() * self.left.depth
    }

    /// Whether the cells of the factors are pairs of bf16.
    pub(crate) fn is_pairs(&self) -> bool {
        self.right[0].is_pairs()
    }

    /// # Panics
    /// If the factors and the result do not fit each other.
    fn check(&self) {
        let Product { left, right, out, base } = self;
        assert_eq!(left.taps.len(), right.len(), "a matrix for each tap");
        assert!(right.iter().all(|r| r.depth() == left.depth), "the factors' depths");
        assert!(right.iter().all(|r| r.columns() == self.columns()), "columns");
        assert!(right.iter().all(|r| r.is_pairs() == self.is_pairs()), "one kind of cells");
        assert!(left.rows.count == out.rows.count && left.rows.run == out.rows.run, "rows");
        assert!(out.rows.are_apart(self.columns()), "rows of the result overlap");
        if let Base::Bias(bias) = base {
            assert_eq!(bias.len(), self.columns(), "a bias for each column");
        }
    }
}

/// Computes the given rows and panels of a product.
///
/// # Safety
/// No other thread may read or write that part of the result meanwhile.
#[inline(always)]
pub(crate) unsafe fn block<S: Simd, P: MulAdd<S>>(
    s: S,
    mul_add: P,
    product: &Product<'_>,
    rows: Range<usize>,
    panels: Range<usize>,
) {
    product.check();
    assert_eq!(product.is_pairs(), P::PAIRS, "the kind of cells");
    let depth = product.left.depth;
    let mut made = Scratch::take(DEPTH_BLOCK.min(depth) * 2 * S::LANES);
    for (tap, right) in product.right.iter().enumerate() {
        for first in (0..depth).step_by(DEPTH_BLOCK) {
            let len = DEPTH_BLOCK.min(depth - first);
            let base = if tap == 0 && first == 0 { product.base } else { Base::Out };
            let left = product.left.columns(tap, first, len);
            for panel in panels.clone() {
                let next = if panel + 1 < panels.end {
                    right.in_place(s, panel + 1, first, len)
                } else {
                    let first = if first + len < depth { first + len } else { 0 };
                    right.in_place(s, panels.start, first, len.min(depth - first))
                };
                let next = next.unwrap_or_default();
                let cells = right.block(s, panel, first, len, &mut made);
                let strip = Strip { product, left, base, panel, cells, next };
                // SAFETY: the caller vouches for this part of the result.
                unsafe { strip.rows(s, mul_add, rows.clone()) }
            }
        }
    }
}

/// A block of one panel, which a range of rows is multiplied with.
struct Strip<'a> {
    product: &'a Product<'a>,
    /// The block's columns of the left factor.
    left: Left<'a>,
    base: Base<'a>,
    panel: usize,
    cells: &'a [f32],
    /// The block that comes next, if it lies in memory already.
    next: &'a [f32],
}

impl Strip<'_> {
    /// The part of the next block that the tile at `row` asks the caches for.
    #[inline(always)]
    fn ahead(&self, row: usize, rows: &Range<usize>, height: usize) -> &[f32] {
        let tiles = rows.len().div_ceil(height);
        let part = (self.next.len() / LINE).div_ceil(tiles) * LINE;
        let start = ((row - rows.start) / height * part).min(self.next.len());
        &self.next[start..self.next.len().min(start + part)]
    }

    /// # Safety
    /// As for [`block`].
    #[inline(always)]
    unsafe fn rows<S: Simd, P: MulAdd<S>>(&self, s: S, mul_add: P, rows: Range<usize>) {
        let start = self.panel * 2 * S::LANES;
        let columns = (2 * S::LANES).min(self.product.columns() - start);
        // SAFETY: the caller vouches for the rows.
        unsafe {
            if columns > S::LANES {
                self.runs::<S, P, 2>(s, mul_add, rows, columns);
            } else {
                self.runs::<S, P, 1>(s, mul_add, rows, columns);
            }
        }
    }

    /// Tiles of falling height over each run of rows.
    ///
    /// # Safety
    /// As for [`block`].
    #[inline(always)]
    unsafe fn runs<S: Simd, P: MulAdd<S>, const N: usize>(
        &self,
        s: S,
        mul_add: P,
        rows: Range<usize>,
        columns: usize,
    ) {
        let mut row = rows.start;
        while row < rows.end {
            let end = self.product.out.rows.run_end(row, rows.end);
            in_tiles!(S, row, end, HEIGHT => {
                let ahead = self.ahead(row, &rows, S::TILE_ROWS);
                // SAFETY: the caller vouches for the rows.
                unsafe { self.tile::<S, P, HEIGHT, N>(s, mul_add, row, columns, ahead) }
            });
        }
    }

    /// # Safety
    /// As for [`block`].
    #[inline(always)]
    unsafe fn tile<S: Simd, P: MulAdd<S>, const R: usize, const N: usize>(
        &self,
        s: S,
        mul_add: P,
        row: usize,
        columns: usize,
        ahead: &[f32],
    ) {
        let (left, out) = (&self.left, &self.product.out);
        let factors = Factors {
            left: left.at(row, R),
            row: left.rows.row,
            step: left.step,
            right: self.cells.as_ptr(),
            len: left.depth,
        };
        assert!(self.cells.len() >= left.depth * 2 * S::LANES && columns <= N * S::LANES);
        let start = self.panel * 2 * S::LANES;
        let base = match self.base {
            Base::Bias(bias) => Base::Bias(&bias[start..][..columns]),
            base => base,
        };
        let to = out.at(row, R, start, columns);
        // SAFETY: `left.at` and the assertion cover what is read, `out.at` what is
        // written, and the caller vouches that nobody else is at it.
        unsafe {
            let sums = tile::<S, P, R, N>(s, mul_add, factors, ahead);
            finish(s, sums, base, to, out.rows.row, columns);
        }
    }
}

/// Adds the base to a tile of sums and writes `columns` of each row.
///
/// # Safety
/// `to` must be valid for that, and a bias hold `columns` values.
#[inline(always)]
unsafe fn finish<S: Simd, const R: usize, const N: usize>(
    s: S,
    sums: [[S::V; N]; R],
    base: Base<'_>,
    to: *mut f32,
    stride: usize,
    columns: usize,
) {
    for (r, sums) in sums.into_iter().enumerate() {
        for (i, sum) in sums.into_iter().enumerate() {
            let count = S::LANES.min(columns - i * S::LANES);
            // SAFETY: the caller vouches for `columns` values of each row.
            unsafe {
                let to = to.add(r * stride + i * S::LANES);
                if count == S::LANES {
                    let base = match base {
                        Base::Zero => s.zero(),
                        Base::Bias(bias) => s.load(bias.as_ptr().add(i * S::LANES)),
                        Base::Out => s.load(to),
                    };
                    s.store(to, s.add(base, sum));
                } else {
                    let base = match base {
                        Base::Zero => s.zero(),
                        Base::Bias(bias) => s.load_partial(bias.as_ptr().add(i * S::LANES), count),
                        Base::Out => s.load_partial(to, count),
                    };
                    s.store_partial(to, count, s.add(base, sum));
                }
            }
        }
    }
}
