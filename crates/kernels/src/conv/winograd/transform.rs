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

/// A matrix applied to a column of `I` vectors.
///
/// A transform's three matrices differ in their sizes, which tell them apart. (They are
/// no closures, because those would not be inlined, see [`crate::simd`].)
pub(super) trait Matrix<const I: usize, const O: usize>: Copy {
    fn apply<S: Simd>(self, s: S, column: [S::V; I]) -> [S::V; O];
}

/// The transforms of `F(M x M, 3 x 3)` on tiles of `T = M + 2`: `G` of kernels, `B^T` of
/// the input, `A^T` of the output.
pub(super) trait Transform<const T: usize, const M: usize>:
    Matrix<3, T> + Matrix<T, T> + Matrix<T, M> + Send + Sync
{
    /// Where each frequency stands in the transform of the reversed kernel.
    const MIRROR: [usize; T];
}

/// F(2x2, 3x3) at `0, 1, -1, infinity`.
#[derive(Clone, Copy)]
pub(super) struct F2;

impl Transform<4, 2> for F2 {
    const MIRROR: [usize; 4] = [3, 1, 2, 0];
}

impl Matrix<3, 4> for F2 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [g0, g1, g2]: [S::V; 3]) -> [S::V; 4] {
        let half = s.splat(0.5);
        let even = s.mul(half, s.add(g0, g2));
        [g0, s.mul_add(half, g1, even), s.neg_mul_add(half, g1, even), g2]
    }
}

impl Matrix<4, 4> for F2 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [d0, d1, d2, d3]: [S::V; 4]) -> [S::V; 4] {
        [s.sub(d0, d2), s.add(d1, d2), s.sub(d2, d1), s.sub(d3, d1)]
    }
}

impl Matrix<4, 2> for F2 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [m0, m1, m2, m3]: [S::V; 4]) -> [S::V; 2] {
        [s.add(m0, s.add(m1, m2)), s.add(s.sub(m1, m2), m3)]
    }
}

/// F(4x4, 3x3) at `0, ±sqrt(1/2), ±sqrt(2), infinity`.
#[derive(Clone, Copy)]
pub(super) struct F4;

impl Transform<6, 4> for F4 {
    const MIRROR: [usize; 6] = [5, 3, 4, 1, 2, 0];
}

impl Matrix<3, 6> for F4 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [g0, g1, g2]: [S::V; 3]) -> [S::V; 6] {
        let (third, two_thirds) = (s.splat(1.0 / 3.0), s.splat(2.0 / 3.0));
        let odd = s.mul(s.splat(SQRT_2 / 3.0), g1);
        let near = s.mul_add(two_thirds, g0, s.mul(third, g2));
        let far = s.mul_add(third, g0, s.mul(two_thirds, g2));
        [g0, s.add(near, odd), s.sub(near, odd), s.add(far, odd), s.sub(far, odd), g2]
    }
}

impl Matrix<6, 6> for F4 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [d0, d1, d2, d3, d4, d5]: [S::V; 6]) -> [S::V; 6] {
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
}

impl Matrix<6, 4> for F4 {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, [m0, m1, m2, m3, m4, m5]: [S::V; 6]) -> [S::V; 4] {
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

/// Applies a matrix along both dimensions of a tile.
#[inline(always)]
pub(super) fn both_ways<S: Simd, F: Matrix<I, O>, const I: usize, const O: usize>(
    s: S,
    matrix: F,
    tile: [[S::V; I]; I],
) -> [[S::V; O]; O] {
    let mut half = [[s.zero(); I]; O];
    for column in 0..I {
        let mut line = [s.zero(); I];
        for row in 0..I {
            line[row] = tile[row][column];
        }
        let line: [S::V; O] = matrix.apply(s, line);
        for row in 0..O {
            half[row][column] = line[row];
        }
    }
    let mut whole = [[s.zero(); O]; O];
    for row in 0..O {
        whole[row] = matrix.apply(s, half[row]);
    }
    whole
}
