//! One vocabulary of vector operations over four instruction sets.
//!
//! A kernel is written once, generic over [`Simd`], as the `run` method of a
//! [`Kernel`]; [`dispatch`] instantiates it inside a function that is compiled
//! with the level's instructions switched on. For that to hold, `run` and every
//! generic function and closure below it must be `#[inline(always)]`: what is
//! not inlined into the dispatched function is compiled without the
//! instructions. A closure given to rayon is never inlined, so a kernel is
//! dispatched inside a parallel loop, not around it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod level;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
use half::bf16;
pub use level::{LEVEL_VARIABLE, Level, UnknownLevel, level, level_setting};

/// A vector of f32 lanes and what can be done with it.
///
/// A value of the implementing type is a token: it exists only where the
/// instructions are available, so the operations on values are safe to call.
/// Only memory access is unsafe.
///
/// # Safety
/// Loads and stores must touch exactly the lanes that they document, of which there
/// are as many as [`Level::lanes`] says and never more than [`MAX_LANES`].
pub(crate) unsafe trait Simd: Copy + Send + Sync + 'static {
    /// The vector.
    type V: Copy + Send + Sync;
    /// The outcome of a comparison, lane by lane.
    type M: Copy;

    /// The level that this is the implementation of.
    const LEVEL: Level;
    /// Lanes of a vector.
    const LANES: usize = Self::LEVEL.lanes();
    /// Rows of the register tile that a matrix product keeps, each of two vectors.
    const TILE_ROWS: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;

    /// Reads [`Simd::LANES`] values from any alignment.
    ///
    /// # Safety
    /// `from` must be valid for reading that many values.
    unsafe fn load(self, from: *const f32) -> Self::V;

    /// Writes [`Simd::LANES`] values to any alignment.
    ///
    /// # Safety
    /// `to` must be valid for writing that many values.
    unsafe fn store(self, to: *mut f32, v: Self::V);

    /// Asks for the cache line at an address, which may be any, to be brought to the
    /// second-level cache; does nothing where the language has no way to say so.
    #[inline(always)]
    fn prefetch(self, _address: *const f32) {}

    /// Reads the first `count` values; the other lanes are zero.
    ///
    /// # Safety
    /// `from` must be valid for reading `count` values, and `count` at most
    /// [`Simd::LANES`].
    #[inline(always)]
    unsafe fn load_partial(self, from: *const f32, count: usize) -> Self::V {
        let mut lanes = [0.0; MAX_LANES];
        debug_assert!(count <= Self::LANES);
        // SAFETY: the caller vouches for `from`; `lanes` holds any vector.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            self.load(lanes.as_ptr())
        }
    }

    /// Writes the first `count` lanes.
    ///
    /// # Safety
    /// `to` must be valid for writing `count` values, and `count` at most
    /// [`Simd::LANES`].
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, count: usize, v: Self::V) {
        debug_assert!(count <= Self::LANES);
        let lanes = self.to_array(v);
        // SAFETY: the caller vouches for `to`; `lanes` holds any vector.
        unsafe { std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count) }
    }

    /// Writes [`Simd::LANES`] values, rounded to the nearest, ties to even.
    ///
    /// # Safety
    /// `to` must be valid for writing that many values.
    unsafe fn store_bf16(self, to: *mut bf16, v: Self::V);

    /// Reads [`Simd::LANES`] pairs: the first of each pair in one vector, the
    /// second in the other.
    ///
    /// # Safety
    /// `from` must be valid for reading twice as many values as there are lanes.
    unsafe fn load_bf16_pairs(self, from: *const bf16) -> (Self::V, Self::V);

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the instructions allow it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, rounded once where the instructions allow it.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater; NaN where `b` is NaN, unspecified where only `a` is.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The lesser; NaN where `b` is NaN, unspecified where only `a` is.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// Square root.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// The nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `|a|`.
    fn abs(self, a: Self::V) -> Self::V;
    /// `|magnitude|` with the sign of `sign`.
    fn copy_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `a * 2^n` for integers `n` from -250 to 250; underflow and overflow are right.
    fn scale_exp2(self, a: Self::V, n: Self::V) -> Self::V;
    /// `a < b`; false where either is NaN.
    fn less(self, a: Self::V, b: Self::V) -> Self::M;
    /// `yes` where the mask holds, `no` elsewhere.
    fn select(self, mask: Self::M, yes: Self::V, no: Self::V) -> Self::V;

    /// Transposes a square of [`Simd::LANES`] rows and columns; strides are counted
    /// in values.
    ///
    /// # Safety
    /// Every row must be valid for reading at `from` and for writing at `to`, and
    /// the two squares must not overlap.
    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for row in 0..Self::LANES {
            for column in 0..Self::LANES {
                // SAFETY: inside the squares that the caller vouches for.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) }
            }
        }
    }

    /// The sum of all lanes.
    #[inline(always)]
    fn reduce_add(self, v: Self::V) -> f32 {
        sum_halves(self.to_array(v), Self::LANES)
    }

    /// Zero in every lane.
    #[inline(always)]
    fn zero(self) -> Self::V {
        self.splat(0.0)
    }

    /// `-a`.
    #[inline(always)]
    fn neg(self, a: Self::V) -> Self::V {
        self.sub(self.splat(-0.0), a)
    }

    /// The lanes, and zeros behind them.
    #[inline(always)]
    fn to_array(self, v: Self::V) -> [f32; MAX_LANES] {
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: no vector has more than MAX_LANES lanes.
        unsafe { self.store(lanes.as_mut_ptr(), v) };
        lanes
    }
}

/// Lanes of the widest vector.
pub(crate) const MAX_LANES: usize = 16;

/// Adds the upper half to the lower until one lane is left, as the vector
/// instructions do, so that the order of the sum is fixed.
#[inline(always)]
fn sum_halves(mut lanes: [f32; MAX_LANES], count: usize) -> f32 {
    let mut half = count / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// A computation written once for all levels.
pub(crate) trait Kernel {
    /// What it returns.
    type Output;

    /// The computation. Must be `#[inline(always)]`, see the [module](self).
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a kernel with the instructions of `level`.
///
/// # Panics
/// If the processor lacks the level.
#[inline]
pub(crate) fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    assert!(level.is_available(), "this processor has no {}", level.name());
    match level {
        // SAFETY: the level was just found to be available.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::enter(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::enter(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Level::Neon => unsafe { neon::enter(kernel) },
        _ => kernel.run(portable::Portable),
    }
}

#[cfg(test)]
mod tests;
