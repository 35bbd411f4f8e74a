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

/// Reads and checks the configurations, after the model was found to be of a
/// kind that runs here.
pub(super) fn configs(folder: &Path) -> Result<Configs> {
    let index = folder.join("model_index.json");
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
    let model = ["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"];
    let text = ["model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"];
    Ok(Files {
        text: open(folder, "text_encoder", &text)?,
        unet: open(folder, "unet", &[model[0], model[1], "diffusion_pytorch_model.bin"])?,
        vae: open(folder, "vae", &[model[0], model[1], "diffusion_pytorch_model.bin"])?,
    })
}

fn open(folder: &Path, part: &str, names: &[&str]) -> Result<Arc<TensorFile>> {
    let candidates = names.iter().map(|name| folder.join(part).join(name));
    // If none is there, the first one's error says what is missing.
    let first = folder.join(part).join(names[0]);
    let path = candidates.into_iter().find(|p| p.is_file()).unwrap_or(first);
    Ok(Arc::new(TensorFile::open(&path)?))
}
