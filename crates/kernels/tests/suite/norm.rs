use kernels::{GroupNorm, LayerNorm, Level};
use proptest::prelude::*;

use crate::support::{assert_close, values};

const EPSILON: f64 = 1e-5;

/// Rows of values that share mean and deviation, and the channel of each value: all
/// that tells one norm from another.
struct Layout {
    /// The members' places, set by set.
    sets: Vec<Vec<usize>>,
    channels: usize,
    silu: bool,
}

impl Layout {
    fn layer(rows: usize, channels: usize) -> Self {
        let sets = (0..rows).map(|r| (r * channels..(r + 1) * channels).collect()).collect();
        Self { sets, channels, silu: false }
    }

    fn group(batch: usize, pixels: usize, channels: usize, groups: usize, silu: bool) -> Self {
        let width = channels / groups;
        let members = |b: usize, g: usize| {
            let pixel = move |p| (b * pixels + p) * channels + g * width;
            (0..pixels).flat_map(move |p| pixel(p)..pixel(p) + width).collect()
        };
        let sets = (0..batch).flat_map(|b| (0..groups).map(move |g| members(b, g))).collect();
        Self { sets, channels, silu }
    }

    fn twin(&self, x: &[f32], weight: &[f32], bias: &[f32], dout: &[f32]) -> Twin {
        let mut twin = Twin {
            y: vec![0.0; x.len()],
            dx: vec![0.0; x.len()],
            dweight: Sums::new(self.channels),
            dbias: Sums::new(self.channels),
        };
        for set in &self.sets {
            let mean_of = |f: &dyn Fn(usize) -> f64| {
                set.iter().map(|&i| f(i)).sum::<f64>() / set.len() as f64
            };
            let mean = mean_of(&|i| f64::from(x[i]));
            let variance = mean_of(&|i| (f64::from(x[i]) - mean).powi(2));
            let rstd = (variance + EPSILON).sqrt().recip();
            let hat = |i: usize| (f64::from(x[i]) - mean) * rstd;
            let scaled = |i: usize| {
                let c = i % self.channels;
                hat(i) * f64::from(weight[c]) + f64::from(bias[c])
            };
            let gate = |i: usize| 1.0 / (1.0 + (-scaled(i)).exp());
            let slope = |i: usize| match self.silu {
                true => f64::from(dout[i]) * gate(i) * (1.0 + scaled(i) * (1.0 - gate(i))),
                false => f64::from(dout[i]),
            };
            let dhat = |i: usize| slope(i) * f64::from(weight[i % self.channels]);
            let mean_dhat = mean_of(&dhat);
            let mean_product = mean_of(&|i| dhat(i) * hat(i));
            for &i in set {
                twin.y[i] = scaled(i) * if self.silu { gate(i) } else { 1.0 };
                twin.dx[i] = rstd * (dhat(i) - mean_dhat - hat(i) * mean_product);
                twin.dweight.add(i % self.channels, slope(i) * hat(i));
                twin.dbias.add(i % self.channels, slope(i));
            }
        }
        twin
    }
}

/// What a norm and its gradients should be.
struct Twin {
    y: Vec<f64>,
    dx: Vec<f64>,
    dweight: Sums,
    dbias: Sums,
}

/// A sum for each channel. Sums of few channels may cancel to next to nothing, but not
/// their rounding: it is measured by the sums' length, as if the terms were a random walk.
struct Sums {
    sums: Vec<f64>,
    squares: f64,
}

impl Sums {
    fn new(channels: usize) -> Self {
        Self { sums: vec![0.0; channels], squares: 0.0 }
    }

    fn add(&mut self, channel: usize, term: f64) {
        self.sums[channel] += term;
        self.squares += term * term;
    }

    #[track_caller]
    fn assert_close(&self, actual: &[f32], bound: f64, what: &dyn std::fmt::Debug) {
        let own: f64 = self.sums.iter().map(|s| s * s).sum();
        let longer = (self.squares / own.max(f64::MIN_POSITIVE)).sqrt().max(1.0);
        assert_close(actual, &self.sums, bound * longer, what);
    }
}

/// Values with a mean of their own in each channel, larger than the deviation.
fn drifting(len: usize, channels: usize) -> Vec<f32> {
    let drift = values(channels, 9);
    values(len, 1).iter().enumerate().map(|(i, v)| v + 3.0 * drift[i % channels] + 5.0).collect()
}

fn check_group([batch, pixels, channels, groups]: [usize; 4], silu: bool, slack: f64) {
    let what = (batch, pixels, channels, groups, silu);
    let len = batch * pixels * channels;
    let (x, dout) = (drifting(len, channels), values(len, 2));
    let (weight, bias) = (values(channels, 3), values(channels, 4));
    let twin = Layout::group(batch, pixels, channels, groups, silu).twin(&x, &weight, &bias, &dout);
    for level in Level::available() {
        let (weight, bias) = (&weight[..], &bias[..]);
        let norm = GroupNorm { level, pixels, groups, epsilon: EPSILON, silu, weight, bias };
        let mut moments = vec![f32::NAN; batch * groups * 2];
        let mut out = vec![f32::NAN; len];
        norm.forward(&x, &mut out, &mut moments);
        assert_close(&out, &twin.y, slack * FORWARD_BOUND, &(level, what, "forward"));
        let (mut dweight, mut dbias) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
        norm.backward(&x, &moments, &dout, &mut out, Some([&mut dweight, &mut dbias]));
        twin.assert_gradients(&out, &dweight, &dbias, slack * BACKWARD_BOUND, &(level, what));
        let with_affine = out.clone();
        norm.backward(&x, &moments, &dout, &mut out, None);
        assert_eq!(out, with_affine);
    }
}

fn check_layer(rows: usize, channels: usize, slack: f64) {
    let what = (rows, channels);
    let len = rows * channels;
    let (x, dout) = (drifting(len, channels), values(len, 2));
    let (weight, bias) = (values(channels, 3), values(channels, 4));
    let twin = Layout::layer(rows, channels).twin(&x, &weight, &bias, &dout);
    for level in Level::available() {
        let norm = LayerNorm { level, epsilon: EPSILON, weight: &weight, bias: &bias };
        let mut moments = vec![f32::NAN; rows * 2];
        let mut out = vec![f32::NAN; len];
        norm.forward(&x, &mut out, &mut moments);
        assert_close(&out, &twin.y, slack * FORWARD_BOUND, &(level, what, "forward"));
        let (mut dweight, mut dbias) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
        norm.backward(&x, &moments, &dout, &mut out, Some([&mut dweight, &mut dbias]));
        twin.assert_gradients(&out, &dweight, &dbias, slack * BACKWARD_BOUND, &(level, what));
        let with_affine = out.clone();
        norm.backward(&x, &moments, &dout, &mut out, None);
        assert_eq!(out, with_affine);
    }
}

/// Means are up to ten deviations here, so the inputs' own rounding is 6e-7.
const FORWARD_BOUND: f64 = 2e-6;
const BACKWARD_BOUND: f64 = 4e-6;

/// For shapes drawn by chance: few channels may lie further from their mean than that.
const ANY_SHAPE: f64 = 2.0;

impl Twin {
    #[track_caller]
    fn assert_gradients(
        &self,
        dx: &[f32],
        dweight: &[f32],
        dbias: &[f32],
        bound: f64,
        what: &dyn std::fmt::Debug,
    ) {
        assert_close(dx, &self.dx, bound, &(what, "input"));
        self.dweight.assert_close(dweight, bound, &(what, "weight"));
        self.dbias.assert_close(dbias, bound, &(what, "bias"));
    }
}

#[test]
fn group_norms() {
    check_group([2, 64, 320, 32], true, 1.0);
    check_group([1, 4096, 32, 32], true, 1.0);
    check_group([3, 37, 30, 5], false, 1.0);
    check_group([1, 5, 7, 7], true, 1.0);
    check_group([2, 35, 12, 1], false, 1.0);
}

#[test]
fn layer_norms() {
    check_layer(129, 320, 1.0);
    check_layer(2, 9000, 1.0);
    check_layer(1, 7, 1.0);
    check_layer(33, 40, 1.0);
}

#[test]
fn a_mean_far_above_the_deviation() {
    let (pixels, channels) = (1000, 16);
    let x: Vec<f32> = values(pixels * channels, 1).iter().map(|v| 1000.0 + v).collect();
    let (weight, bias) = (vec![1.0; channels], vec![0.0; channels]);
    let group = Layout::group(1, pixels, channels, 4, false).twin(&x, &weight, &bias, &x);
    let layer = Layout::layer(pixels, channels).twin(&x, &weight, &bias, &x);
    for level in Level::available() {
        let (weight, bias) = (&weight[..], &bias[..]);
        let norm =
            GroupNorm { level, pixels, groups: 4, epsilon: EPSILON, silu: false, weight, bias };
        let mut out = vec![0.0; x.len()];
        norm.forward(&x, &mut out, &mut [0.0; 8]);
        // Half a unit in the last place of the mean is 3e-5, the smallest deviation 0.4.
        assert_close(&out, &group.y, 8e-5, &(level, "group"));
        let norm = LayerNorm { level, epsilon: EPSILON, weight, bias };
        norm.forward(&x, &mut out, &mut vec![0.0; 2 * pixels]);
        assert_close(&out, &layer.y, 8e-5, &(level, "layer"));
    }
}

#[test]
fn no_rows() {
    let (weight, bias) = (&[1.0; 4][..], &[0.0; 4][..]);
    for level in Level::available() {
        let norm =
            GroupNorm { level, pixels: 3, groups: 2, epsilon: 0.0, silu: true, weight, bias };
        norm.forward(&[], &mut [], &mut []);
        let (mut dweight, mut dbias) = ([1.0; 4], [1.0; 4]);
        norm.backward(&[], &[], &[], &mut [], Some([&mut dweight, &mut dbias]));
        assert_eq!((dweight, dbias), ([0.0; 4], [0.0; 4]));
        LayerNorm { level, epsilon: 0.0, weight, bias }.forward(&[], &mut [], &mut []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn group_norms_of_any_shape(
        (batch, pixels, groups, width) in (1..4usize, 1..90usize, 1..7usize, 1..20usize),
        silu: bool,
    ) {
        // One value alone has no deviation but rounding.
        prop_assume!(pixels * width > 2);
        check_group([batch, pixels, groups * width, groups], silu, ANY_SHAPE);
    }

    #[test]
    fn layer_norms_of_any_shape(rows in 1..70usize, channels in 3..200usize) {
        check_layer(rows, channels, ANY_SHAPE);
    }
}
