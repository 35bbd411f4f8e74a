//! Models that are refused, and why.

use std::{
    fs,
    path::{Path, PathBuf},
};

use diffusion::Base;
use formats::{Array, TensorFile, write_safetensors};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A copy of the small pipeline that a test may damage.
pub fn copy() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let to = dir.path().join("model");
    copy_folder(&golden::path("tiny-sd"), &to);
    (dir, to)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// The whole chain: opening, and loading the U-Net.
fn failure(path: &Path) -> String {
    let opened = Base::open(path, &super::device());
    match opened.and_then(|base| base.unet().map(drop)) {
        Ok(()) => panic!("{} was accepted", path.display()),
        Err(error) => error.to_string(),
    }
}

/// The error, which names everything in `words`.
fn assert_says(path: &Path, words: &[&str]) {
    let message = failure(path);
    for word in words {
        assert!(message.contains(word), "\"{word}\" in: {message}");
    }
}

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

#[test]
fn missing_files_are_named() {
    let (_dir, model) = copy();
    fs::remove_file(model.join(UNET)).unwrap();
    assert_says(&model, &[UNET]);
    assert_says(&model.join("nothing"), &["nothing"]);
}

#[test]
fn truncated_weights_are_refused() {
    let (_dir, model) = copy();
    let path = model.join(UNET);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_says(&model, &[UNET, "damaged"]);
}

#[test]
fn a_config_without_heads_is_refused() {
    let (_dir, model) = copy();
    edit(&model.join("unet/config.json"), |config| config["attention_head_dim"] = json!(0));
    assert_says(&model, &["unet/config.json", "attention_head_dim", "at least one head"]);
}

#[test]
fn weights_of_another_shape_are_refused() {
    let (_dir, model) = copy();
    edit(&model.join("unet/config.json"), |config| {
        config["block_out_channels"] = json!([64, 32, 64, 32]);
    });
    assert_says(&model, &["shape", "expected"]);
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let (_dir, model) = copy();
    let path = model.join(UNET);
    rewrite(&path, |name, values| {
        if name == "conv_out.bias" {
            values[0] = f32::NAN;
        }
    });
    assert_says(&model, &["conv_out.bias", "non-finite"]);
}

/// Writes the tensors of a file again, changed.
fn rewrite(path: &Path, change: impl Fn(&str, &mut Vec<f32>)) {
    let file = TensorFile::open(path).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = file
        .names()
        .map(|name| {
            let mut values = file.f32(name).unwrap();
            change(name, &mut values);
            (name.to_owned(), file.get(name).unwrap().shape.clone(), values)
        })
        .collect();
    let arrays = tensors
        .iter()
        .map(|(name, shape, values)| (name.clone(), Array::f32(shape, values)))
        .collect();
    let copy = path.with_extension("new");
    write_safetensors(&copy, &arrays, &Default::default()).unwrap();
    drop(file);
    fs::rename(copy, path).unwrap();
}

#[test]
fn other_models_are_named() {
    for (class, name) in [
        ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
        ("StableDiffusionInpaintPipeline", "inpainting"),
        ("StableDiffusion3Pipeline", "Stable Diffusion 3"),
        ("FluxPipeline", "FLUX"),
    ] {
        let (_dir, model) = copy();
        edit(&model.join("model_index.json"), |index| index["_class_name"] = json!(class));
        assert_says(&model, &[name, "1.5"]);
    }
    for (key, value, name) in [
        ("in_channels", json!(5), "depth model"),
        ("class_embed_type", json!("projection"), "a class or a picture"),
        ("cross_attention_dim", json!(2048), "Stable Diffusion XL"),
        ("in_channels", json!(9), "inpainting"),
    ] {
        let (_dir, model) = copy();
        edit(&model.join("unet/config.json"), |config| config[key] = value);
        assert_says(&model, &[name, "1.5"]);
    }
}

#[test]
fn schedules_of_other_kinds_are_refused() {
    for (key, value) in [
        ("prediction_type", json!("sample")),
        ("rescale_betas_zero_snr", json!(true)),
        ("trained_betas", json!([0.1, 0.2])),
    ] {
        let (_dir, model) = copy();
        edit(&model.join("scheduler/scheduler_config.json"), |config| config[key] = value);
        assert_says(&model, &["scheduler_config.json", key, "expected"]);
    }
}

#[test]
fn single_files_of_other_kinds_are_named() {
    let dir = TempDir::new().unwrap();
    for (name, kind) in [
        ("conditioner.embedders.0.x", "Stable Diffusion XL"),
        ("model.diffusion_model.double_blocks.0.x", "FLUX"),
        ("lora_unet_mid_block.lora_up.weight", "LoRA"),
        ("something.else", "no U-Net"),
    ] {
        let path = dir.path().join("file.safetensors");
        let arrays = [(name.to_owned(), Array::f32(&[1], &[0.0]))].into();
        write_safetensors(&path, &arrays, &Default::default()).unwrap();
        assert_says(&path, &[kind]);
    }
}

#[test]
fn folder_and_single_file_are_the_same_model() {
    let fingerprints: Vec<String> =
        super::tiny_files().iter().map(|path| super::open(path).fingerprint().unwrap()).collect();
    assert!(fingerprints.iter().all(|f| *f == fingerprints[0]), "{fingerprints:?}");
    let counts: Vec<_> =
        super::tiny_files().iter().map(|path| super::open(path).parameters().unet).collect();
    assert!(counts.iter().all(|c| *c == counts[0]), "{counts:?}");
}

#[test]
fn bf16_weights_load() {
    let (_dir, model) = copy();
    let path = model.join(UNET);
    let file = TensorFile::open(&path).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .names()
        .map(|name| {
            let bits = |v: f32| half::bf16::from_f32(v).to_le_bytes();
            let bytes = file.f32(name).unwrap().into_iter().flat_map(bits).collect();
            (name.to_owned(), file.get(name).unwrap().shape.clone(), bytes)
        })
        .collect();
    let arrays = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            let (dtype, shape) = (formats::DType::BF16, shape.clone());
            (name.clone(), Array { dtype, shape, bytes: bytes.into() })
        })
        .collect();
    let copy = path.with_extension("new");
    write_safetensors(&copy, &arrays, &Default::default()).unwrap();
    drop(file);
    fs::rename(copy, &path).unwrap();
    super::open(&model).unet().unwrap();
}

#[test]
fn sizes_must_fit_the_grid() {
    let base = super::tiny();
    assert!(base.check_size(512, 768).is_ok());
    assert!(base.check_size(508, 512).unwrap_err().is_usage());
    assert!(base.check_size(0, 512).is_err());
}

/// Without a folder of the same name beside it, a single file's shapes must do.
#[test]
fn a_single_file_tells_its_own_configuration() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("alone.ckpt");
    fs::copy(golden::path("tiny-sd.ckpt"), &path).unwrap();
    let (alone, folder) = (super::open(&path), super::tiny());
    let (mut derived, read) = (alone.configs().clone(), folder.configs());
    assert_eq!(alone.default_size(), 512);
    // The one thing that no shape tells.
    derived.unet.sample_size = read.unet.sample_size;
    assert_eq!(derived.unet, read.unet);
    assert_eq!(derived.vae, read.vae);
    assert_eq!(derived.text, read.text);
}
