//! LoRAs of other programs, merged into the small pipeline.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use diffusion::{Base, Error, Lora, Placeholder, unet::Plain};
use formats::{Array, TensorFile, write_safetensors};
use tempfile::TempDir;

use super::{opening::copy, tiny};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/loras").join(name)
}

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const TEXT: &str = "text_encoder/model.safetensors";

/// The small pipeline with some weights replaced by those of a fixture.
fn replaced(name: &str) -> (TempDir, Base) {
    let (dir, path) = copy();
    let merged = TensorFile::open(fixture(&format!("merged-{name}.safetensors"))).unwrap();
    for (part, file) in [("unet", UNET), ("text_encoder", TEXT)] {
        let path = path.join(file);
        let old = TensorFile::open(&path).unwrap();
        let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = old
            .names()
            .map(|name| {
                let theirs = format!("{part}.{name}");
                let values = merged.f32(&theirs).or_else(|_| old.f32(name)).unwrap();
                (name.to_owned(), old.get(name).unwrap().shape.clone(), values)
            })
            .collect();
        let arrays = tensors.iter().map(|(n, s, v)| (n.clone(), Array::f32(s, v))).collect();
        write_safetensors(&path, &arrays, &BTreeMap::new()).unwrap();
    }
    let base = super::open(&path);
    (dir, base)
}

fn with(lora: &str, weight: f64) -> Base {
    tiny().with_loras(vec![Lora::open(&fixture(lora), weight).unwrap()]).unwrap()
}

/// A context and the noise that the U-Net finds with it.
fn outputs(base: &Base) -> [Vec<f32>; 2] {
    let star = Placeholder { text: "*", vectors: 1, words: "" };
    let prompt = base.tokenizer().unwrap().encode("a photo of a toy", Some(star)).unwrap();
    let context = base.text_encoder().unwrap().forward(&[prompt], None);
    let wave: Vec<f32> = (0..16 * 16 * 4).map(|i| (i as f32 * 0.37).sin()).collect();
    let latents = engine::tensor(wave, [1, 16, 16, 4], &super::device());
    let noise = base.unet().unwrap().forward(latents, &[300.0], &context, &mut Plain);
    [engine::values(context), engine::values(noise)]
}

/// The largest difference, as a part of the largest value.
fn apart(a: &[Vec<f32>; 2], b: &[Vec<f32>; 2]) -> f32 {
    let pairs = || a.iter().flatten().zip(b.iter().flatten());
    let largest = pairs().map(|(a, _)| a.abs()).fold(0.0, f32::max);
    pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

/// What numpy computes, and what the program does as it loads the model.
#[test]
fn loras_of_every_program_change_the_weights_as_numpy_does() {
    let plain = outputs(&tiny());
    for (name, path) in [
        ("kohya", "kohya.safetensors"),
        ("diffusers", "diffusers.safetensors"),
        ("diffusers-old", "diffusers-old.safetensors"),
        ("peft", "peft"),
    ] {
        let (_dir, expected) = replaced(name);
        let expected = outputs(&expected);
        let found = outputs(&with(path, 0.8));
        let (off, moved) = (apart(&expected, &found), apart(&plain, &found));
        assert!(off < 2e-5, "{name} is {off} off");
        assert!(moved > 100.0 * off.max(1e-6), "{name} moves the outputs by {moved}");
    }
}

#[test]
fn a_weight_of_zero_changes_nothing_and_loras_add_up() {
    assert_eq!(outputs(&with("kohya.safetensors", 0.0)), outputs(&tiny()));
    let open = |weight| Lora::open(&fixture("kohya.safetensors"), weight).unwrap();
    let twice = tiny().with_loras(vec![open(0.3), open(0.5)]).unwrap();
    assert!(apart(&outputs(&twice), &outputs(&with("kohya.safetensors", 0.8))) < 2e-5);
}

/// A single file has other names inside; layers are found all the same.
#[test]
fn a_single_file_base_takes_the_same_loras() {
    let single = super::open(&golden::path("tiny-sd.ckpt"));
    let lora = Lora::open(&fixture("kohya.safetensors"), 0.8).unwrap();
    let single = single.with_loras(vec![lora]).unwrap();
    assert_eq!(outputs(&single), outputs(&with("kohya.safetensors", 0.8)));
}

#[test]
fn fingerprints_name_the_loras() {
    let bare = tiny().fingerprint().unwrap();
    let merged = with("kohya.safetensors", 0.8);
    assert_eq!(merged.bare_fingerprint().unwrap(), bare);
    let hash = &formats::sha256_of(fixture("kohya.safetensors")).unwrap()[..8];
    assert_eq!(merged.fingerprint().unwrap(), format!("{bare}+{hash}:0.8"));
}

/// Opens and merges a changed copy of kohya's file; the refusal.
fn refusal(change: impl Fn(&mut String, &mut Vec<usize>)) -> String {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("changed.safetensors");
    let file = TensorFile::open(fixture("kohya.safetensors")).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = file
        .names()
        .map(|name| {
            let (mut new, mut shape) = (name.to_owned(), file.get(name).unwrap().shape.clone());
            change(&mut new, &mut shape);
            let mut values = file.f32(name).unwrap();
            values.resize(shape.iter().product(), 0.5);
            (new, shape, values)
        })
        .collect();
    let arrays = tensors.iter().map(|(n, s, v)| (n.clone(), Array::f32(s, v))).collect();
    write_safetensors(&path, &arrays, &BTreeMap::new()).unwrap();
    let merged = Lora::open(&path, 1.0).and_then(|lora| tiny().with_loras(vec![lora]));
    match merged {
        Ok(_) => panic!("accepted"),
        Err(error @ Error::Lora { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn keys_without_a_use_and_wrong_shapes_are_named() {
    let layer = "lora_unet_down_blocks_0_resnets_0_conv1";
    let named = |old: &str, new: &str| refusal(|name, _| *name = name.replace(old, new));
    let missing = named("resnets_0_conv1", "resnets_7_conv1");
    assert!(missing.contains("resnets_7_conv1.lora_down.weight"), "{missing}");
    assert!(missing.contains("no layer down_blocks.0.resnets.7.conv1"), "{missing}");
    let unknown = named(&format!("{layer}.alpha"), &format!("{layer}.beta"));
    assert!(unknown.contains(&format!("{layer}.beta")), "{unknown}");
    let lonely = named(&format!("{layer}.lora_up"), "lora_unet_conv_in.lora_up");
    assert!(lonely.contains("no down factor") || lonely.contains("no up factor"), "{lonely}");
    let shaped = |end: &'static str, axis: usize| {
        refusal(move |name, shape| {
            if *name == format!("{layer}.{end}") {
                shape[axis] += 1;
            }
        })
    };
    for (end, axis) in [("lora_down.weight", 1), ("lora_up.weight", 0), ("lora_up.weight", 1)] {
        let refused = shaped(end, axis);
        assert!(refused.contains(layer) && refused.contains("another model"), "{refused}");
    }
}
