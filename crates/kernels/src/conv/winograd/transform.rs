//! The transforms of Winograd's minimal filtering, one dimension at a time.
//!
//! With a kernel `g` and a tile `d`, `conv(d, g) = A^T [(G g G^T) (B^T d B)] A`, where
//! the middle product is elementwise. The matrices evaluate polynomials at points and
//! interpolate them again. Both sets of points used here, `0, 1, -1, infinity` and
//! `0, ±sqrt(1/2), ±sqrt(2), infinity`, contain the inverse of each point, and the rows
//! of `G` are scaled alike for a point and its inverse. So the transform of a kernel
//! turned by half a circle, which the gradient of the input needs, holds the same
//! values as the kernel's own in another order ([`Transform::MIRROR`]). The usual
//! points of F(4x4), `±1, ±2`, lack that, and their error is four times greater.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use crate::simd::Simd;

/// The transforms of `F(M x M, 3 x 3)` on tiles of `T = M + 2`.
pub(super) trait Transform<const T: usize, const M: usize>: Copy + Send + Sync {
    /// Where each frequency stands in the transform of the reversed kernel.
    const MIRROR: [usize; T];

    /// `G g`
    fn kernel<S: Simd>(self, s: S, g: [S::V; 3]) -> [S::V; T];
    /// `B^T d`
    fn input<S: Simd>(self, s: S, d: [S::V; T]) -> [S::V; T];
    /// `A^T m`
    fn output<S: Simd>(self, s: S, m: [S::V; T]) -> [S::V; M];
}

/// F(2x2, 3x3) at `0, 1, -1, infinity`.
#[derive(Clone, Copy)]
pub(super) struct F2;

impl Transform<4, 2> for F2 {
    const MIRROR: [usize; 4] = [3, 1, 2, 0];

    #[inline(always)]
    fn kernel<S: Simd>(self, s: S, [g0, g1, g2]: [S::V; 3]) -> [S::V; 4] {
        let half = s.splat(0.5);
        let even = s.mul(half, s.add(g0, g2));
        [g0, s.mul_add(half, g1, even), s.neg_mul_add(half, g1, even), g2]
    }

    #[inline(always)]
    fn input<S: Simd>(self, s: S, [d0, d1, d2, d3]: [S::V; 4]) -> [S::V; 4] {
        [s.sub(d0, d2), s.add(d1, d2), s.sub(d2, d1), s.sub(d3, d1)]
    }

    #[inline(always)]
    fn output<S: Simd>(self, s: S, [m0, m1, m2, m3]: [S::V; 4]) -> [S::V; 2] {
        [s.add(m0, s.add(m1, m2)), s.add(s.sub(m1, m2), m3)]
    }
}

/// F(4x4, 3x3) at `0, ±sqrt(1/2), ±sqrt(2), infinity`.
#[derive(Clone, Copy)]
pub(super) struct F4;

impl Transform<6, 4> for F4 {
    const MIRROR: [usize; 6] = [5, 3, 4, 1, 2, 0];

    #[inline(always)]
    fn kernel<S: Simd>(self, s: S, [g0, g1, g2]: [S::V; 3]) -> [S::V; 6] {
        let (third, two_thirds) = (s.splat(1.0 / 3.0), s.splat(2.0 / 3.0));
        let odd = s.mul(s.splat(SQRT_2 / 3.0), g1);
        let near = s.mul_add(two_thirds, g0, s.mul(third, g2));
        let far = s.mul_add(third, g0, s.mul(two_thirds, g2));
        [g0, s.add(near, odd), s.sub(near, odd), s.add(far, odd), s.sub(far, odd), g2]
    }

    #[inline(always)]
    fn input<S: Simd>(self, s: S, [d0, d1, d2, d3, d4, d5]: [S::V; 6]) -> [S::V; 6] {
        let root_half = s.splat(FRAC_1_SQRT_2);
        let minus_five_halves = s.splat(-2.5);
        let near_even = s.mul_add(s.splat(2.0), d2, s.neg(d4));
        let near_odd = s.neg_mul_add(root_half, d3, s.mul(s.splat(SQRT_2), d1));
        let far_even = s.mul_add(s.splat(0.5), d4, s.mul(s.splat(-0.25), d2));
        let far_odd = s.mul_add(root_half, d3, s.mul(s.splat(-SQRT_2 / 4.0), d1));
        [
            s.mul_add(minus_five_halves, d2, s.add(d0, d4)),
            s.add(near_even, near_odd),
            s.sub(near_even, near_odd),
            s.add(far_even, far_odd),
            s.sub(far_even, far_odd),
            s.mul_add(minus_five_halves, d3, s.add(d1, d5)),
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(self, s: S, [m0, m1, m2, m3, m4, m5]: [S::V; 6]) -> [S::V; 4] {
        let (near_even, near_odd) = (s.add(m1, m2), s.sub(m1, m2));
        let (far_even, far_odd) = (s.add(m3, m4), s.sub(m3, m4));
        let near_cube = s.mul(s.splat(SQRT_2 / 4.0), near_odd);
        [
            s.add(m0, s.add(near_even, far_even)),
            s.mul_add(s.splat(SQRT_2), far_odd, s.mul(s.splat(FRAC_1_SQRT_2), near_odd)),
            s.mul_add(s.splat(2.0), far_even, s.mul(s.splat(0.5), near_even)),
            s.add(s.mul_add(s.splat(2.0 * SQRT_2), far_odd, near_cube), m5),
        ]
    }
}

/// Applies a transform along both dimensions of a tile.
#[inline(always)]
pub(super) fn both_ways<V: Copy, const I: usize, const O: usize>(
    zero: V,
    tile: [[V; I]; I],
    transform: impl Fn([V; I]) -> [V; O],
) -> [[V; O]; O] {
    let mut half = [[zero; I]; O];
    for column in 0..I {
        let mut line = [zero; I];
        for row in 0..I {
            line[row] = tile[row][column];
        }
        let line = transform(line);
        for row in 0..O {
            half[row][column] = line[row];
        }
    }
    let mut whole = [[zero; O]; O];
    for row in 0..O {
        whole[row] = transform(half[row]);
    }
    whole
}
