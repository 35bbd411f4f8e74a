//! What a step of a sum does: f32, or pairs of bf16 where the processor has that.

use crate::simd::{Kernel, Level, Simd, dispatch};

/// One step of a sum.
///
/// A cell has four bytes: one f32, or two bf16 that follow each other along the depth.
pub(crate) trait MulAdd<S: Simd>: Copy + Send + Sync {
    /// Whether cells are pairs.
    const PAIRS: bool;
    /// Values of a cell.
    const VALUES: usize = if Self::PAIRS { 2 } else { 1 };

    /// `sum + a * b`, for pairs `sum + a.0 * b.0 + a.1 * b.1`.
    fn mul_add(self, s: S, a: S::V, b: S::V, sum: S::V) -> S::V;

    /// One cell a lane: `first`, for pairs with `second` behind it.
    fn join(self, s: S, first: S::V, second: S::V) -> S::V;

    /// Writes values that follow each other along the depth: [`Simd::LANES`] cells, or
    /// half as many pairs.
    ///
    /// # Safety
    /// `to` must be valid for writing as many cells.
    unsafe fn store_cells(self, s: S, to: *mut f32, values: S::V);

    /// Reads what [`MulAdd::store_cells`] wrote.
    ///
    /// # Safety
    /// `from` must be valid for reading as many cells.
    unsafe fn load_cells(self, s: S, from: *const f32) -> S::V;
}

/// The multiply-add of f32.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

impl<S: Simd> MulAdd<S> for Fused {
    const PAIRS: bool = false;

    #[inline(always)]
    fn mul_add(self, s: S, a: S::V, b: S::V, sum: S::V) -> S::V {
        s.mul_add(a, b, sum)
    }

    #[inline(always)]
    fn join(self, _: S, first: S::V, _: S::V) -> S::V {
        first
    }

    #[inline(always)]
    unsafe fn store_cells(self, s: S, to: *mut f32, values: S::V) {
        // SAFETY: the caller vouches for as many cells as lanes.
        unsafe { s.store(to, values) }
    }

    #[inline(always)]
    unsafe fn load_cells(self, s: S, from: *const f32) -> S::V {
        // SAFETY: the caller vouches for as many cells as lanes.
        unsafe { s.load(from) }
    }
}

/// A computation written once for all levels and both kinds of cells.
pub(crate) trait ProductKernel {
    /// The computation. Must be `#[inline(always)]`, see [`crate::simd`].
    fn run<S: Simd, P: MulAdd<S>>(self, s: S, mul_add: P);
}

/// Whether the processor multiplies pairs of bf16, and the level may use that.
pub fn has_pairs(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has && level == Level::Avx512 && level.is_available()
}

/// Runs a computation with the instructions of `level`, on pairs if asked for.
///
/// # Panics
/// If the processor lacks them.
pub(crate) fn dispatch_product<K: ProductKernel>(level: Level, pairs: bool, kernel: K) {
    if !pairs {
        return dispatch(level, Single(kernel));
    }
    assert!(has_pairs(level), "this processor has no products of bf16");
    // SAFETY: just checked.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        x86::enter(kernel);
    }
}

struct Single<K>(K);

impl<K: ProductKernel> Kernel for Single<K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run(s, Fused);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{MulAdd, ProductKernel};
    use crate::simd::Avx512;

    /// The dot product of two pairs of bf16, summed in f32. Made only by [`enter`].
    #[derive(Clone, Copy)]
    struct DotPairs(());

    impl MulAdd<Avx512> for DotPairs {
        const PAIRS: bool = true;

        #[inline(always)]
        fn mul_add(self, _: Avx512, a: __m512, b: __m512, sum: __m512) -> __m512 {
            // SAFETY: the value exists only where the instruction does; the types have
            // the same size and take any bits.
            unsafe {
                let a = std::mem::transmute::<__m512, __m512bh>(a);
                let b = std::mem::transmute::<__m512, __m512bh>(b);
                _mm512_dpbf16_ps(sum, a, b)
            }
        }

        #[inline(always)]
        fn join(self, _: Avx512, first: __m512, second: __m512) -> __m512 {
            // SAFETY: the value exists only where the instruction does; the types have
            // the same size and take any bits.
            unsafe {
                // All of `first`, then all of `second`: neighbours are 16 apart.
                let halves = _mm512_cvtne2ps_pbh(second, first);
                let halves = std::mem::transmute::<__m512bh, __m512i>(halves);
                let lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
                let behind = _mm512_slli_epi32::<16>(_mm512_add_epi32(lane, _mm512_set1_epi32(16)));
                let order = _mm512_or_si512(lane, behind);
                _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves))
            }
        }

        #[inline(always)]
        unsafe fn store_cells(self, _: Avx512, to: *mut f32, values: __m512) {
            // SAFETY: as above, and the caller vouches for sixteen values of two bytes.
            unsafe {
                let rounded = _mm512_cvtneps_pbh(values);
                let rounded = std::mem::transmute::<__m256bh, __m256i>(rounded);
                _mm256_storeu_si256(to.cast(), rounded);
            }
        }

        #[inline(always)]
        unsafe fn load_cells(self, s: Avx512, from: *const f32) -> __m512 {
            // SAFETY: the caller vouches for sixteen values of two bytes.
            unsafe { s.load_bf16(from.cast()) }
        }
    }

    /// # Safety
    /// AVX-512 and its BF16 extension must be available.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn enter<K: ProductKernel>(kernel: K) {
        // SAFETY: the caller vouches for AVX-512.
        kernel.run(unsafe { Avx512::new() }, DotPairs(()));
    }
}
