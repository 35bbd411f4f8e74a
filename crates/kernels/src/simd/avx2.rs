//! x86-64-v3: eight lanes with fused multiply-add.

use std::arch::x86_64::*;

use half::bf16;

use super::{Kernel, Level, Simd};

/// Token of [`Level::Avx2`]; made only by [`enter`].
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Runs a kernel with the instructions switched on.
///
/// # Safety
/// [`Level::Avx2`] must be available.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// All bits set in the first `count` lanes.
///
/// # Safety
/// [`Level::Avx2`] must be available.
#[inline(always)]
unsafe fn low_mask(count: usize) -> __m256i {
    debug_assert!(count <= 8);
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lane)
    }
}

// SAFETY: eight lanes, and every access is to eight values, or as many as asked
// for. The intrinsics are available because the token exists.
unsafe impl Simd for Avx2 {
    type V = __m256;
    type M = __m256;

    const LEVEL: Level = Level::Avx2;
    // 12 accumulators, two vectors of one factor, and two for the other.
    const TILE_ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: the caller vouches for eight values.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: __m256) {
        // SAFETY: the caller vouches for eight values.
        unsafe { _mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const f32) {
        // SAFETY: a hint about any address is sound.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
    }

    #[inline(always)]
    unsafe fn load_partial(self, from: *const f32, count: usize) -> __m256 {
        // SAFETY: the caller vouches for `count` values; masked lanes are not read.
        unsafe { _mm256_maskload_ps(from, low_mask(count)) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, count: usize, v: __m256) {
        // SAFETY: the caller vouches for `count` values; masked lanes are not written.
        unsafe { _mm256_maskstore_ps(to, low_mask(count), v) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16, v: __m256) {
        // SAFETY: the caller vouches for eight values of two bytes.
        unsafe {
            let bits = _mm256_castps_si256(v);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let bias = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, bias));
            // Rounding could carry a NaN into infinity: set its quiet bit instead.
            let quiet = _mm256_or_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(0x40));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v));
            let halves = _mm256_blendv_epi8(rounded, quiet, nan);
            // Packing works within 128 bits: gather the two low quarters.
            let packed = _mm256_packus_epi32(halves, halves);
            let narrow = _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(packed));
            _mm_storeu_si128(to.cast(), narrow);
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_pairs(self, from: *const bf16) -> (__m256, __m256) {
        // SAFETY: the caller vouches for eight pairs of four bytes.
        unsafe {
            let bits = _mm256_loadu_si256(from.cast());
            let second = _mm256_and_si256(bits, _mm256_set1_epi32(0xffff_0000_u32 as i32));
            let first = _mm256_slli_epi32::<16>(bits);
            (_mm256_castsi256_ps(first), _mm256_castsi256_ps(second))
        }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_sqrt_ps(a) }
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: __m256, sign: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign))
        }
    }

    #[inline(always)]
    fn scale_exp2(self, a: __m256, n: __m256) -> __m256 {
        // In two steps, because 2^n alone would leave the exponent's range.
        // SAFETY: the token exists.
        unsafe {
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            let power = |n| {
                let biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
            };
            let a = _mm256_mul_ps(a, power(half));
            _mm256_mul_ps(a, power(_mm256_sub_epi32(n, half)))
        }
    }

    #[inline(always)]
    fn less(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }

    #[inline(always)]
    fn select(self, mask: __m256, yes: __m256, no: __m256) -> __m256 {
        // SAFETY: the token exists.
        unsafe { _mm256_blendv_ps(no, yes, mask) }
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: the caller vouches for eight rows of eight values on both sides.
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 8];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_ps(from.add(i * from_stride));
            }
            // Four rows make four vectors; each half of vector j holds one column
            // of the four rows.
            for four in rows.chunks_exact_mut(4) {
                let a = _mm256_unpacklo_ps(four[0], four[1]);
                let b = _mm256_unpackhi_ps(four[0], four[1]);
                let c = _mm256_unpacklo_ps(four[2], four[3]);
                let d = _mm256_unpackhi_ps(four[2], four[3]);
                four[0] = _mm256_shuffle_ps::<0x44>(a, c);
                four[1] = _mm256_shuffle_ps::<0xee>(a, c);
                four[2] = _mm256_shuffle_ps::<0x44>(b, d);
                four[3] = _mm256_shuffle_ps::<0xee>(b, d);
            }
            for j in 0..4 {
                let low = _mm256_permute2f128_ps::<0x20>(rows[j], rows[4 + j]);
                let high = _mm256_permute2f128_ps::<0x31>(rows[j], rows[4 + j]);
                _mm256_storeu_ps(to.add(j * to_stride), low);
                _mm256_storeu_ps(to.add((4 + j) * to_stride), high);
            }
        }
    }
}
