use kernels::{
    Activation, AdamWStep, Level, add, add_assign, geglu, geglu_backward, upsample_nearest,
    upsample_nearest_backward,
};

use crate::support::{assert_close, values};

/// Lengths around vectors and around the pieces that threads take.
const LENGTHS: [usize; 6] = [0, 1, 7, 33, 16_384, 40_003];

fn wide(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().map(|&v| f64::from(v))
}

fn normal_distribution(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x / 2f64.sqrt()))
}

fn gelu(x: f64) -> f64 {
    x * normal_distribution(x)
}

fn gelu_derivative(x: f64) -> f64 {
    normal_distribution(x) + x * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

fn value(activation: Activation, x: f64) -> f64 {
    let swish = |beta: f64| x / (1.0 + (-beta * x).exp());
    match activation {
        Activation::Silu => swish(1.0),
        Activation::QuickGelu => swish(1.702),
        Activation::Gelu => gelu(x),
    }
}

fn derivative(activation: Activation, x: f64) -> f64 {
    let swish = |beta: f64| {
        let gate = 1.0 / (1.0 + (-beta * x).exp());
        gate + beta * x * gate * (1.0 - gate)
    };
    match activation {
        Activation::Silu => swish(1.0),
        Activation::QuickGelu => swish(1.702),
        Activation::Gelu => gelu_derivative(x),
    }
}

#[test]
fn activations() {
    for activation in [Activation::Silu, Activation::QuickGelu, Activation::Gelu] {
        for len in LENGTHS {
            let x: Vec<f32> = values(len, 1).iter().map(|v| 3.0 * v).collect();
            let dout = values(len, 2);
            let y: Vec<f64> = wide(&x).map(|x| value(activation, x)).collect();
            let slope = wide(&x).map(|x| derivative(activation, x));
            let dx: Vec<f64> = slope.zip(wide(&dout)).map(|(slope, d)| slope * d).collect();
            for level in Level::available() {
                let what = (activation, level, len);
                let mut out = vec![f32::NAN; len];
                activation.forward(level, &x, &mut out);
                assert_close(&out, &y, 2e-6, &(what, "forward"));
                activation.backward(level, &x, &dout, &mut out);
                assert_close(&out, &dx, 2e-6, &(what, "backward"));
            }
        }
    }
}

#[test]
fn sums() {
    for len in LENGTHS {
        let (a, b) = (values(len, 1), values(len, 2));
        let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        for level in Level::available() {
            let mut out = vec![f32::NAN; len];
            add(level, &a, &b, &mut out);
            assert_eq!(out, expected);
            let mut out = a.clone();
            add_assign(level, &mut out, &b);
            assert_eq!(out, expected);
        }
    }
}

#[test]
fn gated_gelu() {
    for (rows, width) in [(0, 5), (1, 1), (3, 7), (5, 64), (9, 2561)] {
        let (x, dout) = (values(2 * rows * width, 1), values(rows * width, 2));
        let mut y = Vec::new();
        let mut dx = Vec::new();
        for (x, dout) in x.chunks_exact(2 * width).zip(dout.chunks_exact(width)) {
            let (value, gate) = x.split_at(width);
            y.extend(wide(value).zip(wide(gate)).map(|(value, gate)| value * gelu(gate)));
            dx.extend(wide(dout).zip(wide(gate)).map(|(dout, gate)| dout * gelu(gate)));
            let both = wide(value).zip(wide(gate)).zip(wide(dout));
            dx.extend(both.map(|((value, gate), dout)| dout * value * gelu_derivative(gate)));
        }
        for level in Level::available() {
            let mut out = vec![f32::NAN; y.len()];
            geglu(level, width, &x, &mut out);
            assert_close(&out, &y, 2e-6, &(level, rows, width, "forward"));
            let mut out = vec![f32::NAN; dx.len()];
            geglu_backward(level, width, &x, &dout, &mut out);
            assert_close(&out, &dx, 2e-6, &(level, rows, width, "backward"));
        }
    }
}

#[test]
fn upsampling() {
    for (rows, width, channels) in [(0, 3, 4), (1, 1, 1), (6, 5, 3), (4, 2, 40)] {
        let x = values(rows * width * channels, 1);
        let at = |row: usize, column: usize, c: usize| (row * width + column) * channels + c;
        let mut y = vec![f32::NAN; 4 * x.len()];
        upsample_nearest(width, channels, &x, &mut y);
        for (i, &y) in y.iter().enumerate() {
            let (row, column) = (i / channels / width / 4, i / channels % (2 * width) / 2);
            assert_eq!(y, x[at(row, column, i % channels)]);
        }

        let dout = values(4 * x.len(), 2);
        let mut expected = vec![0.0; x.len()];
        for (i, dout) in wide(&dout).enumerate() {
            let (row, column) = (i / channels / width / 4, i / channels % (2 * width) / 2);
            expected[at(row, column, i % channels)] += dout;
        }
        for level in Level::available() {
            let mut dx = vec![f32::NAN; x.len()];
            upsample_nearest_backward(level, width, channels, &dout, &mut dx);
            assert_close(&dx, &expected, 5e-7, &(level, rows, width, channels));
        }
    }
}

#[test]
fn adamw_has_the_bits_of_a_plain_loop() {
    let factors = AdamWStep {
        keep: 0.99995,
        beta1: 0.9,
        one_minus_beta1: 0.1,
        beta2: 0.999,
        one_minus_beta2: 0.001,
        root_correction: 0.0547,
        step_size: 0.02,
        epsilon: 1e-8,
    };
    for len in LENGTHS {
        let (weights, gradient, first) = (values(len, 1), values(len, 2), values(len, 3));
        let second: Vec<f32> = values(len, 4).iter().map(|v| v * v).collect();
        let expected: Vec<[f32; 3]> = (0..len)
            .map(|i| {
                let (g, f) = (gradient[i], &factors);
                let m = f.beta1 * first[i] + f.one_minus_beta1 * g;
                let v = f.beta2 * second[i] + f.one_minus_beta2 * g * g;
                let denominator = v.sqrt() / f.root_correction + f.epsilon;
                [weights[i] * f.keep - f.step_size * m / denominator, m, v]
            })
            .collect();
        for level in Level::available() {
            let (mut w, mut m, mut v) = (weights.clone(), first.clone(), second.clone());
            factors.apply(level, &mut w, &gradient, &mut m, &mut v);
            let actual: Vec<[f32; 3]> = (0..len).map(|i| [w[i], m[i], v[i]]).collect();
            assert_eq!(actual, expected, "{level:?}, {len} weights");
        }
    }
}
