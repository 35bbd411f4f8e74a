//! Random numbers that are the same on every machine.

/// The generator xoshiro256++ (Blackman and Vigna 2019), seeded through splitmix64.
///
/// Own code, so that no new version of a library can change the world.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// The numbers of a `stream` of a picture's `seed`: what one part of the picture draws never
    /// shifts what another part gets.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let state = std::array::from_fn(|_| splitmix64(&mut mixed));
        Self { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number in 0..1, 1 excluded.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// A number between `low` and `high`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A bell-shaped number around 0, within -`limit`..`limit`: the mean of four even ones.
    pub fn bell(&mut self, limit: f32) -> f32 {
        let sum: f32 = (0..4).map(|_| self.range(-1.0, 1.0)).sum();
        limit * sum / 4.0
    }

    /// A whole number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// One of the `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// One step of splitmix64 (Steele, Lea and Flood 2014).
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_agrees_with_the_reference() {
        // The first outputs for the seed 1234567, as in the authors' test vectors.
        let mut state = 1_234_567;
        let first: Vec<u64> = (0..3).map(|_| splitmix64(&mut state)).collect();
        let reference =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, reference);
    }

    #[test]
    fn xoshiro_agrees_with_the_reference() {
        // The state 1, 2, 3, 4, as in the tests of the crate rand_xoshiro.
        let mut random = Random { state: [1, 2, 3, 4] };
        let first: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn numbers_stay_in_their_ranges_and_fill_them() {
        let mut random = Random::new(5, 0);
        let (mut low, mut high, mut seen) = (f32::MAX, f32::MIN, [false; 7]);
        for _ in 0..2000 {
            let x = random.range(-2.0, 3.0);
            (low, high) = (low.min(x), high.max(x));
            seen[random.below(7)] = true;
            assert!(random.bell(0.5).abs() <= 0.5);
        }
        assert!((-2.0..-1.9).contains(&low) && (2.9..3.0).contains(&high), "{low} {high}");
        assert_eq!(seen, [true; 7]);
    }

    #[test]
    fn streams_of_a_seed_differ() {
        assert_ne!(Random::new(1, 0).bits(), Random::new(1, 1).bits());
        assert_ne!(Random::new(1, 0).bits(), Random::new(2, 0).bits());
    }
}
