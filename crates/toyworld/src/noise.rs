//! Smooth random textures.

use crate::colour::mix;
use crate::random::Random;

/// Value noise: random numbers on the points of a grid, smoothly joined.
#[derive(Clone, Copy)]
pub(crate) struct Noise {
    seed: u32,
}

impl Noise {
    pub fn new(random: &mut Random) -> Self {
        Self { seed: random.bits() as u32 }
    }

    /// The number 0..1 of the grid point, or of the thing with this index.
    pub fn cell(self, x: i32, y: i32) -> f32 {
        let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
        h ^= self.seed;
        h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
        h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
        (h >> 8) as f32 / 16_777_216.0
    }

    /// The noise at a place, 0..1; its blobs are about as wide as 1.
    pub fn at(self, x: f32, y: f32) -> f32 {
        let (i, j) = (floor(x), floor(y));
        let ease = |t: f32| t * t * (3.0 - 2.0 * t);
        let (tx, ty) = (ease(x - i as f32), ease(y - j as f32));
        let (i1, j1) = (i.wrapping_add(1), j.wrapping_add(1));
        let above = mix(self.cell(i, j), self.cell(i1, j), tx);
        let below = mix(self.cell(i, j1), self.cell(i1, j1), tx);
        mix(above, below, ty)
    }

    /// Noise with finer and fainter noise on top, 0..1, centred on 0.5.
    pub fn layered(self, x: f32, y: f32, layers: u32) -> f32 {
        let (mut sum, mut weight, mut scale, mut total) = (0.0, 1.0, 1.0, 0.0);
        for layer in 0..layers {
            // Shifted, so that the grids of the layers do not show.
            let shift = 17.3 * layer as f32;
            sum += weight * self.at(x * scale + shift, y * scale - shift);
            total += weight;
            weight *= 0.5;
            scale *= 2.1;
        }
        sum / total
    }
}

/// The next whole number below. `f32::floor` is a call into a library on older processors; this is
/// most of what painting does.
fn floor(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from(towards_zero as f32 > x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_smooth_and_within_0_to_1() {
        let noise = Noise::new(&mut Random::new(3, 0));
        for i in 0..500 {
            let (x, y) = (i as f32 * 0.173 - 40.0, i as f32 * 0.071);
            let here = noise.layered(x, y, 3);
            assert!((0.0..=1.0).contains(&here));
            assert!((noise.layered(x + 0.001, y, 3) - here).abs() < 0.01);
        }
    }

    #[test]
    fn grid_points_have_the_numbers_of_their_cells() {
        let noise = Noise::new(&mut Random::new(3, 0));
        assert_eq!(noise.at(-4.0, 7.0), noise.cell(-4, 7));
        assert_ne!(noise.cell(0, 1), noise.cell(1, 0));
    }
}
