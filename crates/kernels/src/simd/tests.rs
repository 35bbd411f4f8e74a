//! Every operation of every available level against scalar arithmetic.

use super::*;

const VALUES: [f32; 16] = [
    0.0, -0.0, 1.0, -1.5, 2.5, -3.5, 0.3, -0.7, 100.25, -7.125, 1e-3, -1e-3, 5.0, 4.5, -2.25, 12.0,
];

/// Runs a check at every level.
macro_rules! at_every_level {
    (|$s:ident| $body:block) => {{
        struct Check;
        impl Kernel for Check {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, $s: S) {
                $body
            }
        }
        for level in Level::available() {
            dispatch(level, Check);
        }
    }};
}

/// Holds `actual` of the first lanes against `expected` of their index.
fn assert_lanes<S: Simd>(s: S, actual: S::V, expected: impl Fn(usize) -> f32) {
    for (i, &value) in s.to_array(actual).iter().take(S::LANES).enumerate() {
        let expected = expected(i);
        // Rounding a product before its sum costs this much on these values.
        let close = (value - expected).abs() <= 3e-6 * expected.abs();
        assert!(close || value == expected, "{:?} lane {i}: {value} for {expected}", S::LEVEL);
    }
}

#[test]
fn arithmetic() {
    at_every_level!(|s| {
        let reversed: Vec<f32> = VALUES.iter().rev().map(|v| v + 0.125).collect();
        let (x, y) = (|i: usize| VALUES[i], |i: usize| reversed[i]);
        // SAFETY: both hold sixteen values.
        let (a, b) = unsafe { (s.load(VALUES.as_ptr()), s.load(reversed.as_ptr())) };
        assert_lanes(s, s.add(a, b), |i| x(i) + y(i));
        assert_lanes(s, s.sub(a, b), |i| x(i) - y(i));
        assert_lanes(s, s.mul(a, b), |i| x(i) * y(i));
        assert_lanes(s, s.div(a, b), |i| x(i) / y(i));
        assert_lanes(s, s.mul_add(a, b, s.splat(2.0)), |i| x(i) * y(i) + 2.0);
        assert_lanes(s, s.neg_mul_add(a, b, s.splat(2.0)), |i| 2.0 - x(i) * y(i));
        assert_lanes(s, s.max(a, b), |i| x(i).max(y(i)));
        assert_lanes(s, s.min(a, b), |i| x(i).min(y(i)));
        assert_lanes(s, s.sqrt(s.abs(a)), |i| x(i).abs().sqrt());
        assert_lanes(s, s.round(a), |i| x(i).round_ties_even());
        assert_lanes(s, s.neg(a), |i| -x(i));
        assert_lanes(s, s.copy_sign(b, a), |i| y(i).copysign(x(i)));
        assert_lanes(s, s.select(s.less(a, b), a, b), |i| if x(i) < y(i) { x(i) } else { y(i) });
    });
}

#[test]
fn scaling_by_powers_of_two() {
    at_every_level!(|s| {
        for n in [-250, -151, -149, -127, -126, -1, 0, 1, 127, 128, 250] {
            let expected = (1.5 * f64::from(n).exp2()) as f32;
            assert_lanes(s, s.scale_exp2(s.splat(1.5), s.splat(n as f32)), |_| expected);
        }
    });
}

#[test]
fn reductions() {
    at_every_level!(|s| {
        // SAFETY: sixteen values.
        let a = unsafe { s.load(VALUES.as_ptr()) };
        let lanes = &VALUES[..S::LANES];
        let sum: f32 = lanes.iter().sum();
        assert!((s.reduce_add(a) - sum).abs() < 1e-4);
        assert!((sum_halves(s.to_array(a), S::LANES) - sum).abs() < 1e-4);
    });
}

#[test]
fn transposition() {
    at_every_level!(|s| {
        let (stride, to_stride) = (S::LANES + 3, S::LANES + 1);
        let from: Vec<f32> = (0..stride * S::LANES).map(|i| i as f32).collect();
        let mut to = vec![-1.0; to_stride * S::LANES];
        // SAFETY: both hold as many rows as there are lanes.
        unsafe { s.transpose(from.as_ptr(), stride, to.as_mut_ptr(), to_stride) };
        for (i, &value) in to.iter().enumerate() {
            let (row, column) = (i / to_stride, i % to_stride);
            let expected = if column < S::LANES { from[column * stride + row] } else { -1.0 };
            assert_eq!(value, expected, "{:?} at {row}, {column}", S::LEVEL);
        }
    });
}

#[test]
fn parts_of_vectors() {
    at_every_level!(|s| {
        for count in 0..=S::LANES {
            let mut to = [-9.0; MAX_LANES];
            // SAFETY: both hold sixteen values.
            unsafe {
                let part = s.load_partial(VALUES.as_ptr(), count);
                assert_lanes(s, part, |i| if i < count { VALUES[i] } else { 0.0 });
                s.store_partial(to.as_mut_ptr(), count, s.splat(4.0));
            }
            assert!(to.iter().enumerate().all(|(i, &t)| t == if i < count { 4.0 } else { -9.0 }));
        }
    });
}

#[test]
fn bf16_rounds_as_the_half_crate_does() {
    at_every_level!(|s| {
        let hard = [
            1.0 + 1.0 / 256.0,
            1.0 + 3.0 / 256.0,
            f32::NAN,
            f32::INFINITY,
            3.4e38,
            -1.2345e-3,
            1e-40,
            -7.7,
        ];
        let values: Vec<f32> = hard.iter().chain(&hard).copied().collect();
        let mut narrow = [bf16::ZERO; 2 * MAX_LANES];
        // SAFETY: sixteen values on both sides.
        unsafe { s.store_bf16(narrow.as_mut_ptr(), s.load(values.as_ptr())) };
        for (i, value) in values.iter().enumerate().take(S::LANES) {
            let expected = bf16::from_f32(*value);
            assert!(narrow[i] == expected || value.is_nan() && narrow[i].is_nan());
            narrow[i] = bf16::from_f32(i as f32);
            narrow[i + S::LANES] = bf16::from_f32((i + S::LANES) as f32);
        }
        // SAFETY: the array holds sixteen pairs.
        let (first, second) = unsafe { s.load_bf16_pairs(narrow.as_ptr()) };
        assert_lanes(s, first, |i| (2 * i) as f32);
        assert_lanes(s, second, |i| (2 * i + 1) as f32);
    });
}

/// The greatest error of a function between two bounds, relative to `1` or to
/// the value where that is greater (`absolute`), or to the value alone.
macro_rules! worst_error {
    ($s:ident, $from:expr, $to:expr, $absolute:expr, |$v:ident| $vector:expr, |$x:ident| $exact:expr) => {{
        let steps = 20_000;
        let mut worst = 0.0_f64;
        for i in 0..=steps {
            let x = $from + ($to - $from) * i as f32 / steps as f32;
            let $v = $s.splat(x);
            let value = f64::from($s.to_array($vector)[0]);
            let $x = f64::from(x);
            let exact: f64 = $exact;
            let scale = if $absolute { exact.abs().max(1.0) } else { exact.abs() };
            if exact != 0.0 {
                worst = worst.max((value - exact).abs() / scale);
            }
        }
        worst
    }};
}

/// Half a unit in the last place is 6e-8.
#[test]
fn elementary_functions() {
    at_every_level!(|s| {
        use libm::erf;
        use math::*;
        let normal = |x: f64| 0.5 * (1.0 + erf(x / 2f64.sqrt()));
        let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();

        let error = worst_error!(s, -87.0, 88.0, false, |v| exp(s, v), |x| x.exp());
        assert!(error < 1.5e-7, "exp: {error:e}");
        let error = worst_error!(s, -125.0, 127.0, false, |v| exp2(s, v), |x| x.exp2());
        assert!(error < 1.5e-7, "exp2: {error:e}");
        let error = worst_error!(s, -5.0, 5.0, false, |v| math::erf(s, v), |x| erf(x));
        assert!(error < 1.5e-7, "erf: {error:e}");
        let error =
            worst_error!(s, -80.0, 80.0, false, |v| sigmoid(s, v), |x| 1.0 / (1.0 + (-x).exp()));
        assert!(error < 2.5e-7, "sigmoid: {error:e}");
        let error = worst_error!(s, -10.0, 10.0, true, |v| gelu(s, v), |x| x * normal(x));
        assert!(error < 2.5e-7, "gelu: {error:e}");
        let slope = |x: f64| normal(x) + x * density(x);
        let error =
            worst_error!(s, -10.0, 10.0, true, |v| gelu_and_derivative(s, v).1, |x| slope(x));
        assert!(error < 2.5e-7, "derivative of gelu: {error:e}");
    });
}

#[test]
fn elementary_functions_at_the_ends() {
    at_every_level!(|s| {
        let at = |f: fn(S, S::V) -> S::V, x: f32| s.to_array(f(s, s.splat(x)))[0];
        for f in [math::exp::<S>, math::exp2::<S>] {
            assert_eq!(at(f, f32::NEG_INFINITY), 0.0);
            assert_eq!(at(f, f32::INFINITY), f32::INFINITY);
            assert_eq!(at(f, 0.0), 1.0);
        }
        assert_eq!(at(math::erf, 50.0), 1.0);
        assert_eq!(at(math::erf, f32::NEG_INFINITY), -1.0);
        assert_eq!(at(math::sigmoid, -1000.0), 0.0);
        assert_eq!(at(math::sigmoid, 1000.0), 1.0);
        for f in
            [math::exp::<S>, math::exp2::<S>, math::erf::<S>, math::sigmoid::<S>, math::gelu::<S>]
        {
            assert!(at(f, f32::NAN).is_nan());
        }
    });
}
