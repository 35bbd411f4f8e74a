//! The encoders as folders in Hugging Face's layouts of CLIP and of DINO, in f16.

use std::path::Path;

use engine::params::{Param, Params};
use evaluate::encoder::{CONFIG, Layout, OPTIONAL, VitConfig, WEIGHTS};
use serde_json::{Value, json};

use super::clip;
use crate::{
    Result,
    export::{json_file, tokenizer, weights},
};

/// Writes a CLIP with its tokenizer's merges; what is there is replaced file by file.
pub fn clip(out: &Path, config: &clip::Config, merges: &str, params: &Params) -> Result<()> {
    let clip::Config { vision, text } = config;
    let last = text.vocab_size - 1;
    let own = json!({
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "logit_scale_init_value": clip::FIRST_SCALE,
        "projection_dim": vision.projection,
        "vision_config": tower(vision, "clip_vision_model"),
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": text.vocab_size,
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "num_hidden_layers": text.num_hidden_layers,
            "num_attention_heads": text.num_attention_heads,
            "max_position_embeddings": text.max_position_embeddings,
            "hidden_act": text.hidden_act,
            "layer_norm_eps": text.layer_norm_eps,
            "bos_token_id": last - 1,
            "eos_token_id": last,
            "pad_token_id": last,
        },
    });
    folder(out, Layout::HuggingFaceClip, vision, &own, params)?;
    tokenizer(out, merges, text.max_position_embeddings)
}

/// Writes a vision transformer as DINO's.
pub fn dino(out: &Path, config: &VitConfig, params: &Params) -> Result<()> {
    let mut own = tower(config, "vit");
    own["architectures"] = json!(["ViTModel"]);
    own["qkv_bias"] = json!(true);
    folder(out, Layout::HuggingFaceVit, config, &own, params)
}

fn tower(config: &VitConfig, kind: &str) -> Value {
    json!({
        "model_type": kind,
        "hidden_size": config.width,
        "intermediate_size": config.inner,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_channels": 3,
        "patch_size": config.patch,
        "image_size": side(config),
        "hidden_act": if config.quick_gelu { "quick_gelu" } else { "gelu" },
        "layer_norm_eps": config.epsilon,
    })
}

fn side(config: &VitConfig) -> usize {
    config.patch * config.grid
}

fn folder(
    out: &Path,
    layout: Layout,
    vision: &VitConfig,
    config: &Value,
    params: &Params,
) -> Result<()> {
    let published = |(name, param): (&str, &Param)| {
        let place = layout.place(name).name;
        let shape = shape(&place, param.shape(), vision.patch);
        (place, Param::new(param.values(), &shape, &engine::cpu()))
    };
    let mut renamed = Params::default();
    params.iter().map(published).for_each(|(name, param)| renamed.insert(name, param));
    weights(&out.join(WEIGHTS[0]), &renamed)?;
    json_file(&out.join(CONFIG), config)?;
    json_file(&out.join(OPTIONAL[0]), &preprocessor(side(vision)))
}

/// The shape that transformers gives a weight.
fn shape(name: &str, own: &[usize], patch: usize) -> Vec<usize> {
    match (name, own) {
        (clip::SCALE, _) => Vec::new(),
        ("vision_model.embeddings.class_embedding", &[_, width]) => vec![width],
        ("embeddings.cls_token" | "embeddings.position_embeddings", &[rows, width]) => {
            vec![1, rows, width]
        }
        (_, &[width, _]) if is_patches(name) => vec![width, 3, patch, patch],
        _ => own.to_vec(),
    }
}

fn is_patches(name: &str) -> bool {
    name.ends_with("patch_embedding.weight") || name.ends_with("patch_embeddings.projection.weight")
}

/// What [`preprocess`](super::preprocess) does, in transformers' words.
fn preprocessor(side: usize) -> Value {
    json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": {"shortest_edge": side},
        "resample": 3,
        "do_center_crop": true,
        "crop_size": {"height": side, "width": side},
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    })
}
