//! Encoders of pictures and texts: CLIP (Radford et al. 2021, arXiv 2103.00020), DINO
//! (Caron et al. 2021, arXiv 2104.14294) and DINOv2 (Oquab et al. 2023, arXiv
//! 2304.07193), from the files that Hugging Face and their authors publish.

mod config;
mod names;
mod positions;
mod preprocess;
mod text;
mod vit;
mod weights;

use std::path::{Path, PathBuf};

use diffusion::base::{Folder, Inside};
use engine::{Device, Tensor};
use formats::TensorFile;
use images::Picture;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
pub use names::{Layout, Place};
pub use positions::Interpolation;
pub use preprocess::{Crop, Preprocess, Resample, Resize};
pub use text::TextTower;
use text::{MERGES, Texts};
pub use vit::{Vit, VitConfig};
use weights::Weights;

/// Names of the file of weights in a folder, the best first.
pub const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// The file of a folder without which it is no encoder.
pub const CONFIG: &str = "config.json";

/// Files of a folder that are read where there are any.
pub const OPTIONAL: [&str; 2] = [PREPROCESSOR, MERGES];

/// Where a folder says how pictures are made ready.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Which training an encoder comes from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Family {
    /// Pictures and texts in one space.
    #[serde(rename = "CLIP")]
    Clip,
    /// Pictures alone, by self-distillation.
    #[serde(rename = "DINO")]
    Dino,
    /// The same with more data.
    #[serde(rename = "DINOv2")]
    Dinov2,
}

impl Family {
    /// The name it is known by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "CLIP",
            Self::Dino => "DINO",
            Self::Dinov2 => "DINOv2",
        }
    }

    /// Epsilon of the layer norms in its authors' programs.
    fn epsilon(self) -> f64 {
        match self {
            Self::Clip => 1e-5,
            Self::Dino | Self::Dinov2 => 1e-6,
        }
    }
}

/// What a report says of an encoder.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Description {
    /// Such as `CLIP ViT-B/32`.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// The file of weights.
    pub file: PathBuf,
    /// SHA-256 of it.
    pub sha256: String,
    /// How pictures are made ready.
    pub preprocess: Preprocess,
}

/// Digits of a fingerprint, of the 64.
const FINGERPRINT: usize = 12;

impl Description {
    /// Its name with the beginning of its file's SHA-256: scores of two encoders are
    /// never comparable, whatever they are called.
    pub fn fingerprint(&self) -> String {
        let Self { name, sha256, .. } = self;
        format!("{name} {}", sha256.get(..FINGERPRINT).unwrap_or(sha256))
    }
}

/// An encoder, ready to use.
pub struct Encoder {
    description: Description,
    vit: Vit,
    text: Option<Texts>,
}

/// Pictures in one pass.
const BATCH: usize = 8;

impl Encoder {
    /// Opens a folder in Hugging Face's layout, or one file of weights, which may lie in
    /// such a folder.
    ///
    /// # Errors
    /// If files are missing or damaged, or hold something else.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let (file, folder) = locate(path)?;
        let folder = folder.as_deref().map(Folder::Disk);
        Self::read(TensorFile::open(file)?, folder, None, device)
    }

    /// Opens a folder that is part of the program; its name stands for its path, and for
    /// the family in the encoder's name.
    ///
    /// # Errors
    /// As [`Encoder::open`].
    pub fn inside(name: &str, files: Inside, device: &Device) -> Result<Self> {
        let folder = Folder::Inside(Path::new(name), files);
        Self::read(folder.tensors(WEIGHTS[0])?, Some(folder), Some(name), device)
    }

    fn read(
        file: TensorFile,
        folder: Option<Folder>,
        name: Option<&str>,
        device: &Device,
    ) -> Result<Self> {
        let weights = Weights::new(file, device)?;
        // A file under its authors' own names has no configuration: what lies beside it
        // belongs to another.
        let hugging = !matches!(
            weights.layout(),
            Layout::OpenAiClip | Layout::FacebookDino | Layout::FacebookDinov2
        );
        let folder = folder.filter(|_| hugging);
        let read = |name: &str| {
            let folder = folder.filter(|folder| folder.has(name));
            folder.map(|folder| folder.json(name).map(|(json, _)| json)).transpose()
        };
        let config = read(CONFIG)?;
        let family = match weights.layout() {
            Layout::HuggingFaceClip | Layout::OpenAiClip => Family::Clip,
            Layout::HuggingFaceVit | Layout::FacebookDino => Family::Dino,
            Layout::HuggingFaceDinov2 | Layout::FacebookDinov2 => Family::Dinov2,
        };
        let vit = Vit::build(config::vit(&weights, family, config.as_ref())?, &weights)?;
        let VitConfig { width, patch, grid, .. } = *vit.config();
        let wrong = |what| Error::encoder(weights.file().path(), what);
        let own = Preprocess::of(family, patch * grid);
        let preprocess = match read(PREPROCESSOR)? {
            Some(json) => Preprocess::from_json(&json, &own).map_err(wrong)?,
            None => own,
        };
        preprocess.check(patch).map_err(wrong)?;
        let text = match family {
            Family::Clip => {
                let config = config::text(&weights, config.as_ref())?;
                Some(Texts::build(&config, &weights, folder)?)
            }
            _ => None,
        };
        let name = name.unwrap_or_else(|| family.name());
        let description = Description {
            name: format!("{name} ViT-{}/{patch}", size(width)),
            family,
            file: weights.file().path().to_owned(),
            sha256: weights.file().sha256()?,
            preprocess,
        };
        Ok(Self { description, vit, text })
    }

    /// What it is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Features of pictures, each of length 1, as many values each.
    pub fn pictures(&self, pictures: &[Picture]) -> Vec<Vec<f32>> {
        let size = self.description.preprocess.size();
        let features = |batch: &[Picture]| {
            let pixels = |picture| self.description.preprocess.pixels(picture);
            let pixels: Vec<f32> = batch.iter().flat_map(pixels).collect();
            unit_rows(self.vit.forward(&pixels, size))
        };
        let all = pictures.chunks(BATCH).flat_map(features).collect();
        engine::release_buffers();
        all
    }

    /// Features of texts, each of length 1, in the same space.
    ///
    /// # Errors
    /// If the encoder has no text tower.
    pub fn texts(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        match &self.text {
            Some(own) => own.features(texts),
            None => Err(Error::encoder(
                &self.description.file,
                format!("{} knows no texts: use a CLIP", self.description.name),
            )),
        }
    }

    /// Whether it has a text tower.
    pub fn knows_texts(&self) -> bool {
        self.text.is_some()
    }
}

/// The file of weights, and the folder that describes it.
fn locate(path: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    if !path.is_dir() {
        return Ok((path.to_owned(), path.parent().map(Path::to_owned)));
    }
    let names = WEIGHTS.map(|name| path.join(name));
    match names.into_iter().find(|file| file.is_file()) {
        Some(file) => Ok((file, Some(path.to_owned()))),
        None => Err(Error::encoder(
            path,
            format!("it holds no {}: name the file of weights itself", WEIGHTS.join(" and no ")),
        )),
    }
}

/// The letter that the size of a vision transformer is known by.
fn size(width: usize) -> String {
    match width {
        192 => "Ti".into(),
        384 => "S".into(),
        768 => "B".into(),
        1024 => "L".into(),
        1280 => "H".into(),
        other => other.to_string(),
    }
}

/// The rows of a tensor, each made of length 1.
fn unit_rows(rows: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = rows.dims();
    let values = engine::values(rows);
    let unit = |row: &[f32]| {
        let square: f64 = row.iter().map(|&v| f64::from(v).powi(2)).sum();
        row.iter().map(|&v| (f64::from(v) / square.sqrt()) as f32).collect()
    };
    values.chunks_exact(width).map(unit).collect()
}
