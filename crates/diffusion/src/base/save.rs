//! A model with other weights, as a folder in diffusers' layout.

use std::{collections::BTreeMap, fs, path::Path};

use engine::params::Params;
use formats::{Array, atomic_write, write_safetensors};
use serde_json::{Value, json};

use super::{
    Base,
    folder::{Folder, INDEX},
};
use crate::{Error, Result, lora::Part};

/// Kinds of files that hold weights.
const WEIGHTS: [&str; 6] = ["safetensors", "bin", "ckpt", "pt", "msgpack", "onnx"];

/// A part's folder, and the name of its weights.
fn place(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::Unet => ("unet", "diffusion_pytorch_model.safetensors"),
        Part::Text => ("text_encoder", "model.safetensors"),
    }
}

impl Base {
    /// Checks that [`save_with`](Self::save_with) can write a folder of this model.
    ///
    /// # Errors
    /// If the model is a single file, which lacks what a folder needs.
    pub fn check_folder(&self) -> Result<()> {
        self.folder().map(drop)
    }

    fn folder(&self) -> Result<Folder<'_>> {
        match self.inside {
            Some(files) => Ok(Folder::Inside(&self.path, files)),
            None if self.path.is_dir() => Ok(Folder::Disk(&self.path)),
            None => Err(Error::Unsupported {
                path: self.path.clone(),
                what: "it is a single file, and all of its weights can only be learned where the \
                       base model is a folder in diffusers' layout: convert it first, or learn a \
                       LoRA"
                    .into(),
            }),
        }
    }

    /// Writes this model as a folder with other weights, by diffusers' names, in some of
    /// its parts, in f32; all other files are copied.
    ///
    /// # Errors
    /// If the model is no folder itself, or something cannot be written.
    pub fn save_with(&self, to: &Path, parts: &[(Part, Params)]) -> Result<()> {
        let folder = self.folder()?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            |reason| Error::Folder { path, reason }
        };
        let replaced = |name: &str| {
            let extension = Path::new(name)
                .extension()
                .is_some_and(|e| WEIGHTS.iter().any(|weights| e.eq_ignore_ascii_case(weights)));
            let inside = |(part, _): &(Part, Params)| {
                name.strip_prefix(place(*part).0).is_some_and(|rest| rest.starts_with('/'))
            };
            extension && parts.iter().any(inside)
        };
        let names = folder.files().map_err(failed(&self.path))?;
        for name in names.iter().filter(|name| !replaced(name) && *name != INDEX) {
            let target = to.join(name);
            fs::create_dir_all(target.parent().unwrap_or(to)).map_err(failed(to))?;
            folder.copy(name, &target)?;
        }
        for (part, params) in parts {
            self.save_part(to, *part, params)?;
        }
        let index = format!("{:#}\n", index(folder, &names)?);
        Ok(atomic_write(to.join(INDEX), |out| out.write_all(index.as_bytes()))?)
    }

    fn save_part(&self, to: &Path, part: Part, params: &Params) -> Result<()> {
        let weights = match part {
            Part::Unet => &self.unet,
            Part::Text => &self.text,
        };
        // The file's own shapes: some matrices are 1x1 convolutions there.
        let shape = |name: &str, own: &[usize]| weights.shape(name).unwrap_or(own.to_vec());
        let values: Vec<(&str, Vec<usize>, Vec<f32>)> = params
            .iter()
            .map(|(name, param)| (name, shape(name, param.shape()), param.values()))
            .collect();
        let arrays: BTreeMap<String, Array> = values
            .iter()
            .map(|(name, shape, values)| ((*name).to_owned(), Array::f32(shape, values)))
            .collect();
        let (folder, name) = place(part);
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(write_safetensors(to.join(folder).join(name), &arrays, &metadata)?)
    }
}

/// The model's index, without the parts that have no folder: a safety checker that was
/// never fetched.
fn index(folder: Folder, names: &[String]) -> Result<Value> {
    let mut index = match names.iter().any(|name| name == INDEX) {
        true => folder.json(INDEX)?.0,
        false => json!({}),
    };
    for (part, value) in index.as_object_mut().into_iter().flatten() {
        let there = || names.iter().any(|n| n.split_once('/').is_some_and(|(p, _)| p == part));
        if value.is_array() && !there() {
            *value = json!([null, null]);
        }
    }
    if index["safety_checker"] == json!([null, null]) {
        index["requires_safety_checker"] = false.into();
    }
    Ok(index)
}
