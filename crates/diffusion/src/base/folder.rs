//! Models in diffusers' folder layout.

use std::{path::Path, sync::Arc};

use formats::TensorFile;

use super::{Configs, Files, read_json, read_text, refuse};
use crate::{
    Error, Result,
    config::{ScheduleConfig, TextConfig, UNetConfig, VaeConfig},
};

/// Where a folder has the tokenizer's merges.
pub(super) const MERGES: &str = "tokenizer/merges.txt";

/// The most that a merge list may hold; CLIP's has half a megabyte.
const MERGES_LIMIT: u64 = 1 << 23;

/// The tokenizer's merges, if the folder has any.
pub(super) fn merges(folder: &Path) -> Result<Option<String>> {
    let path = folder.join(MERGES);
    path.is_file().then(|| read_text(&path, MERGES_LIMIT)).transpose()
}

/// Files of a model besides its weights, without which it cannot be opened.
pub const CONFIGS: [&str; 4] = [
    "unet/config.json",
    "text_encoder/config.json",
    "vae/config.json",
    "scheduler/scheduler_config.json",
];

/// Files that are read where there are any.
pub const OPTIONAL: [&str; 2] = [INDEX, MERGES];

const INDEX: &str = "model_index.json";

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
pub(super) fn configs(folder: &Path) -> Result<Configs> {
    let index = folder.join(INDEX);
    if index.is_file() {
        refuse::by_index(folder, &read_json(&index)?)?;
    }
    let read = |part: &str, file: &str| {
        let path = folder.join(part).join(file);
        read_json(&path).map(|value| (value, path))
    };
    let (unet, unet_path) = read("unet", "config.json")?;
    refuse::by_unet(folder, &unet)?;
    let (text, text_path) = read("text_encoder", "config.json")?;
    let (vae, vae_path) = read("vae", "config.json")?;
    let (schedule, schedule_path) = read("scheduler", "scheduler_config.json")?;
    refuse::by_schedule(folder, &schedule)?;
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
pub(super) fn files(folder: &Path) -> Result<Files> {
    let [text, unet, vae] = WEIGHTS.map(|names| open(folder, &names));
    Ok(Files { text: text?, unet: unet?, vae: vae? })
}

fn open(folder: &Path, names: &[&str]) -> Result<Arc<TensorFile>> {
    let candidates = names.iter().map(|name| folder.join(name));
    // If none is there, the first one's error says what is missing.
    let first = folder.join(names[0]);
    let path = candidates.into_iter().find(|p| p.is_file()).unwrap_or(first);
    Ok(Arc::new(TensorFile::open(&path)?))
}
