//! Where the rows of a matrix lie in memory.

/// Offsets of rows: equally spaced in runs, runs in lines of an image, images.
///
/// A plain matrix is one run. The windows of a convolution over an image are one run
/// for each line of pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// Rows in all.
    pub(crate) count: usize,
    /// Rows of a run.
    pub(crate) run: usize,
    /// From one row of a run to the next.
    pub(crate) row: usize,
    /// Runs of an image.
    pub(crate) lines: usize,
    /// From one run of an image to the next.
    pub(crate) line: usize,
    /// From one image to the next.
    pub(crate) image: usize,
}

impl Rows {
    /// Rows at equal distances.
    pub(crate) fn even(count: usize, stride: usize) -> Self {
        Self { count, run: count.max(1), row: stride, lines: 1, line: 0, image: 0 }
    }

    /// The offset of a row.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize) -> usize {
        let (run, x) = (row / self.run, row % self.run);
        run / self.lines * self.image + run % self.lines * self.line + x * self.row
    }

    /// Whether `columns` values of each row lie apart from those of all others.
    pub(crate) fn are_apart(&self, columns: usize) -> bool {
        let run = (self.run - 1) * self.row + columns;
        let image = (self.lines - 1) * self.line + run;
        (self.count.min(self.run) <= 1 || self.row >= columns)
            && (self.count <= self.run || self.lines == 1 || self.line >= run)
            && (self.count <= self.run * self.lines || self.image >= image)
    }

    /// The rows from `row` on that lie in its run, as far as `end`.
    #[inline(always)]
    pub(crate) fn run_end(&self, row: usize, end: usize) -> usize {
        end.min((row / self.run + 1) * self.run)
    }
}
