use kernels::{
    Algorithm, ConvOptions, ConvShape, Level, PackedConv3x3, Precision, Resize,
    conv3x3_weight_gradient,
};
use proptest::prelude::*;

use crate::support::{assert_close, values};

const RESIZES: [Resize; 4] =
    [Resize::Keep, Resize::HalveAround, Resize::HalveBottomRight, Resize::Double];
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Direct, Algorithm::Winograd2, Algorithm::Winograd4];

/// A convolution with everything that its products need.
struct Case {
    shape: ConvShape,
    batch: usize,
    size: [usize; 2],
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new(resize: Resize, batch: usize, size: [usize; 2], inputs: usize, outputs: usize) -> Self {
        let pixels = |[height, width]: [usize; 2]| batch * height * width;
        Self {
            shape: ConvShape { inputs, outputs, resize },
            batch,
            size,
            x: values(pixels(size) * inputs, 1),
            weight: values(outputs * inputs * 9, 2),
            bias: values(outputs, 3),
            dy: values(pixels(resize.output_size(size)) * outputs, 4),
        }
    }

    /// Calls `visit(x, weight, y)` with the index of each factor of each product, and of
    /// the output that it belongs to.
    fn each_product(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ConvShape { inputs, outputs, resize } = self.shape;
        let (stride, before, factor) = match resize {
            Resize::Keep => (1, 1, 1),
            Resize::HalveAround => (2, 1, 1),
            Resize::HalveBottomRight => (2, 0, 1),
            Resize::Double => (1, 1, 2),
        };
        let [height, width] = self.size;
        let [rows, columns] = resize.output_size(self.size);
        let inside = |out: usize, tap: usize, side: usize| {
            let at = (out * stride + tap).checked_sub(before)?;
            (at < factor * side).then_some(at / factor)
        };
        for output_pixel in 0..self.batch * rows * columns {
            let (image, row, column) = (
                output_pixel / columns / rows,
                output_pixel / columns % rows,
                output_pixel % columns,
            );
            for tap in 0..9 {
                let Some(y) = inside(row, tap / 3, height) else { continue };
                let Some(x) = inside(column, tap % 3, width) else { continue };
                let pixel = (image * height + y) * width + x;
                for output in 0..outputs {
                    for input in 0..inputs {
                        let weight = (output * inputs + input) * 9 + tap;
                        visit(pixel * inputs + input, weight, output_pixel * outputs + output);
                    }
                }
            }
        }
    }

    fn y(&self) -> Vec<f64> {
        let bias = self.bias.iter().cycle().map(|&b| f64::from(b));
        let mut y: Vec<f64> = bias.take(self.dy.len()).collect();
        self.each_product(|i, w, o| y[o] += f64::from(self.x[i]) * f64::from(self.weight[w]));
        y
    }

    fn dx(&self) -> Vec<f64> {
        let mut dx = vec![0.0; self.x.len()];
        self.each_product(|i, w, o| dx[i] += f64::from(self.dy[o]) * f64::from(self.weight[w]));
        dx
    }

    fn dw(&self) -> Vec<f64> {
        let mut dw = vec![0.0; self.weight.len()];
        self.each_product(|i, w, o| dw[w] += f64::from(self.x[i]) * f64::from(self.dy[o]));
        dw
    }

    fn db(&self) -> Vec<f64> {
        let mut db = vec![0.0; self.shape.outputs];
        let outputs = db.len();
        self.dy.iter().enumerate().for_each(|(i, &dy)| db[i % outputs] += f64::from(dy));
        db
    }

    fn packed(&self, algorithm: Algorithm, level: Level, precision: Precision) -> PackedConv3x3 {
        let options = ConvOptions { algorithm, level, precision };
        PackedConv3x3::new(self.shape, &self.weight, Some(&self.bias), options)
    }

    fn forward(&self, layer: &PackedConv3x3) -> Vec<f32> {
        let mut y = vec![f32::NAN; self.dy.len()];
        layer.forward(self.batch, self.size, &self.x, &mut y);
        y
    }

    fn backward(&self, layer: &PackedConv3x3) -> Vec<f32> {
        let mut dx = vec![f32::NAN; self.x.len()];
        layer.backward_input(self.batch, self.size, &self.dy, &mut dx);
        dx
    }

    /// Everything against the twin, at every level.
    fn check(&self) {
        let (y, dx, dw, db) = (self.y(), self.dx(), self.dw(), self.db());
        for level in Level::available() {
            let what = (level, self.shape, self.batch, self.size);
            for (algorithm, precision, bound) in self.ways() {
                let layer = self.packed(algorithm, level, precision);
                let what = (what, algorithm, precision);
                assert_close(&self.forward(&layer), &y, bound, &(what, "forward"));
                assert_close(&self.backward(&layer), &dx, bound, &(what, "backward"));
            }
            let mut got = (vec![f32::NAN; dw.len()], vec![f32::NAN; db.len()]);
            let (shape, batch, size) = (self.shape, self.batch, self.size);
            let got_db = Some(&mut got.1[..]);
            conv3x3_weight_gradient(
                level, shape, batch, size, &self.x, &self.dy, &mut got.0, got_db,
            );
            assert_close(&got.0, &dw, 1e-5, &(what, "weight gradient"));
            assert_close(&got.1, &db, 1e-5, &(what, "bias gradient"));
        }
    }

    /// Algorithms that can compute it, with the error that each may have.
    fn ways(&self) -> impl Iterator<Item = (Algorithm, Precision, f64)> {
        let halves = matches!(self.shape.resize, Resize::HalveAround | Resize::HalveBottomRight);
        let ways = [
            (Algorithm::Direct, Precision::F32, 5e-6),
            (Algorithm::Direct, Precision::Bf16, 5e-2),
            (Algorithm::Winograd2, Precision::F32, 5e-6),
            (Algorithm::Winograd2, Precision::Bf16, 8e-2),
            (Algorithm::Winograd4, Precision::F32, 3e-5),
        ];
        ways.into_iter().filter(move |way| !halves || way.0 == Algorithm::Direct)
    }
}

#[test]
fn odd_sizes_and_channels() {
    for resize in RESIZES {
        for (batch, size, inputs, outputs) in [
            (1, [1, 1], 1, 1),
            (2, [7, 5], 3, 9),
            (1, [8, 9], 4, 33),
            (3, [2, 3], 17, 1),
            (1, [4, 12], 33, 8),
        ] {
            Case::new(resize, batch, size, inputs, outputs).check();
        }
    }
}

/// Several chunks of tiles, several blocks of the depth, several panels.
#[test]
fn large_enough_to_be_cut_up() {
    Case::new(Resize::Keep, 2, [25, 26], 40, 72).check();
    Case::new(Resize::Keep, 1, [2, 2], 700, 130).check();
    Case::new(Resize::HalveAround, 1, [3, 3], 130, 700).check();
}

/// The errors that [`Algorithm`] states, on a layer of the size it states them for.
#[test]
fn stated_errors() {
    let case = Case::new(Resize::Keep, 1, [16, 16], 320, 32);
    let y = case.y();
    for (algorithm, precision, bound) in [
        (Algorithm::Direct, Precision::F32, 3e-6),
        (Algorithm::Winograd2, Precision::F32, 4e-6),
        (Algorithm::Winograd4, Precision::F32, 3e-5),
        (Algorithm::Direct, Precision::Bf16, 1.5e-2),
        (Algorithm::Winograd2, Precision::Bf16, 2e-2),
    ] {
        let layer = case.packed(algorithm, kernels::level(), precision);
        assert_close(&case.forward(&layer), &y, bound, &(algorithm, precision));
    }
}

#[test]
fn empty_images() {
    for (batch, size) in [(0, [4, 4]), (2, [0, 5]), (1, [1, 1])] {
        let case = Case::new(Resize::HalveBottomRight, batch, size, 2, 3);
        let layer = case.packed(Algorithm::Direct, kernels::level(), Precision::F32);
        assert!(case.forward(&layer).is_empty());
        assert!(case.backward(&layer).iter().all(|&dx| dx == 0.0));
    }
}

/// The order of every sum is fixed, so the result is the same to the last bit.
#[test]
fn threads_do_not_change_the_result() {
    let case = Case::new(Resize::Keep, 2, [33, 18], 70, 40);
    for algorithm in ALGORITHMS {
        let layer = case.packed(algorithm, kernels::level(), Precision::F32);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (case.forward(&layer), case.backward(&layer)))
        };
        let alone = run(1);
        assert!([2, 3, 7].into_iter().all(|threads| run(threads) == alone), "{algorithm:?}");
    }
}

#[test]
fn the_rule_chooses_by_size_and_channels() {
    let choose = |resize, inputs, side, precision| {
        let shape = ConvShape { inputs, outputs: 320, resize };
        Algorithm::choose(shape, [side, side], precision)
    };
    let (wide, narrow) = (Precision::F32, Precision::Bf16);
    assert_eq!(choose(Resize::Keep, 320, 64, wide), Algorithm::Winograd4);
    assert_eq!(choose(Resize::Keep, 320, 8, wide), Algorithm::Winograd2);
    assert_eq!(choose(Resize::Double, 320, 8, wide), Algorithm::Winograd4);
    assert_eq!(choose(Resize::Keep, 320, 64, narrow), Algorithm::Winograd2);
    assert_eq!(choose(Resize::Keep, 4, 64, wide), Algorithm::Direct);
    assert_eq!(choose(Resize::HalveAround, 320, 64, wide), Algorithm::Direct);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_shape(
        resize in prop::sample::select(&RESIZES),
        batch in 1usize..4,
        height in 1usize..14,
        width in 1usize..14,
        inputs in 1usize..40,
        outputs in 1usize..40,
    ) {
        Case::new(resize, batch, [height, width], inputs, outputs).check();
    }
}
