//! Plain Rust over arrays; the twin that the intrinsics are tested against.

use half::bf16;

use super::{Level, Simd};

/// Token of [`Level::Portable`].
#[derive(Clone, Copy)]
pub(crate) struct Portable;

type Lanes = [f32; 8];

#[inline(always)]
fn zip(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    std::array::from_fn(|i| f(a[i], b[i]))
}

// SAFETY: eight lanes, and every access is to eight values, or eight pairs.
unsafe impl Simd for Portable {
    type V = Lanes;
    type M = [bool; 8];

    const LEVEL: Level = Level::Portable;
    // The baseline of x86-64 has 16 registers of 4 lanes: 8 hold the tile.
    const TILE_ROWS: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Lanes {
        // SAFETY: the caller vouches for eight values at `from`.
        unsafe { from.cast::<Lanes>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: Lanes) {
        // SAFETY: the caller vouches for eight values at `to`.
        unsafe { to.cast::<Lanes>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut bf16, v: Lanes) {
        // SAFETY: the caller vouches for eight values at `to`.
        unsafe { to.cast::<[bf16; 8]>().write_unaligned(v.map(bf16::from_f32)) }
    }

    #[inline(always)]
    unsafe fn load_bf16_pairs(self, from: *const bf16) -> (Lanes, Lanes) {
        // SAFETY: the caller vouches for eight pairs at `from`.
        let pairs = unsafe { from.cast::<[[u16; 2]; 8]>().read_unaligned() };
        let widen = |bits: u16| f32::from_bits(u32::from(bits) << 16);
        (pairs.map(|pair| widen(pair[0])), pairs.map(|pair| widen(pair[1])))
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a / b)
    }

    // `f32::mul_add` without the instruction is a slow library call.
    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        std::array::from_fn(|i| c[i] - a[i] * b[i])
    }

    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self, a: Lanes) -> Lanes {
        a.map(f32::sqrt)
    }

    #[inline(always)]
    fn round(self, a: Lanes) -> Lanes {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn abs(self, a: Lanes) -> Lanes {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: Lanes, sign: Lanes) -> Lanes {
        zip(magnitude, sign, f32::copysign)
    }

    #[inline(always)]
    fn scale_exp2(self, a: Lanes, n: Lanes) -> Lanes {
        zip(a, n, |a, n| {
            let n = n as i32;
            let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
            a * power(n >> 1) * power(n - (n >> 1))
        })
    }

    #[inline(always)]
    fn less(self, a: Lanes, b: Lanes) -> [bool; 8] {
        std::array::from_fn(|i| a[i] < b[i])
    }

    #[inline(always)]
    fn select(self, mask: [bool; 8], yes: Lanes, no: Lanes) -> Lanes {
        std::array::from_fn(|i| if mask[i] { yes[i] } else { no[i] })
    }
}
