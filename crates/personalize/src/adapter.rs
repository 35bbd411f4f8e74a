//! The adapter file: what was learned, in one safetensors file.
//!
//! Tensors: `placeholder_embedding [vectors, width]`; image attention under the
//! names of ViCo's released checkpoints; `photos.N.latents [channels, height,
//! width]`, so that the file is all that generation needs, and `photos.N.mask [height,
//! width]` where the user drew one: the object's share of each latent. Metadata, all
//! beginning with `vico.`: see [`Info`] and the constants here.

use std::{collections::BTreeMap, path::Path};

use diffusion::layout::from_nchw;
use engine::{
    Device,
    params::{Param, Params},
};
use formats::{Array, TensorFile, write_safetensors};

use crate::{Error, ObjectMask, Recipe, Reference, Result, dataset::Encoded};

/// Version of the layout described here.
const FORMAT: &str = "1";
const PHOTOS: &str = "photos.";
const LATENTS: &str = ".latents";
const MASK: &str = ".mask";

/// What an adapter says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Method, `vico`.
    pub method: String,
    /// Text that stands for the learned token.
    pub placeholder: String,
    /// Class word the token started from.
    pub init_word: String,
    /// Name of the base model.
    pub base_name: String,
    /// [`Base::fingerprint`](diffusion::Base::fingerprint) of the base model.
    pub base_fingerprint: String,
    /// The recipe it was trained by.
    pub recipe: Recipe,
    /// Optimizer steps taken.
    pub step: u64,
    /// Version of the program that wrote it.
    pub version: String,
}

/// A training photo, as generation uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// File name of the photo.
    pub name: String,
    /// Its most likely latents, as the U-Net wants them.
    pub latents: Vec<f32>,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// What the user drew to be the object.
    pub mask: Option<ObjectMask>,
}

impl Photo {
    /// Of an encoded photo.
    pub fn new(encoded: &Encoded) -> Self {
        let name = encoded.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (latents, shape) = encoded.to_file();
        Self { name, latents, shape, mask: encoded.mask().cloned() }
    }

    /// The photo as a reference to draw from.
    pub fn reference(&self, device: &Device) -> Reference {
        let [c, h, w] = self.shape;
        let latents = from_nchw(self.latents.clone(), [1, c, h, w], device);
        Reference { latents, mask: self.mask.clone() }
    }
}

/// An adapter in memory.
pub struct Adapter {
    /// What it says of itself.
    pub info: Info,
    /// What was learned.
    pub params: Params,
    /// The training photos, unless they were left out.
    pub photos: Vec<Photo>,
}

impl Adapter {
    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_with(path, &BTreeMap::new(), &BTreeMap::new())
    }

    /// Writes the file with further tensors and metadata.
    pub(crate) fn save_with(
        &self,
        path: &Path,
        more: &BTreeMap<String, &[f32]>,
        more_metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let values: Vec<(&str, Vec<usize>, Vec<f32>)> = self
            .params
            .iter()
            .map(|(name, param)| (name, param.shape().to_vec(), param.values()))
            .collect();
        let mut arrays: BTreeMap<String, Array> = values
            .iter()
            .map(|(name, shape, values)| (name.to_string(), Array::f32(shape, values)))
            .collect();
        let mut metadata = self.info.to_metadata()?;
        for (i, photo) in self.photos.iter().enumerate() {
            let array = Array::f32(&photo.shape, &photo.latents);
            arrays.insert(format!("{PHOTOS}{i}{LATENTS}"), array);
            if let Some(mask) = &photo.mask {
                let array = Array::f32(&photo.shape[1..], mask.coverage());
                arrays.insert(format!("{PHOTOS}{i}{MASK}"), array);
            }
            metadata.insert(format!("vico.{PHOTOS}{i}"), photo.name.clone());
        }
        for (name, values) in more {
            arrays.insert(name.clone(), Array::f32(&[values.len()], values));
        }
        metadata.extend(more_metadata.clone());
        Ok(write_safetensors(path, &arrays, &metadata)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is not an adapter, or one of a later version; says what it is.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let info = Info::from_metadata(&file)?;
        let (mut params, mut photos) = (Params::default(), Vec::new());
        for name in file.names().filter(|name| is_learned(name)) {
            let shape = file.info(name)?.shape.clone();
            params.insert(name, Param::new(finite(&file, name)?, &shape, device));
        }
        while let Some(photo) = read_photo(&file, photos.len())? {
            photos.push(photo);
        }
        Ok(Self { info, params, photos })
    }

    /// A photo by its number, 0 for the first.
    pub fn photo(&self, index: usize, path: &Path) -> Result<&Photo> {
        self.photos.get(index).ok_or_else(|| Error::Adapter {
            path: path.to_owned(),
            what: match self.photos.len() {
                0 => "it was saved without photos: give one with --reference PHOTO".into(),
                n => format!("it has no photo number {index}: choose 0 to {}", n - 1),
            },
        })
    }
}

/// True for the names of what was learned, as against photos and optimizer.
fn is_learned(name: &str) -> bool {
    !name.starts_with(PHOTOS) && !name.starts_with(crate::checkpoint::OPTIMIZER)
}

fn read_photo(file: &TensorFile, index: usize) -> Result<Option<Photo>> {
    let name = format!("{PHOTOS}{index}{LATENTS}");
    let Some(info) = file.get(&name) else { return Ok(None) };
    let shape = info.shape.as_slice().try_into().map_err(|_| Error::Adapter {
        path: file.path().to_owned(),
        what: format!("{name} has shape {:?}, expected [channels, height, width]", info.shape),
    })?;
    let latents = finite(file, &name)?;
    let mask = read_mask(file, index, shape)?;
    let title = file.metadata().get(&format!("vico.{PHOTOS}{index}")).cloned();
    Ok(Some(Photo { name: title.unwrap_or_default(), latents, shape, mask }))
}

fn read_mask(
    file: &TensorFile,
    index: usize,
    [_, height, width]: [usize; 3],
) -> Result<Option<ObjectMask>> {
    let name = format!("{PHOTOS}{index}{MASK}");
    if !file.contains(&name) {
        return Ok(None);
    }
    file.expect_shape(&name, &[height, width])?;
    let mask = ObjectMask::new(width, height, file.f32(&name)?);
    mask.map(Some).ok_or_else(|| Error::Adapter {
        path: file.path().to_owned(),
        what: format!("{name} holds no shares from 0 to 1, some above 0: the file is damaged"),
    })
}

fn finite(file: &TensorFile, name: &str) -> Result<Vec<f32>> {
    let values = file.f32(name)?;
    if values.iter().all(|v| v.is_finite()) {
        return Ok(values);
    }
    Err(Error::NotFinite {
        tensor: name.into(),
        place: file.path().display().to_string(),
        advice: "the adapter is damaged or its training diverged: use an earlier checkpoint".into(),
    })
}

impl Info {
    fn to_metadata(&self) -> Result<BTreeMap<String, String>> {
        let recipe = serde_json::to_string(&self.recipe).expect("a recipe is plain data");
        let entries = [
            ("format", FORMAT.to_owned()),
            ("version", self.version.clone()),
            ("method", self.method.clone()),
            ("placeholder", self.placeholder.clone()),
            ("init_word", self.init_word.clone()),
            ("base.name", self.base_name.clone()),
            ("base.fingerprint", self.base_fingerprint.clone()),
            ("recipe", recipe),
            ("seed", self.recipe.seed.to_string()),
            ("step", self.step.to_string()),
        ];
        Ok(entries.into_iter().map(|(key, value)| (format!("vico.{key}"), value)).collect())
    }

    /// What a file says of itself.
    pub fn from_metadata(file: &TensorFile) -> Result<Self> {
        let path = file.path();
        let wrong = |what: String| Error::Adapter { path: path.to_owned(), what };
        let get = |key: &str| {
            let value = file.metadata().get(&format!("vico.{key}")).cloned();
            value.ok_or_else(|| wrong(format!("its metadata has no vico.{key}")))
        };
        let format = file.metadata().get("vico.format");
        match format.map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                return Err(wrong(format!(
                    "its format is version {other}, this program reads {FORMAT}: update vico"
                )));
            }
            None => return Err(wrong(not_an_adapter(file))),
        }
        let recipe = serde_json::from_str(&get("recipe")?)
            .map_err(|e| wrong(format!("its vico.recipe is damaged ({e})")))?;
        let step = get("step")?;
        let step = step.parse().map_err(|_| wrong(format!("its vico.step is \"{step}\"")))?;
        Ok(Self {
            method: get("method")?,
            placeholder: get("placeholder")?,
            init_word: get("init_word")?,
            base_name: get("base.name")?,
            base_fingerprint: get("base.fingerprint")?,
            recipe,
            step,
            version: get("version")?,
        })
    }
}

fn not_an_adapter(file: &TensorFile) -> String {
    let some = |part: &str| file.names().any(|name| name.contains(part));
    let what = if some("string_to_param") {
        "a textual-inversion embedding"
    } else if some("image_cross_attention") {
        "image attention of ViCo's own program"
    } else if some("lora") {
        "a LoRA"
    } else if some("model.diffusion_model") {
        "a whole Stable Diffusion model (that is --base)"
    } else {
        "something else"
    };
    format!("it is not a vico adapter but {what}: expected a file that `vico train` wrote")
}
