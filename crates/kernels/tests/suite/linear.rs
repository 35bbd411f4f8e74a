use kernels::{
    Level, PackedLinear, Precision, linear, linear_backward_input, linear_weight_gradient,
};
use proptest::prelude::*;

use crate::support::{assert_close, values};

/// `[rows, outputs] = [rows, depth] [depth, outputs]`, element `(i, j)` of either factor
/// given by a function.
fn product(
    (rows, depth, outputs): (usize, usize, usize),
    left: impl Fn(usize, usize) -> f32,
    right: impl Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let sum = |r, c| (0..depth).map(|d| f64::from(left(r, d)) * f64::from(right(d, c))).sum();
    (0..rows).flat_map(|r| (0..outputs).map(move |c| (r, c))).map(|(r, c)| sum(r, c)).collect()
}

/// A layer with everything that its products need.
struct Case {
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new(rows: usize, inputs: usize, outputs: usize) -> Self {
        Self {
            rows,
            inputs,
            outputs,
            x: values(rows * inputs, 1),
            weight: values(outputs * inputs, 2),
            bias: values(outputs, 3),
            dy: values(rows * outputs, 4),
        }
    }

    fn y(&self) -> Vec<f64> {
        let mut y = product(
            (self.rows, self.inputs, self.outputs),
            |r, i| self.x[r * self.inputs + i],
            |i, o| self.weight[o * self.inputs + i],
        );
        y.iter_mut().zip(self.bias.iter().cycle()).for_each(|(y, &b)| *y += f64::from(b));
        y
    }

    fn dx(&self) -> Vec<f64> {
        product(
            (self.rows, self.outputs, self.inputs),
            |r, o| self.dy[r * self.outputs + o],
            |o, i| self.weight[o * self.inputs + i],
        )
    }

    fn dw(&self) -> Vec<f64> {
        product(
            (self.outputs, self.rows, self.inputs),
            |o, r| self.dy[r * self.outputs + o],
            |r, i| self.x[r * self.inputs + i],
        )
    }

    fn db(&self) -> Vec<f64> {
        product((1, self.rows, self.outputs), |_, _| 1.0, |r, o| self.dy[r * self.outputs + o])
    }

    fn packed(&self, level: Level, precision: Precision) -> PackedLinear {
        let Self { inputs, outputs, .. } = *self;
        PackedLinear::new(&self.weight, Some(&self.bias), inputs, outputs, level, precision)
    }

    fn check(&self, level: Level) {
        let what = (level, self.rows, self.inputs, self.outputs);
        let mut y = vec![f32::NAN; self.rows * self.outputs];
        let mut dx = vec![f32::NAN; self.rows * self.inputs];
        for (precision, bound) in [(Precision::F32, 1e-5), (Precision::Bf16, 5e-2)] {
            let layer = self.packed(level, precision);
            layer.forward(&self.x, &mut y);
            assert_close(&y, &self.y(), bound, &(what, precision, "forward"));
            layer.backward_input(&self.dy, &mut dx);
            assert_close(&dx, &self.dx(), bound, &(what, precision, "backward"));
        }

        y.fill(f32::NAN);
        linear(level, &self.x, &self.weight, Some(&self.bias), self.inputs, &mut y);
        assert_close(&y, &self.y(), 1e-5, &(what, "not packed"));
        dx.fill(f32::NAN);
        linear_backward_input(level, &self.dy, &self.weight, self.inputs, &mut dx);
        assert_close(&dx, &self.dx(), 1e-5, &(what, "not packed, backward"));
        let mut dw = vec![f32::NAN; self.weight.len()];
        let mut db = vec![f32::NAN; self.outputs];
        let db = Some(&mut db[..]);
        linear_weight_gradient(level, &self.x, &self.dy, self.inputs, &mut dw, db);
        assert_close(&dw, &self.dw(), 1e-5, &(what, "weight gradient"));
    }
}

#[test]
fn sizes_around_the_tiles() {
    let cases = [
        (1, 1, 1),
        (7, 5, 3),
        (12, 32, 32),
        (13, 640, 33),
        (23, 641, 65),
        (250, 64, 40),
        (77, 700, 17),
    ];
    for (rows, inputs, outputs) in cases {
        let case = Case::new(rows, inputs, outputs);
        Level::available().for_each(|level| case.check(level));
    }
}

#[test]
fn the_bias_gradient_sums_rows() {
    let case = Case::new(1500, 2, 37);
    for level in Level::available() {
        let (mut dw, mut db) = (vec![0.0; 2 * 37], vec![f32::NAN; 37]);
        linear_weight_gradient(level, &case.x, &case.dy, 2, &mut dw, Some(&mut db));
        assert_close(&db, &case.db(), 1e-5, &level);
    }
}

#[test]
fn no_bias_and_no_rows() {
    for level in Level::available() {
        let layer = PackedLinear::new(&[2.0, 3.0], None, 2, 1, level, Precision::F32);
        let mut y = [f32::NAN];
        layer.forward(&[10.0, 1.0], &mut y);
        assert_eq!(y, [23.0]);
        layer.forward(&[], &mut []);
        layer.backward_input(&[], &mut []);
        let (mut dw, mut db) = ([f32::NAN; 2], [f32::NAN]);
        linear_weight_gradient(level, &[], &[], 2, &mut dw, Some(&mut db));
        assert_eq!((dw, db), ([0.0; 2], [0.0]));
    }
}

/// The order of every sum is fixed, so the result is the same to the last bit.
#[test]
fn threads_do_not_change_the_result() {
    let case = Case::new(530, 700, 330);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let layer = case.packed(kernels::level(), Precision::F32);
            let mut y = vec![0.0; 530 * 330];
            let mut dx = vec![0.0; 530 * 700];
            layer.forward(&case.x, &mut y);
            layer.backward_input(&case.dy, &mut dx);
            (y, dx)
        })
    };
    let alone = run(1);
    assert!([2, 3, 7].into_iter().all(|threads| run(threads) == alone));
}

#[test]
fn bf16_halves_the_memory() {
    let case = Case::new(1, 640, 320);
    let [wide, narrow] =
        [Precision::F32, Precision::Bf16].map(|p| case.packed(kernels::level(), p).bytes());
    assert!(narrow < wide * 52 / 100, "{narrow} of {wide} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_shape(rows in 1usize..60, inputs in 1usize..90, outputs in 1usize..90) {
        let case = Case::new(rows, inputs, outputs);
        Level::available().for_each(|level| case.check(level));
    }
}
