//! The trained base as a model folder in diffusers' layout, in f16.

use std::{collections::BTreeMap, fs, path::Path};

use diffusion::{Tokenizer, base::Configs};
use engine::params::Params;
use formats::{Array, DType, atomic_write, write_safetensors};
use serde_json::{Value, json};

use crate::{Error, Result, base, recipe};

/// Writes the folder; what is there is replaced file by file.
pub fn folder(
    out: &Path,
    configs: &Configs,
    merges: &str,
    trained: &Params,
    vae: &Params,
) -> Result<()> {
    let text = trained.within(base::TEXT);
    weights(&out.join("text_encoder/model.safetensors"), &text)?;
    let name = "diffusion_pytorch_model.safetensors";
    weights(&out.join("unet").join(name), &trained.within(base::UNET))?;
    weights(&out.join("vae").join(name), vae)?;

    let text = recipe::text_json(configs.text.vocab_size);
    json_file(&out.join("text_encoder/config.json"), &text)?;
    for (path, text) in [
        ("unet/config.json", recipe::UNET),
        ("vae/config.json", recipe::VAE),
        ("scheduler/scheduler_config.json", recipe::SCHEDULER),
    ] {
        text_file(&out.join(path), text)?;
    }
    tokenizer(&out.join("tokenizer"), merges, configs.text.max_position_embeddings)?;
    json_file(&out.join("model_index.json"), &index())
}

fn index() -> Value {
    json!({
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [null, null],
        "requires_safety_checker": false,
        "safety_checker": [null, null],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    })
}

/// The files of transformers' `CLIPTokenizer`.
pub(crate) fn tokenizer(folder: &Path, merges: &str, positions: usize) -> Result<()> {
    let tokenizer = Tokenizer::new(merges, positions)?;
    text_file(&folder.join("merges.txt"), merges)?;
    let ids: serde_json::Map<String, Value> =
        tokenizer.vocabulary().into_iter().map(|(piece, id)| (piece, id.into())).collect();
    json_file(&folder.join("vocab.json"), &ids.into())?;
    let (start, end) = ("<|startoftext|>", "<|endoftext|>");
    let special = json!({
        "bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end,
    });
    json_file(&folder.join("special_tokens_map.json"), &special)?;
    let config = json!({
        "bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end,
        "model_max_length": positions, "tokenizer_class": "CLIPTokenizer",
    });
    json_file(&folder.join("tokenizer_config.json"), &config)
}

/// A file of weights in f16.
pub(crate) fn weights(path: &Path, params: &Params) -> Result<()> {
    let half = |values: Vec<f32>| -> Vec<u8> {
        values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect()
    };
    let arrays: BTreeMap<String, Array> = params
        .iter()
        .map(|(name, param)| {
            let bytes = half(param.values()).into();
            let array = Array { dtype: DType::F16, shape: file_shape(name, param.shape()), bytes };
            (name.to_owned(), array)
        })
        .collect();
    make_folder(path)?;
    Ok(write_safetensors(path, &arrays, &BTreeMap::from([("format".into(), "pt".into())]))?)
}

/// Diffusers keeps some layers over pixels as 1x1 convolutions.
fn file_shape(name: &str, shape: &[usize]) -> Vec<usize> {
    let convolutions =
        ["proj_in.weight", "proj_out.weight", "conv_shortcut.weight", "quant_conv.weight"];
    let mut shape = shape.to_vec();
    if shape.len() == 2 && convolutions.iter().any(|end| name.ends_with(end)) {
        shape.extend([1, 1]);
    }
    shape
}

pub(crate) fn json_file(path: &Path, value: &Value) -> Result<()> {
    text_file(path, &format!("{value:#}\n"))
}

fn text_file(path: &Path, text: &str) -> Result<()> {
    make_folder(path)?;
    Ok(atomic_write(path, |out| out.write_all(text.as_bytes()))?)
}

fn make_folder(path: &Path) -> Result<()> {
    let folder = path.parent().expect("a file in a folder");
    fs::create_dir_all(folder).map_err(|e| Error::path(folder, e))
}
