//! A Stable Diffusion model on disk: its configuration, and its parts built
//! one by one when they are needed.

pub mod folder;
mod refuse;
mod save;
mod single;

pub use folder::{Folder, Inside, RECOMMENDED};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{
    Device,
    nn::{Frozen, Precision},
    params::Params,
};
use formats::TensorFile;
use sha2::{Digest, Sha256};

use crate::{
    Error, Result, Schedule, Tokenizer,
    config::{ScheduleConfig, TextConfig, UNetConfig, VaeConfig},
    lora::{Lora, Part},
    text::TextEncoder,
    unet::UNet,
    vae,
    weights::{Collecting, Count, Weights, compvis},
};

/// Configurations of the parts of a model.
#[derive(Clone, Debug)]
pub struct Configs {
    /// The text encoder's.
    pub text: TextConfig,
    /// The U-Net's.
    pub unet: UNetConfig,
    /// The VAE's.
    pub vae: VaeConfig,
    /// The noise schedule's.
    pub schedule: ScheduleConfig,
}

/// Number of values in the parts of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// In the text encoder.
    pub text: Count,
    /// In the U-Net.
    pub unet: Count,
    /// In both halves of the VAE.
    pub vae: Count,
}

/// The files of the three parts, or three times the same file.
struct Files {
    text: Arc<TensorFile>,
    unet: Arc<TensorFile>,
    vae: Arc<TensorFile>,
}

/// A Stable Diffusion 1.x or 2.x model that was found, checked, and not yet loaded.
pub struct Base {
    path: PathBuf,
    /// The files of a model that is part of the program.
    inside: Option<Inside>,
    configs: Configs,
    /// The tokenizer's merges, where the model has its own.
    merges: Option<String>,
    /// The token that prompts are filled up with, where it is not their end.
    pad: Option<String>,
    recommended: Option<String>,
    text: Weights,
    unet: Weights,
    vae: Weights,
    loras: Vec<Arc<Lora>>,
    /// A name that the path does not give.
    name: Option<String>,
}

impl Base {
    /// Opens a folder in diffusers' layout, or one `.safetensors` or `.ckpt`
    /// file with the original CompVis names. Weights are mapped, not read.
    ///
    /// # Errors
    /// If files are missing or damaged, a configuration makes no sense, or the
    /// model is of another kind (SDXL, inpainting, ..).
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        if path.is_dir() {
            return Self::open_folder(Folder::Disk(path), device);
        }
        Self::open_file(path, device)
    }

    /// Opens a model that is part of the program, in diffusers' layout, under the name
    /// that stands for its path.
    ///
    /// # Errors
    /// As [`Base::open`].
    pub fn inside(name: &str, files: Inside, device: &Device) -> Result<Self> {
        Self::open_folder(Folder::Inside(Path::new(name), files), device)
    }

    fn open_folder(folder: Folder, device: &Device) -> Result<Self> {
        let configs = folder::configs(folder)?;
        let files = folder::files(folder)?;
        let keep = |name: &str| name.to_owned();
        Ok(Self {
            path: folder.path().to_owned(),
            inside: match folder {
                Folder::Inside(_, files) => Some(files),
                Folder::Disk(_) => None,
            },
            text: Weights::new(files.text, "", keep, device),
            unet: Weights::new(files.unet, "", keep, device),
            vae: Weights::new(files.vae, "", keep, device),
            merges: folder::merges(folder)?,
            pad: folder::pad(folder)?,
            recommended: folder::recommended(folder)?,
            loras: Vec::new(),
            name: None,
            configs,
        })
    }

    fn open_file(path: &Path, device: &Device) -> Result<Self> {
        let file = Arc::new(TensorFile::open(path)?);
        let prefix = single::prefix(&file)?;
        let configs = match single::configs_beside(path) {
            Some(folder) => folder::configs(Folder::Disk(&folder))?,
            None => single::derive(&file, prefix)?,
        };
        let (unet, vae) = (configs.unet.clone(), configs.vae.clone());
        let at = move |name: String| format!("{prefix}{name}");
        let weights = |family: &str, rename: Box<dyn Fn(&str) -> String + Send + Sync>| {
            let rename = move |name: &str| at(rename(name));
            Weights::new(file.clone(), at(family.to_owned()), rename, device)
        };
        let open_clip = single::has_open_clip(&file, prefix);
        let text = if open_clip {
            let text = weights("cond_stage_model.", Box::new(compvis::open_clip));
            text.in_thirds(compvis::open_clip_third)
        } else {
            weights("cond_stage_model.", Box::new(compvis::text))
        };
        Ok(Self {
            path: path.to_owned(),
            inside: None,
            text,
            unet: weights("model.diffusion_model.", Box::new(move |n| compvis::unet(&unet, n))),
            vae: weights("first_stage_model.", Box::new(move |n| compvis::vae(&vae, n))),
            merges: None,
            pad: open_clip.then(|| single::OPEN_CLIP_PAD.to_owned()),
            recommended: None,
            loras: Vec::new(),
            name: None,
            configs,
        })
    }

    /// The same model, whose parts keep their weights as `how` says; without this
    /// as [`Frozen::new`] does. In place of f16 the VAE has f32: some flow over in f16.
    pub fn kept(self, how: &Frozen) -> Self {
        let [text, unet] = [self.text, self.unet].map(|part| part.kept(how.clone()));
        let precision = match how.precision {
            Precision::F16 => Precision::F32,
            wide => wide,
        };
        let vae = self.vae.kept(Frozen { precision, ..how.clone() });
        Self { text, unet, vae, ..self }
    }

    /// The same model with LoRAs merged into the text encoder and the U-Net, in
    /// this order, as they are loaded.
    ///
    /// # Errors
    /// If a tensor of a LoRA is of no layer of this model; it is named.
    pub fn with_loras(mut self, loras: Vec<Lora>) -> Result<Self> {
        for lora in loras.into_iter().map(Arc::new) {
            lora.check(|part, name| match part {
                Part::Text => self.text.shape(name),
                Part::Unet => self.unet.shape(name),
            })?;
            self.text = self.text.merged(Part::Text, lora.clone());
            self.unet = self.unet.merged(Part::Unet, lora.clone());
            self.loras.push(lora);
        }
        Ok(self)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same model under another name than its path gives it.
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Its name: that of the folder or file, without extension.
    pub fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        name.map_or_else(|| "base".to_owned(), |n| n.to_string_lossy().into_owned())
    }

    /// Configurations of its parts.
    pub fn configs(&self) -> &Configs {
        &self.configs
    }

    /// What its folder's [`RECOMMENDED`] holds: the training recipe that its maker
    /// recommends, as TOML.
    pub fn recommended(&self) -> Option<&str> {
        self.recommended.as_deref()
    }

    /// The picture side it was trained at, in pixels.
    pub fn default_size(&self) -> usize {
        self.configs.unet.sample_size * self.configs.vae.factor()
    }

    /// Checks that pictures of a size can go through VAE and U-Net; pixels
    /// must be multiples of 8 in Stable Diffusion.
    pub fn check_size(&self, width: usize, height: usize) -> Result<()> {
        let multiple = self.configs.vae.factor();
        let fits = |side: usize| side > 0 && side.is_multiple_of(multiple);
        if !(fits(width) && fits(height)) {
            return Err(Error::Size { width, height, multiple });
        }
        Ok(())
    }

    /// Number of values in its parts.
    pub fn parameters(&self) -> Parameters {
        Parameters {
            text: self.text.parameters(),
            unet: self.unet.parameters(),
            vae: self.vae.parameters(),
        }
    }

    /// The tokenizer for its text encoder: CLIP's, with the merges of its own
    /// `tokenizer/merges.txt` where there is one.
    ///
    /// # Errors
    /// If that file is damaged, or makes more ids than the text encoder has rows.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let TextConfig { max_position_embeddings: positions, vocab_size: rows, .. } =
            self.configs.text;
        let padded = |tokenizer: Tokenizer| match &self.pad {
            Some(token) => tokenizer.padded_with(token),
            None => Ok(tokenizer),
        };
        let Some(merges) = &self.merges else { return padded(Tokenizer::clip(positions)?) };
        let tokenizer = padded(Tokenizer::new(merges, positions)?)?;
        if tokenizer.vocabulary_size() > rows {
            return Err(Error::Config {
                path: self.path.join(folder::MERGES),
                key: "the number of ids".into(),
                found: tokenizer.vocabulary_size().to_string(),
                expected: format!("at most the text encoder's vocab_size, {rows}"),
            });
        }
        Ok(tokenizer)
    }

    /// Its noise schedule.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(&self.configs.schedule)
    }

    /// Loads the text encoder.
    pub fn text_encoder(&self) -> Result<TextEncoder> {
        TextEncoder::build(&self.configs.text, &self.text)
    }

    /// Loads the U-Net.
    pub fn unet(&self) -> Result<UNet> {
        UNet::build(&self.configs.unet, &self.unet)
    }

    /// The values of a weight of the U-Net by diffusers' name, row-major, LoRAs merged.
    ///
    /// # Errors
    /// If there is none of that name and shape.
    pub fn unet_weight(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.unet.values(name, shape)
    }

    /// All weights of the U-Net by diffusers' names, for a training of them; 1x1
    /// convolutions are matrices.
    pub fn unet_params(&self) -> Result<Params> {
        let source = Collecting::new(&self.unet);
        UNet::build(&self.configs.unet, &source)?;
        Ok(source.into_params())
    }

    /// All weights of the text encoder by transformers' names.
    pub fn text_params(&self) -> Result<Params> {
        let source = Collecting::new(&self.text);
        TextEncoder::build(&self.configs.text, &source)?;
        Ok(source.into_params())
    }

    /// Loads the encoding half of the VAE.
    pub fn vae_encoder(&self) -> Result<vae::Encoder> {
        vae::Encoder::build(&self.configs.vae, &self.vae)
    }

    /// Loads the decoding half of the VAE.
    pub fn vae_decoder(&self) -> Result<vae::Decoder> {
        vae::Decoder::build(&self.configs.vae, &self.vae)
    }

    /// [`bare_fingerprint`](Self::bare_fingerprint), and behind a `+` that of
    /// each LoRA that is merged: `f415d88fc3d8+1a2b3c4d:0.8`.
    pub fn fingerprint(&self) -> Result<String> {
        let mut fingerprint = self.bare_fingerprint()?;
        for lora in &self.loras {
            fingerprint.push('+');
            fingerprint.push_str(&lora.fingerprint()?);
        }
        Ok(fingerprint)
    }

    /// A short hash (12 hexadecimal digits) of what the model *is* without
    /// LoRAs: a dozen of its weights, rounded to f16. The same for the folder
    /// and the single file, in f32 or f16.
    pub fn bare_fingerprint(&self) -> Result<String> {
        let last = self.configs.unet.block_out_channels.len() - 1;
        let unet = [
            "conv_in.weight".to_owned(),
            "time_embedding.linear_1.weight".to_owned(),
            "down_blocks.0.resnets.0.conv1.weight".to_owned(),
            "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight".to_owned(),
            "mid_block.resnets.0.conv1.weight".to_owned(),
            format!("up_blocks.{last}.resnets.0.conv1.weight"),
            "conv_out.weight".to_owned(),
        ];
        let text = [
            "text_model.encoder.layers.0.mlp.fc1.weight".to_owned(),
            "text_model.final_layer_norm.weight".to_owned(),
        ];
        let vae = ["encoder.conv_in.weight".to_owned(), "decoder.conv_out.weight".to_owned()];
        let mut digest = Sha256::new();
        for (weights, names) in
            [(&self.unet, &unet[..]), (&self.text, &text[..]), (&self.vae, &vae[..])]
        {
            for name in names {
                weights.digest(name, &mut digest)?;
            }
        }
        let digest = digest.finalize();
        Ok(digest[..6].iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
