//! Elementary functions over vectors.
//!
//! Good to one or two units in the last place (less on [`Level::Portable`], which
//! does not fuse multiply-adds); NaN stays NaN.
//!
//! [`Level::Portable`]: super::Level::Portable

// Coefficients are given with the digits of their sources.
#![allow(clippy::excessive_precision)]

use super::Simd;

/// `c[0] + c[1] x + c[2] x^2 + ...`
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::V, c: [f32; N]) -> S::V {
    let mut sum = s.splat(c[N - 1]);
    for &c in c[..N - 1].iter().rev() {
        sum = s.mul_add(sum, x, s.splat(c));
    }
    sum
}

/// `e^x`: 0 far below, infinity far above.
///
/// Cephes' `expf`: `x = n ln 2 + r`, a polynomial in `r`, a scale by `2^n`.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(s.splat(-104.0), s.min(s.splat(89.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts: the first has few enough bits to make n ln 2 exact.
    let r = s.neg_mul_add(n, s.splat(0.693359375), x);
    let r = s.neg_mul_add(n, s.splat(-2.12194440e-4), r);
    let p = polynomial(
        s,
        r,
        [
            5.0000001201e-1,
            1.6666665459e-1,
            4.1665795894e-2,
            8.3334519073e-3,
            1.3981999507e-3,
            1.9875691500e-4,
        ],
    );
    let p = s.mul_add(s.mul(r, r), p, r);
    s.scale_exp2(s.add(p, s.splat(1.0)), n)
}

/// `2^x`: 0 far below, infinity far above. The cheapest way to a softmax, whose
/// scores can be scaled by `log2 e` beforehand.
///
/// Cephes' `exp2f`: a polynomial on the fraction, a scale by the nearest integer.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.max(s.splat(-151.0), s.min(s.splat(129.0), x));
    let n = s.round(x);
    let p = polynomial(
        s,
        s.sub(x, n),
        [
            1.0,
            6.931472028550421e-1,
            2.402264791363012e-1,
            5.550332471162809e-2,
            9.618437357674640e-3,
            1.339887440266574e-3,
            1.535336188319500e-4,
        ],
    );
    s.scale_exp2(p, n)
}

/// The error function.
///
/// Two minimax polynomials by N. Juffa: odd in `x` near zero, the exponent of
/// `1 - e^p(x)` elsewhere.
#[inline(always)]
pub(crate) fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let square = s.mul(x, x);
    let near = polynomial(
        s,
        square,
        [
            1.28379166e-1,
            -3.76125336e-1,
            1.12819925e-1,
            -2.67681349e-2,
            4.99119423e-3,
            -5.96761703e-4,
        ],
    );
    let near = s.mul_add(near, x, x);

    let t = s.abs(x);
    let p = polynomial(
        s,
        t,
        [
            -1.28717512e-1,
            -6.34846687e-1,
            -1.06777877e-1,
            2.42546219e-2,
            -3.88396438e-3,
            3.83197126e-4,
            -1.72853470e-5,
        ],
    );
    let far = s.sub(s.splat(1.0), exp(s, s.sub(s.mul(p, t), t)));
    // The polynomial turns upwards far out, where erf is 1 to every digit.
    let far = s.select(s.less(t, s.splat(4.0)), far, s.splat(1.0));
    let far = s.copy_sign(far, x);
    // Comparing this way leaves NaN in the near branch, which keeps it.
    s.select(s.less(s.splat(0.927734375), t), far, near)
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.neg(x))))
}

/// The normal distribution function, `(1 + erf(x / sqrt 2)) / 2`.
#[inline(always)]
fn normal_distribution<S: Simd>(s: S, x: S::V) -> S::V {
    let half = s.splat(0.5);
    s.mul_add(half, erf(s, s.mul(x, s.splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// Exact GELU: `x` times the normal distribution function
/// (Hendrycks & Gimpel 2016, arXiv 1606.08415).
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::V) -> S::V {
    s.mul(x, normal_distribution(s, x))
}

/// [`gelu`] and its derivative, `distribution(x) + x density(x)`.
#[inline(always)]
pub(crate) fn gelu_and_derivative<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let distribution = normal_distribution(s, x);
    let exponent = s.mul(s.mul(x, x), s.splat(-0.5));
    let density = s.mul(exp(s, exponent), s.splat(0.398942280401432678));
    (s.mul(x, distribution), s.mul_add(x, density, distribution))
}
