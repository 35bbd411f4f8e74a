//! Linear layers: `y = x weight^T + bias`.
//!
//! Activations are `[rows, features]`, row after row; a weight is
//! `[outputs, inputs]`, as every weight file has it.

use rayon::prelude::*;

use crate::gemm::{Base, Left, Out, Panels, Precision, Product, Right, Rows, gemm};
use crate::scratch::Aligned;
use crate::simd::Level;

/// A frozen linear layer, packed once for the products that follow.
#[derive(Clone)]
pub struct PackedLinear {
    weight: Panels,
    bias: Option<Aligned<f32>>,
}

impl PackedLinear {
    /// Packs a weight `[outputs, inputs]` and a bias `[outputs]`.
    ///
    /// It holds one copy of the weight in the given precision, with the outputs
    /// rounded up to two vectors (32 with AVX-512). Both directions read that copy.
    ///
    /// # Panics
    /// If a slice does not have the size that the shape asks for, a side is zero, or
    /// the processor lacks the level.
    pub fn new(
        weight: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
        outputs: usize,
        level: Level,
        precision: Precision,
    ) -> Self {
        assert!(inputs > 0 && outputs > 0, "a linear layer of {inputs} by {outputs}");
        assert_eq!(weight.len(), inputs * outputs, "weight of {outputs} by {inputs}");
        let matrix = Right::Columns { data: weight, depth: inputs, columns: outputs };
        let bias = bias.map(|bias| {
            assert_eq!(bias.len(), outputs, "bias");
            Aligned::from_slice(bias)
        });
        Self { weight: Panels::pack_one(level, precision, matrix), bias }
    }

    /// Features of `x`.
    pub fn inputs(&self) -> usize {
        self.weight.depth()
    }

    /// Features of `y`.
    pub fn outputs(&self) -> usize {
        self.weight.columns()
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.as_ref().map_or(0, |bias| size_of_val::<[f32]>(bias))
    }

    /// `y = x weight^T + bias` for any number of rows.
    ///
    /// # Panics
    /// If `x` is not `[rows, inputs]` or `y` not `[rows, outputs]`.
    pub fn forward(&self, x: &[f32], y: &mut [f32]) {
        let base = self.bias.as_ref().map_or(Base::Zero, |bias| Base::Bias(bias));
        assert!(x.len().is_multiple_of(self.inputs()), "x: rows of {}", self.inputs());
        let (x, _) = self.weight.left_cells(x, self.inputs());
        multiply(self.weight.level(), &x, self.weight.right(0), y, base);
    }

    /// The gradient of the input, `dx = dy weight`.
    ///
    /// Panels of the transpose are made from the packed weight on the way, which
    /// takes about a twentieth of the time from 240 rows on, and more with fewer.
    ///
    /// # Panics
    /// If `dy` is not `[rows, outputs]` or `dx` not `[rows, inputs]`.
    pub fn backward_input(&self, dy: &[f32], dx: &mut [f32]) {
        assert!(dy.len().is_multiple_of(self.outputs()), "dy: rows of {}", self.outputs());
        let (dy, _) = self.weight.left_cells(dy, self.outputs());
        multiply(self.weight.level(), &dy, self.weight.right_transposed(0), dx, Base::Zero);
    }
}

/// `y = x weight^T + bias` with a weight that changes: it is packed on the way.
///
/// `x [rows, inputs]`, `weight [outputs, inputs]`, `bias [outputs]`,
/// `y [rows, outputs]`.
///
/// # Panics
/// If the slices' sizes do not fit.
pub fn linear(
    level: Level,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    inputs: usize,
    y: &mut [f32],
) {
    let columns = weight.len() / inputs;
    assert_eq!(weight.len(), columns * inputs, "weight of {columns} by {inputs}");
    let right = Right::Columns { data: weight, depth: inputs, columns };
    multiply(level, x, right, y, bias.map_or(Base::Zero, Base::Bias));
}

/// The gradient of [`linear`]'s input, `dx = dy weight`.
///
/// `dy [rows, outputs]`, `weight [outputs, inputs]`, `dx [rows, inputs]`.
///
/// # Panics
/// If the slices' sizes do not fit.
pub fn linear_backward_input(
    level: Level,
    dy: &[f32],
    weight: &[f32],
    inputs: usize,
    dx: &mut [f32],
) {
    let right = Right::rows(weight, weight.len() / inputs, inputs);
    multiply(level, dy, right, dx, Base::Zero);
}

/// The gradients of [`linear`]'s weight, `dw = dy^T x`, and bias, `db = sum of dy`'s
/// rows.
///
/// `x [rows, inputs]`, `dy [rows, outputs]`, `dw [outputs, inputs]`, `db [outputs]`;
/// what the gradients held before is overwritten.
///
/// # Panics
/// If the slices' sizes do not fit.
pub fn linear_weight_gradient(
    level: Level,
    x: &[f32],
    dy: &[f32],
    inputs: usize,
    dw: &mut [f32],
    db: Option<&mut [f32]>,
) {
    let rows = x.len() / inputs;
    let outputs = dw.len() / inputs;
    assert!(x.len() == rows * inputs && dy.len() == rows * outputs && dw.len() == outputs * inputs);
    if let Some(db) = db {
        sum_rows(dy, outputs, db);
    }
    if rows == 0 {
        return dw.fill(0.0);
    }
    let at_once = rows_in_cache(inputs + outputs);
    let parts = x.chunks(at_once * inputs).zip(dy.chunks(at_once * outputs));
    for (i, (x, dy)) in parts.enumerate() {
        let rows = x.len() / inputs;
        let left = Left::transposed(dy, outputs, rows);
        let right = [Right::rows(x, rows, inputs)];
        let out = Out::new(dw, Rows::even(outputs, inputs));
        let base = if i == 0 { Base::Zero } else { Base::Out };
        gemm(level, Product { left, right: &right, out, base });
    }
}

/// Rows of two factors that stay in the last-level cache together. The threads of a
/// product whose depth is longer read it in parts, or each would read all of it from
/// memory, at its own time.
pub(crate) fn rows_in_cache(values: usize) -> usize {
    const VALUES: usize = 1 << 21;
    const UNIT: usize = 640;
    (VALUES / values / UNIT).max(1) * UNIT
}

/// The sum of the rows of `[rows, columns]`, in blocks whose order is fixed.
pub(crate) fn sum_rows(matrix: &[f32], columns: usize, sum: &mut [f32]) {
    const BLOCK: usize = 128;
    assert!(sum.len() == columns && matrix.len().is_multiple_of(columns));
    let add = |sum: &mut [f32], row: &[f32]| sum.iter_mut().zip(row).for_each(|(s, r)| *s += r);
    let blocks: Vec<Vec<f32>> = matrix
        .par_chunks(BLOCK * columns)
        .map(|rows| {
            let mut sum = vec![0.0; columns];
            rows.chunks_exact(columns).for_each(|row| add(&mut sum, row));
            sum
        })
        .collect();
    sum.fill(0.0);
    blocks.iter().for_each(|block| add(sum, block));
}

/// `out = base + left right` for plain rows.
fn multiply(level: Level, left: &[f32], right: Right<'_>, out: &mut [f32], base: Base<'_>) {
    let rows = left.len() / right.depth();
    assert_eq!(left.len(), rows * right.depth(), "{rows} rows of {}", right.depth());
    assert_eq!(out.len(), rows * right.columns(), "{rows} rows of {}", right.columns());
    let left = Left::new(left, rows, right.depth(), right.depth());
    let out = Out::new(out, Rows::even(rows, right.columns()));
    gemm(level, Product { left, right: &[right], out, base });
}
