//! Photos as a method looks at them.

use engine::Tensor;
use images::{Filter, Picture, resize};

/// A photo that a method may look at.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Its latents, as the U-Net wants them: `[1, height, width, channels]`.
    pub latents: Tensor<4>,
    /// What a user drew to be the object in it.
    pub mask: Option<ObjectMask>,
}

impl Reference {
    /// Without a mask of its own.
    pub fn new(latents: Tensor<4>) -> Self {
        Self { latents, mask: None }
    }
}

/// How much of each latent's square the object fills, as a user drew it.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectMask {
    width: usize,
    height: usize,
    coverage: Vec<f32>,
}

impl ObjectMask {
    /// From a picture that is white on the object, for `width` x `height` latents;
    /// `None` if the object is too small for any of them.
    pub fn drawn(mask: &Picture, width: usize, height: usize) -> Option<Self> {
        let small = resize(mask, width, height, Filter::Bilinear);
        let coverage = small.rgb().iter().step_by(3).map(|&white| f32::from(white) / 255.0);
        Self::new(width, height, coverage.collect())
    }

    /// From shares in 0 to 1, row by row; `None` if all are zero, or another number of
    /// values.
    pub fn new(width: usize, height: usize, coverage: Vec<f32>) -> Option<Self> {
        let fits =
            coverage.len() == width * height && coverage.iter().all(|v| (0.0..=1.0).contains(v));
        (fits && coverage.iter().any(|&v| v > 0.0)).then_some(Self { width, height, coverage })
    }

    /// The shares, row by row.
    pub fn coverage(&self) -> &[f32] {
        &self.coverage
    }

    /// The patches of a layer that the object fills to a half at least, row by row; of
    /// an object that fills none so far, those that it fills most. `stride` latents
    /// make a patch, along a side.
    pub fn patches(&self, stride: usize) -> Vec<bool> {
        let (across, down) = (self.width.div_ceil(stride), self.height.div_ceil(stride));
        let share = |i: usize| {
            let (x, y) = (i % across * stride, i / across * stride);
            let (width, height) = ((self.width - x).min(stride), (self.height - y).min(stride));
            let row = |y: usize| &self.coverage[y * self.width + x..][..width];
            let sum: f32 = (y..y + height).flat_map(row).sum();
            sum / (width * height) as f32
        };
        let shares: Vec<f32> = (0..across * down).map(share).collect();
        let most = shares.iter().copied().fold(0.0, f32::max);
        shares.iter().map(|&share| share >= most.min(0.5)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(patches: Vec<bool>) -> Vec<usize> {
        patches.iter().enumerate().filter(|(_, keep)| **keep).map(|(i, _)| i).collect()
    }

    #[test]
    fn patches_are_kept_where_the_object_fills_half_of_them() {
        let mut coverage = vec![0.0; 12];
        for i in [0, 1, 4, 6, 11] {
            coverage[i] = 1.0;
        }
        let mask = ObjectMask::new(4, 3, coverage).unwrap();
        assert_eq!(kept(mask.patches(1)), [0, 1, 4, 6, 11]);
        // Three of four, one of four; nothing, and one of two.
        assert_eq!(kept(mask.patches(2)), [0, 3]);
        assert_eq!(kept(mask.patches(4)), [0], "five of twelve is the most there is");
    }

    #[test]
    fn a_drawing_is_scaled_to_the_latents() {
        let pixel = |i: usize| if i % 64 < 32 { [255; 3] } else { [0; 3] };
        let drawing = Picture::from_rgb(64, 64, (0..64 * 64).flat_map(pixel).collect());
        let mask = ObjectMask::drawn(&drawing, 8, 4).unwrap();
        assert_eq!(kept(mask.patches(1))[..5], [0, 1, 2, 3, 8]);
        assert_eq!(kept(mask.patches(2)), [0, 1, 4, 5]);
        assert!(ObjectMask::drawn(&Picture::filled(64, 64, [0; 3]), 8, 4).is_none());
        assert!(ObjectMask::new(2, 2, vec![f32::NAN; 4]).is_none());
    }
}
