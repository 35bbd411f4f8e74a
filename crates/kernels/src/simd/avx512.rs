//! x86-64-v4: sixteen lanes.

use std::arch::x86_64::*;

use half::bf16;

use super::{Kernel, Level, Simd};

/// Token of [`Level::Avx512`]; made only by [`enter`].
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// Runs a kernel with the instructions switched on.
///
/// # Safety
/// [`Level::Avx512`] must be available.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

impl Avx512 {
    /// The token, for a function that switches on more than the level asks for.
    ///
    /// # Safety
    /// [`Level::Avx512`] must be available.
    pub(crate) unsafe fn new() -> Self {
        Avx512(())
    }

    /// Reads sixteen values, widened.
    ///
    /// # Safety
    /// `from` must be valid for reading as many.
    #[inline(always)]
    pub(crate) unsafe fn load_bf16(self, from: *const bf16) -> __m512 {
        // SAFETY: the caller vouches for sixteen values of two bytes.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }
    }
}

#[inline(always)]
fn low_mask(count: usize) -> __mmask16 {
    debug_assert!(count <= 16);
    ((1u32 << count) - 1) as __mmask16
}

// SAFETY: sixteen lanes, and every access is to sixteen values, or as many as
// asked for. The intrinsics are available because the token exists.
unsafe impl Simd for Avx512 {
    type V = __m512;
    type M = __mmask16;

    const LEVEL: Level = Level::Avx512;
    // 24 accumulators, two vectors of one factor, and a few for the other.
    const TILE_ROWS: usize = 12;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: the caller vouches for sixteen values.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m512) {
        // SAFETY: the caller vouches for sixteen values.
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        // SAFETY: a hint about any address is sound.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }

    #[inline(always)]
    unsafe fn load_partial(self, from: *const f32, count: usize) -> __m512 {
        // SAFETY: the caller vouches for `count` values; masked lanes are not read.
        unsafe { _mm512_maskz_loadu_ps(low_mask(count), from) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, count: usize, v: __m512) {
        // SAFETY: the caller vouches for `count` values; masked lanes are not written.
        unsafe { _mm512_mask_storeu_ps(to, low_mask(count), v) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16, v: __m512) {
        // SAFETY: the caller vouches for sixteen values of two bytes.
        unsafe {
            let bits = _mm512_castps_si512(v);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let bias = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let rounded = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, bias));
            // Rounding could carry a NaN into infinity: set its quiet bit instead.
            let quiet = _mm512_or_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(0x40));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
            let narrow = _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(rounded, nan, quiet));
            _mm256_storeu_si256(to.cast(), narrow);
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_pairs(self, from: *const bf16) -> (__m512, __m512) {
        // SAFETY: the caller vouches for sixteen pairs of four bytes.
        unsafe {
            let bits = _mm512_loadu_si512(from.cast());
            let second = _mm512_and_si512(bits, _mm512_set1_epi32(0xffff_0000_u32 as i32));
            let first = _mm512_slli_epi32::<16>(bits);
            (_mm512_castsi512_ps(first), _mm512_castsi512_ps(second))
        }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_sqrt_ps(a) }
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: __m512, sign: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe {
            let bit = _mm512_set1_ps(-0.0);
            _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign))
        }
    }

    #[inline(always)]
    fn scale_exp2(self, a: __m512, n: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_scalef_ps(a, n) }
    }

    #[inline(always)]
    fn less(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: the token exists.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b) }
    }

    #[inline(always)]
    fn select(self, mask: __mmask16, yes: __m512, no: __m512) -> __m512 {
        // SAFETY: the token exists.
        unsafe { _mm512_mask_blend_ps(mask, no, yes) }
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: the caller vouches for sixteen rows of sixteen values on both sides.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(from.add(i * from_stride));
            }
            // Four rows make four vectors; each quarter of vector j holds one
            // column of the four rows.
            for four in rows.chunks_exact_mut(4) {
                let a = _mm512_castps_pd(_mm512_unpacklo_ps(four[0], four[1]));
                let b = _mm512_castps_pd(_mm512_unpackhi_ps(four[0], four[1]));
                let c = _mm512_castps_pd(_mm512_unpacklo_ps(four[2], four[3]));
                let d = _mm512_castps_pd(_mm512_unpackhi_ps(four[2], four[3]));
                four[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
                four[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
                four[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
                four[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
            }
            // The quarters are transposed the same way.
            for j in 0..4 {
                let even_low = _mm512_shuffle_f32x4::<0x88>(rows[j], rows[4 + j]);
                let odd_low = _mm512_shuffle_f32x4::<0xdd>(rows[j], rows[4 + j]);
                let even_high = _mm512_shuffle_f32x4::<0x88>(rows[8 + j], rows[12 + j]);
                let odd_high = _mm512_shuffle_f32x4::<0xdd>(rows[8 + j], rows[12 + j]);
                let columns = [
                    _mm512_shuffle_f32x4::<0x88>(even_low, even_high),
                    _mm512_shuffle_f32x4::<0x88>(odd_low, odd_high),
                    _mm512_shuffle_f32x4::<0xdd>(even_low, even_high),
                    _mm512_shuffle_f32x4::<0xdd>(odd_low, odd_high),
                ];
                for (quarter, column) in columns.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * quarter + j) * to_stride), column);
                }
            }
        }
    }

    #[inline(always)]
    fn reduce_add(self, v: __m512) -> f32 {
        // SAFETY: the token exists.
        unsafe { _mm512_reduce_add_ps(v) }
    }
}
