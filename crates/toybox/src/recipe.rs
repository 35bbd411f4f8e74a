//! Which models there are: their configurations, as files of the exported folder.

use std::path::Path;

use diffusion::{
    base::Configs,
    config::{ScheduleConfig, TextConfig, UNetConfig, VaeConfig},
};
use serde_json::Value;

use crate::Result;

/// The configuration of the U-Net, as its file holds it.
pub const UNET: &str = include_str!("../recipe/unet.json");
/// The configuration of the VAE.
pub const VAE: &str = include_str!("../recipe/vae.json");
/// The configuration of the text encoder; the size of its vocabulary is filled in.
pub const TEXT: &str = include_str!("../recipe/text_encoder.json");
/// The noise schedule.
pub const SCHEDULER: &str = include_str!("../recipe/scheduler.json");

/// The text encoder's configuration for a vocabulary.
pub fn text_json(vocabulary: usize) -> Value {
    let mut text: Value = serde_json::from_str(TEXT).expect("a file of this crate");
    text["vocab_size"] = vocabulary.into();
    text
}

/// The configurations of all parts.
pub fn configs(vocabulary: usize) -> Result<Configs> {
    let json = |text: &str| -> Value { serde_json::from_str(text).expect("a file of this crate") };
    Ok(Configs {
        text: TextConfig::from_json(&text_json(vocabulary), Path::new("recipe/text_encoder.json"))?,
        unet: UNetConfig::from_json(&json(UNET), Path::new("recipe/unet.json"))?,
        vae: VaeConfig::from_json(&json(VAE), Path::new("recipe/vae.json"))?,
        schedule: ScheduleConfig::from_json(&json(SCHEDULER), Path::new("recipe/scheduler.json"))?,
    })
}
