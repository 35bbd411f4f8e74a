//! Logarithm, sine and cosine in f32 as PyTorch's vectorised Box-Muller
//! computes them: the polynomials of the Cephes library (Moshier 1992), every
//! product and sum fused where its compiler fuses them.

/// Natural logarithm of a positive number.
pub(super) fn ln(x: f32) -> f32 {
    const SQRT_HALF: f32 = 0.707_106_77;
    const POLYNOMIAL: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let (mut mantissa, mut exponent) = split(x);
    let small = mantissa < SQRT_HALF;
    let again = if small { mantissa } else { 0.0 };
    mantissa -= 1.0;
    if small {
        exponent -= 1.0;
    }
    mantissa += again;
    let square = mantissa * mantissa;
    let mut y = horner(&POLYNOMIAL, mantissa);
    y *= mantissa;
    y *= square;
    y = exponent.mul_add(-2.121_944_4e-4, y);
    y = square.mul_add(-0.5, y);
    exponent.mul_add(0.693_359_4, mantissa + y)
}

/// Mantissa in `0.5..1.0` and exponent of a positive normal number.
fn split(x: f32) -> (f32, f32) {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as i32 - 126;
    (f32::from_bits((bits & 0x7f_ffff) | 0x3f00_0000), exponent as f32)
}

/// Sine and cosine of an angle from 0 to a few turns.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    const FOUR_BY_PI: f32 = 1.273_239_5;
    /// An eighth of a turn in three parts.
    const EIGHTH: [f32; 3] = [-0.785_156_25, -2.418_756_5e-4, -3.774_895e-8];
    const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
    const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
    let octant = ((angle * FOUR_BY_PI) as i32 + 1) & !1;
    let x = EIGHTH.iter().fold(angle, |x, part| (octant as f32).mul_add(*part, x));
    let z = x * x;
    let cosine = z.mul_add(-0.5, horner(&COSINE, z) * z * z) + 1.0;
    let sine = (horner(&SINE, z) * z).mul_add(x, x);
    let (sine, cosine) = if octant & 2 == 0 { (sine, cosine) } else { (cosine, sine) };
    let signed = |value: f32, negative: bool| if negative { -value } else { value };
    (signed(sine, octant & 4 != 0), signed(cosine, (octant - 2) & 4 == 0))
}

fn horner(coefficients: &[f32], x: f32) -> f32 {
    coefficients[1..].iter().fold(coefficients[0], |y, c| y.mul_add(x, *c))
}
