//! Random numbers as PyTorch's CUDA generator draws them.

/// Multipliers and key increments of Philox 4x32 (Salmon et al. 2011).
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const INCREMENTS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// cuRAND's factors from 32 random bits to `0..1` and to `0..2 pi`, in f32 as there.
const UNIT: f32 = 2.328_306_4e-10;
const TURN: f32 = (2.328_306_4e-10_f64 * 6.283_185_5) as f32;

/// PyTorch's CUDA generator, for `randn` only.
///
/// A graphics card draws every value from a counter of its own: the key is the seed, the
/// counter the value's number and that of the call. A card with fewer threads than values
/// (some 40 000 on small ones, 200 000 on large ones; latents of 512x512 pixels are
/// 16 384) draws the rest in another order. The normal numbers are computed in f64
/// and rounded once, as AUTOMATIC1111's `rng_philox.py` does it for cards' noise
/// on a processor; a card's own fast sines are off by up to 2e-5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaRng {
    seed: u64,
    calls: u32,
}

impl CudaRng {
    /// The generator after `torch.cuda.manual_seed(seed)`.
    pub fn new(seed: u64) -> Self {
        Self { seed, calls: 0 }
    }

    /// `torch.randn(count, device="cuda")`: normal numbers in f32.
    ///
    /// # Panics
    /// If `count` is above 2^32.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        let count = u32::try_from(count).expect("fewer values than counters");
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let call = self.calls;
        self.calls += 1;
        (0..count).map(|i| normal(philox([call, 0, i, 0], key))).collect()
    }
}

/// Philox 4x32-10.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let [a, b] = [0, 1].map(|i| u64::from(counter[2 * i]) * u64::from(MULTIPLIERS[i]));
        let high = |product: u64| (product >> 32) as u32;
        counter =
            [high(b) ^ counter[1] ^ key[0], b as u32, high(a) ^ counter[3] ^ key[1], a as u32];
        key = [0, 1].map(|i| key[i].wrapping_add(INCREMENTS[i]));
    }
    counter
}

/// The first value of cuRAND's Box-Muller pair.
fn normal([x, y, ..]: [u32; 4]) -> f32 {
    let scaled = |bits: u32, unit: f32| f64::from(bits) * f64::from(unit) + f64::from(unit / 2.0);
    let radius = (-2.0 * scaled(x, UNIT).ln()).sqrt();
    (radius * scaled(y, TURN).sin()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: &[f32], want: &[f32], tolerance: f32) {
        assert_eq!(got.len(), want.len());
        for (i, (a, b)) in got.iter().zip(want).enumerate() {
            assert!((a - b).abs() <= tolerance, "[{i}]: {a} instead of {b}");
        }
    }

    /// Random123's own known answers (`kat_vectors`).
    #[test]
    fn philox_gives_its_known_answers() {
        let zeros = [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8];
        assert_eq!(philox([0; 4], [0; 2]), zeros);
        let ones = [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd];
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), ones);
        let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let digits_of_pi = [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1];
        assert_eq!(philox(counter, [0xa409_3822, 0x299f_31d0]), digits_of_pi);
    }

    /// The expected output in the documentation of AUTOMATIC1111's `rng_philox.py`.
    #[test]
    fn normal_numbers_are_those_of_other_programs_on_a_processor() {
        let want: [f64; 12] = [
            -0.924_662_59,
            -0.425_344_15,
            -2.643_845_7,
            0.145_183_88,
            -0.120_866_47,
            -0.579_725_64,
            -0.622_851_22,
            -0.328_387_09,
            -1.074_542_31,
            -0.363_144_07,
            -1.671_050_67,
            2.265_504_97,
        ];
        assert_near(&CudaRng::new(0).randn(12), &want.map(|v| v as f32), 1e-6);
    }

    /// The first 64 normal numbers of seed 0 on a graphics card (compute capability 7.5), as
    /// PyTorch prints them: the tensor "Input" in K. Sharma's notes "CUDA Mode - Fusing Kernels
    /// Talk" (2024), which were drawn with `torch.randn` after `torch.manual_seed(0)`.
    #[test]
    fn normal_numbers_are_those_of_a_graphics_card() {
        let want = [
            -0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284, -1.0745,
            -0.3631, -1.6711, 2.2655, 0.3117, -0.1842, 1.2866, 1.1820, -0.1271, 1.2169, 1.4353,
            1.0605, -0.4941, -1.4244, -0.7244, -1.2973, 0.0697, -0.0074, 1.8969, 0.6878, -0.0779,
            -0.8373, 1.3506, -0.2879, -0.5965, -0.3283, -0.9086, -0.8059, -0.7407, -0.0504, 0.5435,
            1.5150, 0.0141, 0.4532, 1.6349, 0.7124, -0.1806, 1.0252, -1.4622, -0.7554, -0.1836,
            0.3824, 0.3918, -0.0830, 0.8971, -1.1123, 0.1116, 0.4863, -0.5499, -0.3231, -0.5469,
            0.9049, 0.2837, 0.1210, 0.4730, -1.0823,
        ];
        assert_near(&CudaRng::new(0).randn(64), &want, 7e-5);
    }

    #[test]
    fn calls_and_seeds_differ_beyond_32_bits() {
        let mut rng = CudaRng::new(7);
        let (first, second) = (rng.randn(4), rng.randn(4));
        assert_ne!(first, second);
        assert_eq!(CudaRng::new(7).randn(2), first[..2], "a value depends on its number alone");
        assert_ne!(CudaRng::new(7 + (1 << 32)).randn(4), first);
    }
}
