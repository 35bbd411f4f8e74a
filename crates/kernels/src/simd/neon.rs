//! aarch64: four lanes.

use std::arch::aarch64::*;

use half::bf16;

use super::{Kernel, Level, Simd};

/// Token of [`Level::Neon`]; made only by [`enter`].
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

/// Runs a kernel with the instructions switched on.
///
/// # Safety
/// [`Level::Neon`] must be available.
#[target_feature(enable = "neon")]
pub(super) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon(()))
}

// SAFETY: four lanes, and every access is to four values, or four pairs. The
// intrinsics are available because the token exists.
unsafe impl Simd for Neon {
    type V = float32x4_t;
    type M = uint32x4_t;

    const LEVEL: Level = Level::Neon;
    // 24 accumulators, two vectors of one factor, and a few for the other.
    const TILE_ROWS: usize = 12;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller vouches for four values.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: float32x4_t) {
        // SAFETY: the caller vouches for four values.
        unsafe { vst1q_f32(to, v) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16, v: float32x4_t) {
        // SAFETY: the caller vouches for four values of two bytes.
        unsafe {
            let bits = vreinterpretq_u32_f32(v);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            // Rounding could carry a NaN into infinity: set its quiet bit instead.
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x40_0000));
            let halves = vbslq_u32(vceqq_f32(v, v), rounded, quiet);
            vst1_u16(to.cast(), vshrn_n_u32::<16>(halves));
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_pairs(self, from: *const bf16) -> (float32x4_t, float32x4_t) {
        // SAFETY: the caller vouches for four pairs of four bytes.
        unsafe {
            let bits = vreinterpretq_u32_u16(vld1q_u16(from.cast()));
            let second = vandq_u32(bits, vdupq_n_u32(0xffff_0000));
            let first = vshlq_n_u32::<16>(bits);
            (vreinterpretq_f32_u32(first), vreinterpretq_f32_u32(second))
        }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vfmsq_f32(c, a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vmaxq_f32(a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vminq_f32(a, b) }
    }

    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vsqrtq_f32(a) }
    }

    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vrndnq_f32(a) }
    }

    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vabsq_f32(a) }
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: float32x4_t, sign: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), sign, magnitude) }
    }

    #[inline(always)]
    fn scale_exp2(self, a: float32x4_t, n: float32x4_t) -> float32x4_t {
        // In two steps, because 2^n alone would leave the exponent's range.
        // SAFETY: the token exists.
        unsafe {
            let n = vcvtnq_s32_f32(n);
            let half = vshrq_n_s32::<1>(n);
            let power = |n| {
                let biased = vaddq_s32(n, vdupq_n_s32(127));
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
            };
            let a = vmulq_f32(a, power(half));
            vmulq_f32(a, power(vsubq_s32(n, half)))
        }
    }

    #[inline(always)]
    fn less(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: the token exists.
        unsafe { vcltq_f32(a, b) }
    }

    #[inline(always)]
    fn select(self, mask: uint32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        // SAFETY: the token exists.
        unsafe { vbslq_f32(mask, yes, no) }
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: the caller vouches for four rows of four values on both sides.
        unsafe {
            let row = |i: usize| vld1q_f32(from.add(i * from_stride));
            let even_low = vreinterpretq_f64_f32(vtrn1q_f32(row(0), row(1)));
            let odd_low = vreinterpretq_f64_f32(vtrn2q_f32(row(0), row(1)));
            let even_high = vreinterpretq_f64_f32(vtrn1q_f32(row(2), row(3)));
            let odd_high = vreinterpretq_f64_f32(vtrn2q_f32(row(2), row(3)));
            let columns = [
                vzip1q_f64(even_low, even_high),
                vzip1q_f64(odd_low, odd_high),
                vzip2q_f64(even_low, even_high),
                vzip2q_f64(odd_low, odd_high),
            ];
            for (i, column) in columns.into_iter().enumerate() {
                vst1q_f32(to.add(i * to_stride), vreinterpretq_f32_f64(column));
            }
        }
    }

    #[inline(always)]
    fn reduce_add(self, v: float32x4_t) -> f32 {
        // SAFETY: the token exists.
        unsafe { vaddvq_f32(v) }
    }
}
