//! Models in diffusers' folder layout, on disk or inside the program.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use formats::{TensorFile, atomic_write};
use serde_json::Value;

use super::{Configs, Files, refuse};
use crate::{
    Error, Result,
    config::{ScheduleConfig, TextConfig, UNetConfig, VaeConfig},
};

/// The files of a model that is part of the program: paths below its folder, and
/// contents.
pub type Inside = &'static [(&'static str, &'static [u8])];

/// A model's folder.
#[derive(Clone, Copy)]
pub enum Folder<'a> {
    /// On disk.
    Disk(&'a Path),
    /// Part of the program, with the name that errors give it.
    Inside(&'a Path, Inside),
}

impl<'a> Folder<'a> {
    /// Its path, or the name that stands for one.
    pub fn path(self) -> &'a Path {
        match self {
            Self::Disk(path) | Self::Inside(path, _) => path,
        }
    }

    /// The paths of the files in its own subfolders, and of the few beside these that
    /// belong to a model.
    pub(super) fn files(self) -> io::Result<Vec<String>> {
        let folder = match self {
            Self::Disk(folder) => folder,
            Self::Inside(_, files) => {
                return Ok(files.iter().map(|(name, _)| (*name).to_owned()).collect());
            }
        };
        let mut found: Vec<String> = [INDEX, RECOMMENDED]
            .into_iter()
            .filter(|name| self.has(name))
            .map(Into::into)
            .collect();
        for part in std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()? {
            if !part.path().is_dir() {
                continue;
            }
            for file in std::fs::read_dir(part.path())?.collect::<Result<Vec<_>, _>>()? {
                if file.path().is_file() {
                    let (part, file) = (part.file_name(), file.file_name());
                    found.push(format!("{}/{}", part.display(), file.display()));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Copies a file to another place, whole or not at all.
    pub(super) fn copy(self, name: &str, to: &Path) -> Result<()> {
        let write = |out: &mut dyn io::Write| match self {
            Self::Disk(folder) => {
                io::copy(&mut std::fs::File::open(folder.join(name))?, out).map(drop)
            }
            Self::Inside(_, files) => {
                out.write_all(Self::find(files, name).ok_or(io::ErrorKind::NotFound)?)
            }
        };
        Ok(atomic_write(to, write)?)
    }

    fn find(files: Inside, name: &str) -> Option<&'static [u8]> {
        files.iter().find(|(path, _)| *path == name).map(|(_, bytes)| *bytes)
    }

    /// Whether there is a file of this name.
    pub fn has(self, name: &str) -> bool {
        match self {
            Self::Disk(folder) => folder.join(name).is_file(),
            Self::Inside(_, files) => Self::find(files, name).is_some(),
        }
    }

    /// A text of at most `limit` bytes.
    ///
    /// # Errors
    /// If it is not there, longer, or no UTF-8.
    pub fn text(self, name: &str, limit: u64) -> Result<String> {
        let wrong = |found: String, expected: &str| Error::Config {
            path: self.path().join(name),
            key: "the file".into(),
            found,
            expected: expected.to_owned(),
        };
        let missing =
            |e: std::io::Error| wrong(e.to_string(), "a file of a diffusers model folder");
        let bytes = match self {
            Self::Disk(folder) => {
                let path = folder.join(name);
                let size = path.metadata().map_err(missing)?.len();
                if size > limit {
                    let expected = format!("at most {limit} bytes");
                    return Err(wrong(format!("{size} bytes long"), &expected));
                }
                std::fs::read(path).map_err(missing)?
            }
            Self::Inside(_, files) => {
                let found = Self::find(files, name);
                found.ok_or_else(|| missing(std::io::ErrorKind::NotFound.into()))?.to_vec()
            }
        };
        String::from_utf8(bytes).map_err(|_| wrong("not UTF-8".into(), "text"))
    }

    /// A JSON file and its path.
    ///
    /// # Errors
    /// If it is not there, too long, or no JSON.
    pub fn json(self, name: &str) -> Result<(Value, PathBuf)> {
        let text = self.text(name, JSON_LIMIT)?;
        let path = self.path().join(name);
        match serde_json::from_str(&text) {
            Ok(value) => Ok((value, path)),
            Err(e) => Err(Error::Config {
                path,
                key: "the file".into(),
                found: format!("not JSON ({e})"),
                expected: "JSON".into(),
            }),
        }
    }

    /// A file of weights.
    ///
    /// # Errors
    /// If it is not there or damaged.
    pub fn tensors(self, name: &str) -> Result<TensorFile> {
        let path = self.path().join(name);
        Ok(match self {
            Self::Inside(_, files) if let Some(bytes) = Self::find(files, name) => {
                TensorFile::inside(path, bytes)?
            }
            _ => TensorFile::open(path)?,
        })
    }
}

/// The most a model's JSON file may hold.
const JSON_LIMIT: u64 = 1 << 20;

/// Where a folder has the tokenizer's merges.
pub(super) const MERGES: &str = "tokenizer/merges.txt";

/// The most that a merge list may hold; CLIP's has half a megabyte.
const MERGES_LIMIT: u64 = 1 << 23;

/// The tokenizer's merges, if the folder has any.
pub(super) fn merges(folder: Folder) -> Result<Option<String>> {
    folder.has(MERGES).then(|| folder.text(MERGES, MERGES_LIMIT)).transpose()
}

/// Where a folder names the token that prompts are filled up with; the first that does counts.
const TOKENS: [&str; 2] = ["tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json"];

/// The token that prompts are filled up with, if the folder names any: `!` in
/// Stable Diffusion 2, the end of the text in 1.x.
pub(super) fn pad(folder: Folder) -> Result<Option<String>> {
    for name in TOKENS.into_iter().filter(|name| folder.has(name)) {
        let token = &folder.json(name)?.0["pad_token"];
        let token = token.as_str().or(token["content"].as_str());
        if let Some(token) = token {
            return Ok(Some(token.to_owned()));
        }
    }
    Ok(None)
}

/// Where a model's folder may recommend how to train on it. Our own addition to
/// diffusers' layout: small models want other learning rates than Stable Diffusion.
pub const RECOMMENDED: &str = "vico.toml";

/// The recommended recipe, if the folder has any.
pub(super) fn recommended(folder: Folder) -> Result<Option<String>> {
    folder.has(RECOMMENDED).then(|| folder.text(RECOMMENDED, JSON_LIMIT)).transpose()
}

/// Files of a model besides its weights, without which it cannot be opened.
pub const CONFIGS: [&str; 4] = [
    "unet/config.json",
    "text_encoder/config.json",
    "vae/config.json",
    "scheduler/scheduler_config.json",
];

/// Files that are read where there are any.
pub const OPTIONAL: [&str; 5] = [INDEX, MERGES, RECOMMENDED, TOKENS[0], TOKENS[1]];

pub(super) const INDEX: &str = "model_index.json";

/// The names that the weights of each part may have, the best first.
pub const WEIGHTS: [[&str; 3]; 3] = [
    [
        "text_encoder/model.safetensors",
        "text_encoder/model.fp16.safetensors",
        "text_encoder/pytorch_model.bin",
    ],
    [
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
    ],
    [
        "vae/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.bin",
    ],
];

/// Reads and checks the configurations, after the model was found to be of a
/// kind that runs here.
pub(super) fn configs(folder: Folder) -> Result<Configs> {
    if folder.has(INDEX) {
        refuse::by_index(folder.path(), &folder.json(INDEX)?.0)?;
    }
    let (unet, unet_path) = folder.json("unet/config.json")?;
    refuse::by_unet(folder.path(), &unet)?;
    let (text, text_path) = folder.json("text_encoder/config.json")?;
    let (vae, vae_path) = folder.json("vae/config.json")?;
    let (schedule, schedule_path) = folder.json("scheduler/scheduler_config.json")?;
    let configs = Configs {
        text: TextConfig::from_json(&text, &text_path)?,
        unet: UNetConfig::from_json(&unet, &unet_path)?,
        vae: VaeConfig::from_json(&vae, &vae_path)?,
        schedule: ScheduleConfig::from_json(&schedule, &schedule_path)?,
    };
    if configs.text.hidden_size != configs.unet.cross_attention_dim {
        return Err(Error::Config {
            path: unet_path,
            key: "cross_attention_dim".into(),
            found: configs.unet.cross_attention_dim.to_string(),
            expected: format!("the text encoder's hidden_size, {}", configs.text.hidden_size),
        });
    }
    Ok(configs)
}

/// Maps the weight files.
pub(super) fn files(folder: Folder) -> Result<Files> {
    let [text, unet, vae] = WEIGHTS.map(|names| open(folder, &names));
    Ok(Files { text: text?, unet: unet?, vae: vae? })
}

fn open(folder: Folder, names: &[&str]) -> Result<Arc<TensorFile>> {
    // If none is there, the first one's error says what is missing.
    let name = names.iter().find(|name| folder.has(name)).unwrap_or(&names[0]);
    Ok(Arc::new(folder.tensors(name)?))
}
