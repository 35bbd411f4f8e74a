//! Models of other kinds are named, not half loaded.

use std::path::Path;

use formats::TensorFile;
use serde_json::Value;

use crate::{Error, Result};

const USE: &str = "use a Stable Diffusion 1.x or 2.x model (such as 1.5 or 2.1)";

fn refuse(path: &Path, what: &str) -> Error {
    Error::Unsupported { path: path.to_owned(), what: format!("{what}: {USE}") }
}

/// By the pipeline's class in `model_index.json`.
pub(super) fn by_index(path: &Path, index: &Value) -> Result<()> {
    let class = index["_class_name"].as_str().unwrap_or_default();
    let what = if class.contains("XL") {
        "this is Stable Diffusion XL"
    } else if class.contains("StableDiffusion3") {
        "this is Stable Diffusion 3"
    } else if class.contains("Flux") {
        "this is FLUX"
    } else if class.contains("Inpaint") {
        "this is an inpainting model"
    } else if class.contains("StableDiffusion") || class.is_empty() {
        return Ok(());
    } else {
        return Err(refuse(path, &format!("this is a model for {class}")));
    };
    Err(refuse(path, what))
}

/// By `unet/config.json`.
pub(super) fn by_unet(path: &Path, unet: &Value) -> Result<()> {
    let what = match (unet["in_channels"].as_u64(), unet["cross_attention_dim"].as_u64()) {
        (Some(9), _) => "this is an inpainting model (its U-Net takes 9 channels)",
        (Some(8), _) => "this is a picture-editing model (its U-Net takes 8 channels)",
        _ if unet["addition_embed_type"] == "text_time" => "this is Stable Diffusion XL",
        (_, Some(2048)) => "this is Stable Diffusion XL (its text context is 2048 wide)",
        (Some(5), _) => "this is a depth model (its U-Net takes 5 channels)",
        (Some(7), _) => "this is an upscaler (its U-Net takes 7 channels)",
        _ if !unet["class_embed_type"].is_null() || !unet["num_class_embeds"].is_null() => {
            "this model is told a class or a picture besides the text"
        }
        _ => return Ok(()),
    };
    Err(refuse(path, what))
}

/// By the names and shapes in a single file.
pub(super) fn by_tensors(file: &TensorFile, prefix: &str) -> Result<()> {
    let some = |start: &str| file.names().any(|n| n.starts_with(&format!("{prefix}{start}")));
    let what = if some("conditioner.embedders.") {
        "this is Stable Diffusion XL"
    } else if some("model.diffusion_model.joint_blocks.") {
        "this is Stable Diffusion 3"
    } else if some("model.diffusion_model.double_blocks.") || some("double_blocks.") {
        "this is FLUX"
    } else if file.names().any(|n| n.contains("lora_") || n.contains(".lora")) {
        "this is a LoRA, not a model"
    } else if file.names().any(|n| n.starts_with("string_to_param") || n == "emb_params") {
        "this is a textual-inversion embedding, not a model"
    } else if file.metadata().contains_key("vico.format") {
        "this is a vico adapter, not a model; give it to --adapter"
    } else if !some("model.diffusion_model.") {
        "this file holds no U-Net under the original names"
    } else if !some("first_stage_model.") {
        "this file holds a U-Net without its VAE"
    } else if !some("cond_stage_model.transformer.") && !some("cond_stage_model.model.") {
        "this file holds a U-Net without its text encoder"
    } else {
        return by_input(file, prefix);
    };
    Err(refuse(file.path(), what))
}

fn by_input(file: &TensorFile, prefix: &str) -> Result<()> {
    let name = format!("{prefix}model.diffusion_model.input_blocks.0.0.weight");
    match file.get(&name).and_then(|info| info.shape.get(1).copied()) {
        Some(9) => Err(refuse(file.path(), "this is an inpainting model")),
        Some(8) => Err(refuse(file.path(), "this is a picture-editing model")),
        Some(5) => Err(refuse(file.path(), "this is a depth model")),
        Some(7) => Err(refuse(file.path(), "this is an upscaler")),
        _ => Ok(()),
    }
}
