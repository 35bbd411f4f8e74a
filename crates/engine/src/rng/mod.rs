//! Random numbers as PyTorch's generators draw them: that of the processor, which
//! everything here uses, and [`CudaRng`], that of graphics cards.
//!
//! The processor's is mt19937 (Matsumoto and Nishimura 1998). `randn` has two
//! paths, as `torch.randn` has: below 16 values a Box-Muller pair in f64 at a
//! time, the second of which is kept for the next call; from 16 values on all
//! uniforms first, then Box-Muller over blocks of 16, the last 16 values drawn
//! anew if the count is no multiple of 16. The long path in f32 agrees within
//! one unit in the last place, everything else to the bit.

mod cephes;
mod philox;

use std::f64::consts::TAU;

pub use philox::CudaRng;

const SIZE: usize = 624;
const SHIFT: usize = 397;

/// Values of one vectorised Box-Muller block.
const BLOCK: usize = 16;

/// PyTorch's CPU generator.
#[derive(Clone, Debug, PartialEq)]
pub struct TorchRng {
    state: Vec<u32>,
    index: usize,
    /// Second value of the last pair of the short path.
    kept: Option<f64>,
}

impl TorchRng {
    /// The generator after `torch.manual_seed(seed)`; like there, only the
    /// lower 32 bits of the seed matter.
    pub fn new(seed: u64) -> Self {
        Self { state: seeded(seed as u32), index: SIZE, kept: None }
    }

    /// The stream of a name under a seed, independent of all other names:
    /// mt19937 initialised by the array of the seed's two words and the name's
    /// bytes, a word each (the generator's own `init_by_array`).
    pub fn derive(seed: u64, stream: &str) -> Self {
        let words = [seed as u32, (seed >> 32) as u32];
        let key: Vec<u32> = words.into_iter().chain(stream.bytes().map(u32::from)).collect();
        Self { state: seeded_by(&key), index: SIZE, kept: None }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.index == SIZE {
            twist(&mut self.state);
            self.index = 0;
        }
        let mut y = self.state[self.index];
        self.index += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// 64 random bits, the first draw above the second.
    pub fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        high << 32 | u64::from(self.next_u32())
    }

    /// `torch.rand(count)`: numbers in `0.0..1.0` with 24 random bits.
    pub fn rand(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.uniform_f32()).collect()
    }

    /// `torch.randint(low, high, (count,))`.
    ///
    /// # Panics
    /// If the range is empty.
    pub fn randint(&mut self, low: i64, high: i64, count: usize) -> Vec<i64> {
        assert!(low < high, "an empty range");
        let range = high.abs_diff(low);
        let mut draw = || {
            // Small ranges take one draw, as in PyTorch.
            let bits = if range < 1 << 28 { u64::from(self.next_u32()) } else { self.next_u64() };
            low.wrapping_add((bits % range) as i64)
        };
        (0..count).map(|_| draw()).collect()
    }

    /// `torch.randn(count)`: normal numbers in f32.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.normal() as f32).collect();
        }
        let pair = |u1: f32, u2: f32| {
            let radius = (-2.0 * cephes::ln(1.0 - u1)).sqrt();
            let (sine, cosine) = cephes::sin_cos(std::f32::consts::TAU * u2);
            (radius * cosine, radius * sine)
        };
        self.blocks(count, Self::uniform_f32, pair)
    }

    /// `torch.randn(count, dtype=torch.float64)`.
    pub fn randn_f64(&mut self, count: usize) -> Vec<f64> {
        if count < BLOCK {
            return (0..count).map(|_| self.normal()).collect();
        }
        let pair = |u1: f64, u2: f64| {
            let radius = (-2.0 * (1.0 - u1).ln()).sqrt();
            (radius * (TAU * u2).cos(), radius * (TAU * u2).sin())
        };
        self.blocks(count, Self::uniform_f64, pair)
    }

    fn blocks<T: Copy>(
        &mut self,
        count: usize,
        uniform: impl Fn(&mut Self) -> T,
        pair: impl Fn(T, T) -> (T, T),
    ) -> Vec<T> {
        let mut values: Vec<T> = (0..count).map(|_| uniform(self)).collect();
        let fill = |block: &mut [T]| {
            let (first, second) = block.split_at_mut(BLOCK / 2);
            for (a, b) in first.iter_mut().zip(second) {
                (*a, *b) = pair(*a, *b);
            }
        };
        values.chunks_exact_mut(BLOCK).for_each(fill);
        if !count.is_multiple_of(BLOCK) {
            let tail = &mut values[count - BLOCK..];
            tail.fill_with(|| uniform(self));
            fill(tail);
        }
        values
    }

    /// One value of the short path.
    fn normal(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let (u1, u2) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        self.kept = Some(radius * (TAU * u1).sin());
        radius * (TAU * u1).cos()
    }

    fn uniform_f32(&mut self) -> f32 {
        (self.next_u32() & 0xff_ffff) as f32 / 16_777_216.0
    }

    fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }
}

fn seeded(seed: u32) -> Vec<u32> {
    let mut state = vec![seed];
    for i in 1..SIZE {
        let last = state[i - 1];
        state.push(1_812_433_253u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32));
    }
    state
}

/// The reference implementation's `init_by_array`.
fn seeded_by(key: &[u32]) -> Vec<u32> {
    let mut state = seeded(19_650_218);
    let (mut i, mut j) = (1, 0);
    let mix = |last: u32, factor: u32| (last ^ (last >> 30)).wrapping_mul(factor);
    let advance = |state: &mut Vec<u32>, i: &mut usize| {
        *i += 1;
        if *i == SIZE {
            state[0] = state[SIZE - 1];
            *i = 1;
        }
    };
    for _ in 0..SIZE.max(key.len()) {
        state[i] =
            (state[i] ^ mix(state[i - 1], 1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
        advance(&mut state, &mut i);
        j = (j + 1) % key.len();
    }
    for _ in 1..SIZE {
        state[i] = (state[i] ^ mix(state[i - 1], 1_566_083_941)).wrapping_sub(i as u32);
        advance(&mut state, &mut i);
    }
    state[0] = 0x8000_0000;
    state
}

fn twist(state: &mut [u32]) {
    for i in 0..SIZE {
        let y = (state[i] & 0x8000_0000) | (state[(i + 1) % SIZE] & 0x7fff_ffff);
        let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
        state[i] = state[(i + SHIFT) % SIZE] ^ (y >> 1) ^ odd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_first_words_of_the_reference_implementation() {
        // mt19937ar.out: init_by_array({0x123, 0x234, 0x345, 0x456}).
        let state = seeded_by(&[0x123, 0x234, 0x345, 0x456]);
        let mut rng = TorchRng { state, index: SIZE, kept: None };
        let words: Vec<u32> = (0..5).map(|_| rng.next_u32()).collect();
        assert_eq!(words, [1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476]);
    }

    #[test]
    fn streams_differ_by_name_and_by_seed() {
        let draw = |seed, name| TorchRng::derive(seed, name).next_u64();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1 + (1 << 32), "a"));
    }
}
