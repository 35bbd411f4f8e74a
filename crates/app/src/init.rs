//! What pictures may start from instead of noise alone.

use std::path::{Path, PathBuf};

use diffusion::{Base, vae::Posterior};
use engine::Device;
use formats::TensorFile;
use images::{Filter, cover, read_photo};

use crate::{Error, Result};

/// Encodes a picture that was made to fill `(width, height)` pixels; what
/// stands over is cut off evenly.
pub fn encode(
    path: &Path,
    base: &Base,
    (width, height): (usize, usize),
    device: &Device,
) -> Result<Posterior> {
    let picture = cover(&read_photo(path)?, width, height, Filter::Lanczos);
    let pixels = engine::tensor(picture.to_unit(), [1, height, width, 3], device);
    Ok(base.vae_encoder()?.forward(pixels))
}

/// Latents to start from.
pub struct InitLatents {
    path: PathBuf,
    /// A picture each, `[channels, height, width]`.
    pub rows: Vec<Vec<f32>>,
    /// Pixels.
    width: usize,
    height: usize,
}

/// Names under which latents are looked for.
pub const INIT_LATENTS: &str = "init_latents";
pub const LATENTS: &str = "latents";

impl InitLatents {
    /// Reads `init_latents`, else `latents`, else the only tensor of a file:
    /// `[pictures, channels, height, width]`, from the `first` picture on.
    pub fn read(path: &Path, first: usize, base: &Base) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let names: Vec<&str> = file.names().collect();
        let named = [INIT_LATENTS, LATENTS].into_iter().find(|name| file.contains(name));
        let name = match (named, names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            _ => INIT_LATENTS,
        };
        let channels = base.configs().vae.latent_channels;
        let shape = file.info(name)?.shape.clone();
        let [count, found, h, w] = shape[..] else {
            let what = format!("{name} has shape {shape:?}, expected [pictures, {channels}, h, w]");
            return Err(Error::path(path, what));
        };
        if count <= first || found != channels || h == 0 || w == 0 {
            let what = format!("{name} has shape {shape:?}, expected [pictures, {channels}, h, w]");
            return Err(Error::path(path, what));
        }
        let values = file.f32(name)?;
        let rows = values.chunks(channels * h * w).skip(first).map(<[f32]>::to_vec).collect();
        let factor = base.configs().vae.factor();
        Ok(Self { path: path.to_owned(), rows, width: w * factor, height: h * factor })
    }

    /// The latents decide the size; options may only agree.
    pub fn size(&self, width: Option<usize>, height: Option<usize>) -> Result<(usize, usize)> {
        let agrees = |typed: Option<usize>, own| typed.is_none_or(|typed| typed == own);
        if agrees(width, self.width) && agrees(height, self.height) {
            return Ok((self.width, self.height));
        }
        Err(Error::Usage(format!(
            "{} holds latents for {}x{} pixels: leave --width and --height out",
            self.path.display(),
            self.width,
            self.height
        )))
    }
}
