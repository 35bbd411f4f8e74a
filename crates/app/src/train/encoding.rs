//! Photos and pictures of the classes become latents.

use std::path::{Path, PathBuf};

use diffusion::{Base, vae::Encoder};
use engine::Device;
use images::Picture;
use personalize::{
    Error as RunError, Recipe,
    dataset::{Dataset, Encoded},
};

use crate::{Error, Result, adapter_file::masked};

/// Photos with the files that they come from.
pub(super) type Photos = Vec<(PathBuf, Picture)>;

/// The encoder of a base model, at a recipe's size.
pub(super) struct Encoding<'a> {
    vae: Encoder,
    scale: f64,
    recipe: &'a Recipe,
    device: &'a Device,
}

impl<'a> Encoding<'a> {
    pub fn new(base: &Base, recipe: &'a Recipe, device: &'a Device) -> Result<Self> {
        let (vae, scale) = (base.vae_encoder()?, base.configs().vae.scaling_factor);
        Ok(Self { vae, scale, recipe, device })
    }

    /// The latents of photos, and of their mirror images if the recipe has flips.
    ///
    /// # Errors
    /// If some are not finite, or a drawn mask does not fit.
    pub fn encode(&self, photos: &Photos) -> Result<Vec<Encoded>> {
        let one = |(path, photo): &(PathBuf, Picture)| {
            let mut encoded = masked(self.picture(path, photo)?, photo)?;
            if self.recipe.flips {
                encoded.mirrored = Some(Box::new(self.picture(path, &photo.mirrored())?));
            }
            Ok(encoded)
        };
        photos.iter().map(one).collect()
    }

    /// The dataset without pictures of the classes.
    pub fn dataset(&self, photos: &Photos, concepts: &[Photos]) -> Result<Dataset> {
        let concepts = concepts.iter().map(|photos| self.encode(photos)).collect::<Result<_>>()?;
        Ok(Dataset { photos: self.encode(photos)?, concepts, classes: Vec::new() })
    }

    fn picture(&self, path: &Path, picture: &Picture) -> Result<Encoded> {
        let size = (self.recipe.size, self.recipe.size);
        let encoded = Encoded::new(path, picture, size, &self.vae, self.scale, self.device);
        if engine::values(encoded.mode()).iter().all(|v| v.is_finite()) {
            return Ok(encoded);
        }
        Err(Error::from(RunError::NotFinite {
            tensor: "the latents".into(),
            place: path.display().to_string(),
            advice: "the base model's VAE is damaged".into(),
        }))
    }
}
