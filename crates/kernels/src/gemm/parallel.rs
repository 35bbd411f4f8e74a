//! Handing parts of a product to threads.

use std::ops::Range;

use rayon::prelude::*;

use super::arithmetic::{MulAdd, ProductKernel, dispatch_product};
use super::block::{Product, block};
use super::panels::panel_width;
use crate::simd::{Level, Simd};

/// Rows of a part at most: a block of them (600 KiB) stays in the second-level cache
/// while one panel after another meets it. A multiple of every tile's height.
const ROW_BLOCK: usize = 240;

/// Parts made for each thread, so that one that was held up can be helped.
const PARTS_PER_THREAD: usize = 4;

/// Multiply-adds below which a part is not worth handing over.
const LEAST_WORK: usize = 1 << 17;

/// Computes a product with all threads.
///
/// # Panics
/// If the factors' sizes do not fit each other or the result.
pub(crate) fn gemm(level: Level, product: Product<'_>) {
    let parts = Parts::new(level, &product, rayon::current_num_threads());
    let work = |i: usize| {
        let (rows, panels) = parts.part(i);
        dispatch_product(level, product.is_pairs(), Part { product: &product, rows, panels });
    };
    match parts.count() {
        1 => work(0),
        count => (0..count).into_par_iter().with_max_len(1).for_each(work),
    }
}

struct Part<'a> {
    product: &'a Product<'a>,
    rows: Range<usize>,
    panels: Range<usize>,
}

impl ProductKernel for Part<'_> {
    #[inline(always)]
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, mul_add: P) {
        // SAFETY: the parts of a product do not overlap.
        unsafe { block(s, mul_add, self.product, self.rows, self.panels) }
    }
}

/// A grid of parts over rows and panels.
struct Parts {
    rows: usize,
    panels: usize,
    row_parts: usize,
    panel_parts: usize,
    /// Parts begin at multiples of this.
    unit: usize,
}

impl Parts {
    fn new(level: Level, product: &Product<'_>, threads: usize) -> Self {
        let (rows, columns) = (product.left.rows.count, product.columns());
        let panels = columns.div_ceil(panel_width(level));
        let run = product.left.rows.run;
        let unit = if run < rows && run <= ROW_BLOCK { run } else { 12 };
        let row_parts = rows.div_ceil(ROW_BLOCK / unit * unit);
        let work = rows * columns * product.depth();
        let wanted = (threads * PARTS_PER_THREAD).min(work / LEAST_WORK).max(1);
        let panel_parts = wanted.div_ceil(row_parts.max(1)).min(panels);
        Self { rows, panels, row_parts, panel_parts, unit }
    }

    fn count(&self) -> usize {
        self.row_parts * self.panel_parts
    }

    /// Parts of almost equal size.
    fn part(&self, i: usize) -> (Range<usize>, Range<usize>) {
        let units = self.rows.div_ceil(self.unit);
        let rows = share(units, self.row_parts, i / self.panel_parts);
        let rows = rows.start * self.unit..(rows.end * self.unit).min(self.rows);
        (rows, share(self.panels, self.panel_parts, i % self.panel_parts))
    }
}

/// The `i`-th of `parts` shares of `0..total`.
pub(crate) fn share(total: usize, parts: usize, i: usize) -> Range<usize> {
    total * i / parts..total * (i + 1) / parts
}
