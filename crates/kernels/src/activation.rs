//! Activations, their gradients, and residual sums.

use rayon::prelude::*;

use crate::elementwise::{CHUNK, Elementwise, elementwise, load_up_to, store_up_to};
use crate::simd::{Kernel, Level, Simd, dispatch, math};

/// A function applied to every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(x)` (Hendrycks & Gimpel 2016, arXiv 1606.08415).
    Silu,
    /// `x sigmoid(1.702 x)`, as CLIP's text encoder has it.
    QuickGelu,
    /// `x Phi(x)` with the exact normal distribution function.
    Gelu,
}

impl Activation {
    /// `out = f(x)`
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn forward(self, level: Level, x: &[f32], out: &mut [f32]) {
        match self {
            Activation::Silu => elementwise(level, Value(Swish(1.0)), [x], out),
            Activation::QuickGelu => elementwise(level, Value(Swish(1.702)), [x], out),
            Activation::Gelu => elementwise(level, Value(Gelu), [x], out),
        }
    }

    /// `dx = dout f'(x)`, from the input of [`Activation::forward`].
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn backward(self, level: Level, x: &[f32], dout: &[f32], dx: &mut [f32]) {
        match self {
            Activation::Silu => elementwise(level, Gradient(Swish(1.0)), [x, dout], dx),
            Activation::QuickGelu => elementwise(level, Gradient(Swish(1.702)), [x, dout], dx),
            Activation::Gelu => elementwise(level, Gradient(Gelu), [x, dout], dx),
        }
    }
}

/// `out = a + b`
///
/// # Panics
/// If the lengths differ.
pub fn add(level: Level, a: &[f32], b: &[f32], out: &mut [f32]) {
    elementwise(level, Sum, [a, b], out);
}

/// `out += b`
///
/// # Panics
/// If the lengths differ.
pub fn add_assign(level: Level, out: &mut [f32], b: &[f32]) {
    elementwise(level, Increment, [b], out);
}

/// `value * gelu(gate)`, where a row of `x` holds `width` values, then their gates
/// (Shazeer 2020, arXiv 2002.05202).
///
/// # Shapes
/// `x [rows, 2 width]`, `out [rows, width]`
///
/// # Panics
/// If the lengths do not fit that.
pub fn geglu(level: Level, width: usize, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), 2 * out.len(), "GEGLU halves its rows");
    let step = rows_at_once(out.len(), width) * width;
    if step == 0 {
        return;
    }
    let pieces = x.par_chunks(2 * step).zip(out.par_chunks_mut(step));
    pieces.for_each(|(x, out)| dispatch(level, Geglu { width, x, out }));
}

/// The gradient of [`geglu`] to its input.
///
/// # Shapes
/// `x, dx [rows, 2 width]`, `dout [rows, width]`
///
/// # Panics
/// If the lengths do not fit that.
pub fn geglu_backward(level: Level, width: usize, x: &[f32], dout: &[f32], dx: &mut [f32]) {
    assert_eq!(x.len(), 2 * dout.len(), "GEGLU halves its rows");
    assert_eq!(x.len(), dx.len(), "the input and its gradient differ in length");
    let step = rows_at_once(dout.len(), width) * width;
    if step == 0 {
        return;
    }
    let pieces = x.par_chunks(2 * step).zip(dout.par_chunks(step)).zip(dx.par_chunks_mut(2 * step));
    pieces.for_each(|((x, dout), dx)| dispatch(level, GegluBackward { width, x, dout, dx }));
}

/// Rows of a parallel piece; none when there is nothing to do.
///
/// # Panics
/// If `len` is not whole rows.
fn rows_at_once(len: usize, width: usize) -> usize {
    if len == 0 {
        return 0;
    }
    assert!(width > 0 && len.is_multiple_of(width), "{len} values are no rows of {width}");
    (CHUNK / width).max(1)
}

/// A function of one value and its derivative. Both must be `#[inline(always)]`.
pub(crate) trait Function: Copy + Send + Sync {
    /// `f(x)`
    fn value<S: Simd>(self, s: S, x: S::V) -> S::V;
    /// `f'(x)`
    fn derivative<S: Simd>(self, s: S, x: S::V) -> S::V;
}

/// `x sigmoid(beta x)` (Ramachandran et al. 2017, arXiv 1710.05941).
#[derive(Clone, Copy)]
pub(crate) struct Swish(pub(crate) f32);

impl Function for Swish {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::V) -> S::V {
        s.mul(x, math::sigmoid(s, s.mul(x, s.splat(self.0))))
    }

    /// With `z = beta x` and `g = sigmoid(z)`: `g + z g (1 - g)`.
    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::V) -> S::V {
        let z = s.mul(x, s.splat(self.0));
        // g and 1 - g are the two parts of one, the smaller without cancellation.
        let decay = math::exp(s, s.neg(s.abs(z)));
        let greater = s.div(s.splat(1.0), s.add(s.splat(1.0), decay));
        let lesser = s.mul(decay, greater);
        let gate = s.select(s.less(z, s.zero()), lesser, greater);
        s.mul_add(z, s.mul(lesser, greater), gate)
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn value<S: Simd>(self, s: S, x: S::V) -> S::V {
        math::gelu(s, x)
    }

    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::V) -> S::V {
        math::gelu_and_derivative(s, x).1
    }
}

#[derive(Clone, Copy)]
struct Value<F>(F);

impl<F: Function> Elementwise<1> for Value<F> {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, _old: S::V, [x]: [S::V; 1]) -> S::V {
        self.0.value(s, x)
    }
}

#[derive(Clone, Copy)]
struct Gradient<F>(F);

impl<F: Function> Elementwise<2> for Gradient<F> {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, _old: S::V, [x, dout]: [S::V; 2]) -> S::V {
        s.mul(dout, self.0.derivative(s, x))
    }
}

#[derive(Clone, Copy)]
struct Sum;

impl Elementwise<2> for Sum {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, _old: S::V, [a, b]: [S::V; 2]) -> S::V {
        s.add(a, b)
    }
}

#[derive(Clone, Copy)]
struct Increment;

impl Elementwise<1> for Increment {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, old: S::V, [b]: [S::V; 1]) -> S::V {
        s.add(old, b)
    }
}

/// Whole rows of [`geglu`].
struct Geglu<'a> {
    width: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Geglu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { width, x, out } = self;
        for (x, out) in x.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (value, gate) = x.split_at(width);
            for i in (0..width).step_by(S::LANES) {
                let count = S::LANES.min(width - i);
                // SAFETY: `count` values are left behind `i` in rows of `width`.
                unsafe {
                    let value = load_up_to(s, value.as_ptr().add(i), count);
                    let gate = load_up_to(s, gate.as_ptr().add(i), count);
                    let product = s.mul(value, math::gelu(s, gate));
                    store_up_to(s, out.as_mut_ptr().add(i), count, product);
                }
            }
        }
    }
}

/// Whole rows of [`geglu_backward`].
struct GegluBackward<'a> {
    width: usize,
    x: &'a [f32],
    dout: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for GegluBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { width, x, dout, dx } = self;
        let rows = x.chunks_exact(2 * width).zip(dout.chunks_exact(width));
        for ((x, dout), dx) in rows.zip(dx.chunks_exact_mut(2 * width)) {
            let (value, gate) = x.split_at(width);
            let (dvalue, dgate) = dx.split_at_mut(width);
            for i in (0..width).step_by(S::LANES) {
                let count = S::LANES.min(width - i);
                // SAFETY: `count` values are left behind `i` in rows of `width`.
                unsafe {
                    let value = load_up_to(s, value.as_ptr().add(i), count);
                    let gate = load_up_to(s, gate.as_ptr().add(i), count);
                    let dout = load_up_to(s, dout.as_ptr().add(i), count);
                    let (gelu, slope) = math::gelu_and_derivative(s, gate);
                    let to_gate = s.mul(s.mul(dout, value), slope);
                    store_up_to(s, dvalue.as_mut_ptr().add(i), count, s.mul(dout, gelu));
                    store_up_to(s, dgate.as_mut_ptr().add(i), count, to_gate);
                }
            }
        }
    }
}
