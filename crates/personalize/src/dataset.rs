//! The photos as the training sees them: encoded once.

use std::path::{Path, PathBuf};

use diffusion::{layout::to_nchw, vae::Encoder};
use engine::{Device, Tensor};
use images::{Filter, Picture};

use crate::{Error, ObjectMask, Reference, Result, draw::Draw};

/// A photo's latent distribution.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Where it came from.
    pub path: PathBuf,
    mean: Tensor<4>,
    std: Tensor<4>,
    scale: f64,
    mask: Option<ObjectMask>,
    /// The photo with left and right exchanged, if the training looks at it so.
    pub mirrored: Option<Box<Self>>,
}

impl Encoded {
    /// Encodes a photo at a size, in pixels, by plain resizing.
    pub fn new(
        path: &Path,
        photo: &Picture,
        (width, height): (usize, usize),
        vae: &Encoder,
        scale: f64,
        device: &Device,
    ) -> Self {
        let resized = images::resize(photo, width, height, Filter::Bilinear);
        let pixels = engine::tensor(resized.to_unit(), [1, height, width, 3], device);
        let posterior = vae.forward(pixels);
        let (path, mean, std) = (path.to_owned(), posterior.mean(), posterior.std());
        Self { path, mean, std, scale, mask: None, mirrored: None }
    }

    /// With a drawing that is white on the object, as [`images::read_mask`] reads it.
    ///
    /// # Errors
    /// If the object is too small for the photo's latents.
    pub fn with_mask(mut self, drawing: &Picture) -> Result<Self> {
        let [_, height, width, _] = self.mean.dims();
        let mask = ObjectMask::drawn(drawing, width, height);
        self.mask =
            Some(
                mask.ok_or_else(|| Error::Mask {
                    path: images::mask_path(&self.path),
                    what: "the object is too small to be seen at this size: paint more of it white"
                        .into(),
                })?,
            );
        Ok(self)
    }

    /// What was drawn to be the object.
    pub fn mask(&self) -> Option<&ObjectMask> {
        self.mask.as_ref()
    }

    /// The photo as a reference to draw from.
    pub fn reference(&self) -> Reference {
        Reference { latents: self.mode(), mask: self.mask.clone() }
    }

    /// Latents drawn from the posterior, as the U-Net wants them:
    /// `[1, height, width, channels]`. `noise` holds as many normal numbers,
    /// in the order `[channels, height, width]`.
    pub fn sample(&self, noise: Vec<f32>) -> Tensor<4> {
        let [_, h, w, c] = self.mean.dims();
        let noise = diffusion::layout::from_nchw(noise, [1, c, h, w], &self.mean.device());
        (self.mean.clone() + self.std.clone() * noise) * self.scale
    }

    /// The most likely latents, as the U-Net wants them.
    pub fn mode(&self) -> Tensor<4> {
        self.mean.clone() * self.scale
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.mean.shape().num_elements()
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most likely latents for a file: values and shape
    /// `[channels, height, width]`.
    pub fn to_file(&self) -> (Vec<f32>, [usize; 3]) {
        let (values, [_, c, h, w]) = to_nchw(self.mode());
        (values, [c, h, w])
    }
}

/// The encoded photos of a training, each list in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Of the recipe's own thing, at least one.
    pub photos: Vec<Encoded>,
    /// Of the recipe's further concepts.
    pub concepts: Vec<Vec<Encoded>>,
    /// Pictures of the classes, a list for the recipe's own thing and for each concept;
    /// none where the training does not look at any.
    pub classes: Vec<Vec<Encoded>>,
}

impl Dataset {
    /// The photos of a training sample and the number of the thing they show.
    pub fn thing(&self, draw: &Draw, name: &str) -> (usize, &[Encoded]) {
        match choose(draw, name, 1 + self.concepts.len()) {
            0 => (0, &self.photos),
            concept => (concept, &self.concepts[concept - 1]),
        }
    }

    /// The pictures of a class for a training sample, and the number of its thing.
    ///
    /// # Panics
    /// If there are none.
    pub fn class(&self, draw: &Draw, name: &str) -> (usize, &[Encoded]) {
        let concept = choose(draw, name, self.classes.len());
        (concept, &self.classes[concept])
    }
}

/// The things are equally likely, whatever the numbers of their photos.
fn choose(draw: &Draw, name: &str, count: usize) -> usize {
    if count == 1 { 0 } else { draw.below(&format!("{name} concept"), count) }
}

/// The photo and the reference of a training sample: two different ones where there are
/// at least two and it shall not be the `same`.
pub fn pair<'a>(
    photos: &'a [Encoded],
    draw: &Draw,
    name: &str,
    same: bool,
) -> (&'a Encoded, &'a Encoded) {
    let count = photos.len();
    let photo = draw.below(&format!("{name} photo"), count);
    if count == 1 || same {
        return (&photos[photo], &photos[photo]);
    }
    let step = 1 + draw.below(&format!("{name} reference"), count - 1);
    (&photos[photo], &photos[(photo + step) % count])
}
