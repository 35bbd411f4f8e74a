//! The left factor: where its rows lie in memory.

/// A strided matrix of `rows` by `taps.len() * depth` values.
///
/// Row `r` starts at `(r / run) * jump + (r % run) * row`; its column
/// `tap * depth + d` lies `taps[tap] + d * step` behind that. So one type describes
/// a plain matrix, a transposed one, and the windows of a convolution over an image
/// (a run is a row of pixels, a tap one of the nine neighbours).
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    data: &'a [f32],
    rows: usize,
    run: usize,
    jump: usize,
    row: usize,
    taps: &'a [usize],
    depth: usize,
    step: usize,
}

impl<'a> Left<'a> {
    /// `[rows, depth]`, row after row.
    ///
    /// # Panics
    /// If `data` does not hold as many values.
    pub(crate) fn new(data: &'a [f32], rows: usize, depth: usize) -> Self {
        assert_eq!(data.len(), rows * depth, "{rows} rows of {depth}");
        Self { data, rows, run: rows.max(1), jump: 0, row: depth, taps: &[0], depth, step: 1 }
    }

    /// The transpose of `[depth, rows]`.
    ///
    /// # Panics
    /// If `data` does not hold as many values.
    pub(crate) fn transposed(data: &'a [f32], rows: usize, depth: usize) -> Self {
        assert_eq!(data.len(), rows * depth, "{depth} rows of {rows}");
        Self { data, rows, run: rows.max(1), jump: 0, row: 1, taps: &[0], depth, step: rows }
    }

    /// One row of ones.
    pub(crate) fn ones(depth: usize) -> Left<'static> {
        Left { data: &[1.0], rows: 1, run: 1, jump: 0, row: 0, taps: &[0], depth, step: 0 }
    }

    /// Rows of the product.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that lie at equal distances.
    pub(crate) fn run(&self) -> usize {
        self.run
    }

    /// Distance of two rows of a run.
    pub(crate) fn row_stride(&self) -> usize {
        self.row
    }

    /// Distance of two values of a row.
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    /// Number of taps.
    pub(crate) fn taps(&self) -> usize {
        self.taps.len()
    }

    /// Values of a row that belong to one tap.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The first of `count` rows of one run, at the `first`-th of `len` values of a tap.
    ///
    /// # Panics
    /// If any of the values lies outside the data.
    #[inline(always)]
    pub(crate) fn at(
        &self,
        row: usize,
        count: usize,
        tap: usize,
        first: usize,
        len: usize,
    ) -> *const f32 {
        debug_assert!(row % self.run + count <= self.run && row + count <= self.rows);
        let start = row / self.run * self.jump + row % self.run * self.row;
        let start = start + self.taps[tap] + first * self.step;
        let last = start + (count - 1) * self.row + (len - 1) * self.step;
        assert!(last < self.data.len(), "a row of the left factor ends outside its data");
        self.data[start..].as_ptr()
    }
}
