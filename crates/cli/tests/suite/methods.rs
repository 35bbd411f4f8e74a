//! Custom Diffusion and DreamBooth from photos to pictures.

use std::fs;

use formats::TensorFile;
use images::read_photo;

use super::vico::{Place, Run, base, bytes};

/// Trains `adapter.safetensors` quickly, with pictures of the class that are at hand.
fn train(place: &Place, steps: &str, more: &[&str]) -> Run {
    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--batch", "1", "--size", "64"]);
    arguments.extend(["--regularization-images", "photos", "--steps", steps]);
    arguments.extend(more);
    place.run(&arguments)
}

fn pixels(place: &Place, name: &str) -> Vec<u8> {
    read_photo(place.path(name)).unwrap().rgb().to_vec()
}

/// The largest difference of two pictures' bytes.
fn difference(place: &Place, a: &str, b: &str) -> u8 {
    let both = pixels(place, a).into_iter().zip(pixels(place, b));
    both.map(|(a, b)| a.abs_diff(b)).max().unwrap()
}

/// Draws with a base model alone.
fn draw_bare(place: &Place, prompt: &str, output: &str, base: &str, more: &[&str]) {
    let mut arguments = vec!["generate", prompt, "--base", base, "--size", "64"];
    arguments.extend(["--steps", "3", "--output", output]);
    arguments.extend(more);
    place.run(&arguments).done();
}

/// Trains whole and in two parts, and compares the files.
fn resumes_to_the_same_bits(more: &[&str]) {
    let (whole, place) = (Place::new(), Place::new());
    train(&whole, "3", more).done();
    train(&place, "1", more).done();
    place.run(&["train", "--resume", "adapter.run", "--steps", "3"]).done();
    let adapter = "adapter.safetensors";
    assert_eq!(bytes(whole.path(adapter)), bytes(place.path(adapter)), "{more:?}");
}

#[test]
fn custom_diffusion_trains_and_draws() {
    let place = Place::new();
    let said = train(&place, "2", &["--method", "custom-diffusion"]).done().said();
    assert!(said.contains("values are learned"), "{said}");
    let said = place.run(&["inspect", "adapter.safetensors"]).done().said();
    for word in ["custom-diffusion", "attn2.to_k.weight", "placeholder_embedding"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    place.generate("a * here", "one.png", &[]).done();
    let metrics = fs::read_to_string(place.path("adapter.run/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"prior\""), "{metrics}");
    place.generate("nothing here", "two.png", &[]).failed(2, &["placeholder"]);
    let mask = ["mask", "photos/0.png", "--base", &base(), "--adapter", "adapter.safetensors"];
    place.run(&[&mask[..], &["--output", "mask.png"]].concat()).failed(1, &["no masks"]);

    let export = ["export", "adapter.safetensors", "--format", "custom-diffusion"];
    place.run(&[&export[..], &["--output", "out", "--word", "<new1>"]].concat()).done();
    assert_eq!(place.list("out"), ["<new1>.bin", "pytorch_custom_diffusion_weights.safetensors"]);
    let ours = TensorFile::open(place.path("adapter.safetensors")).unwrap();
    let weights = "out/pytorch_custom_diffusion_weights.safetensors";
    let theirs = TensorFile::open(place.path(weights)).unwrap();
    let block = "mid_block.attentions.0.transformer_blocks.0.attn2";
    assert_eq!(
        ours.f32(&format!("unet.{block}.to_v.weight")).unwrap(),
        theirs.f32(&format!("{block}.processor.to_v_custom_diffusion.weight")).unwrap()
    );
    let said = place.run(&["inspect", "out/<new1>.bin"]).done().said();
    assert!(said.contains("\"<new1>\"") && said.contains("1 vectors"), "{said}");
    place
        .run(&[&export[..], &["--output", "out", "--word", "a/b"]].concat())
        .failed(2, &["--word", "file name"]);
}

#[test]
fn custom_diffusion_resumes_to_the_same_bits() {
    resumes_to_the_same_bits(&["--method", "custom-diffusion"]);
}

#[test]
fn custom_diffusion_of_two_concepts() {
    let place = Place::new();
    let two = ["--method", "custom-diffusion", "--concept", "photos:<b>:dog"];
    train(&place, "1", &two).failed(2, &["expected 2", "--concept"]);
    train(&place, "1", &[&two[..], &["--regularization-images", "photos"]].concat()).done();
    place.generate("a * beside a <b>", "both.png", &[]).done();
    place.generate("a * beside a <c>", "one.png", &[]).done();
    assert_ne!(pixels(&place, "both.png"), pixels(&place, "one.png"));
    place.run(&["train", "--resume", "adapter.run", "--steps", "2"]).done();
    let export = ["export", "adapter.safetensors", "--format", "custom-diffusion"];
    place.run(&[&export[..], &["--output", "out", "--word", "<a>"]].concat()).done();
    assert_eq!(place.list("out").len(), 3);
}

#[test]
fn the_base_draws_its_own_pictures_of_the_class() {
    let place = Place::new();
    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--batch", "1", "--size", "64"]);
    arguments.extend(["--method", "custom-diffusion", "--prior-images", "2", "--steps"]);
    let said = place.run(&[&arguments[..], &["1", "--dry-run"]].concat()).done().said();
    assert!(said.contains("to draw 2 pictures of the class"), "{said}");
    place.run(&[&arguments[..], &["1"]].concat()).done();
    let names = ["picture-0001.png", "picture-0002.png"];
    assert_eq!(place.list("adapter.run/class"), names);
    // One that is missing is drawn again, the same.
    let second = place.path("adapter.run/class/picture-0002.png");
    let before = bytes(&second);
    fs::remove_file(&second).unwrap();
    place.run(&["train", "--resume", "adapter.run", "--steps", "2"]).done();
    assert_eq!(before, bytes(&second));
}

#[test]
fn dreambooth_in_a_lora_is_read_by_other_programs() {
    let place = Place::new();
    let lora = ["--method", "dreambooth", "--lora-rank", "2", "--train-text-encoder"];
    let more = [&lora[..], &["--lr-weights", "0.01"]].concat();
    let said = train(&place, "3", &more).done().said();
    assert!(!said.contains("whole model"), "{said}");
    place.generate("a * here", "adapter.png", &[]).done();
    let export = ["export", "adapter.safetensors", "--format", "kohya-lora"];
    let said = place.run(&[&export[..], &["--output", "lora.safetensors"]].concat()).done().said();
    assert!(said.contains("sks toy"), "{said}");
    let said = place.run(&["inspect", "lora.safetensors"]).done().said();
    assert!(said.contains("a LoRA of"), "{said}");

    draw_bare(&place, "a sks toy here", "plain.png", &base(), &[]);
    let merged = ["--lora", "lora.safetensors"];
    draw_bare(&place, "a sks toy here", "merged.png", &base(), &merged);
    assert!(difference(&place, "plain.png", "merged.png") > 8, "the LoRA does something");
    assert!(difference(&place, "adapter.png", "merged.png") <= 2);
}

#[test]
fn dreambooth_in_a_lora_resumes_to_the_same_bits() {
    resumes_to_the_same_bits(&["--method", "dreambooth", "--lora-rank"]);
}

#[test]
fn dreambooth_of_all_weights_is_a_model() {
    let place = Place::new();
    let more = ["--method", "dreambooth", "--train-text-encoder", "--lr-weights", "0.001"];
    let said = train(&place, "2", &more).done().said();
    assert!(said.contains("adapter.model"), "{said}");
    assert_eq!(place.list("adapter.run/checkpoints"), ["step-000002.safetensors"]);
    place.generate("a * here", "adapter.png", &[]).done();
    let model = place.path("adapter.model");
    draw_bare(&place, "a sks toy here", "model.png", model.to_str().unwrap(), &[]);
    draw_bare(&place, "a sks toy here", "plain.png", &base(), &[]);
    assert!(difference(&place, "plain.png", "model.png") > 8, "the training did something");
    assert!(difference(&place, "adapter.png", "model.png") <= 2);
    let unet = "unet/diffusion_pytorch_model.safetensors";
    let (old, new) = (golden::path("tiny-sd").join(unet), model.join(unet));
    let (old, new) = (TensorFile::open(old).unwrap(), TensorFile::open(new).unwrap());
    for name in old.names() {
        assert_eq!(old.get(name).unwrap().shape, new.get(name).unwrap().shape, "{name}");
    }
}

#[test]
fn dreambooth_of_all_weights_resumes_to_the_same_bits() {
    resumes_to_the_same_bits(&["--method", "dreambooth"]);
}

#[test]
fn all_weights_need_a_folder() {
    let place = Place::new();
    let file = golden::path("tiny-sd.ckpt").canonicalize().unwrap();
    let mut arguments = vec!["train", "photos", "--base", file.to_str().unwrap()];
    arguments.extend(["--init-word", "toy", "--output", "x.safetensors"]);
    arguments.extend(["--method", "dreambooth", "--dry-run"]);
    place.run(&arguments).failed(1, &["single file", "LoRA"]);
    place.run(&[&arguments[..], &["--lora-rank"]].concat()).done();
}

#[test]
fn dry_runs_tell_what_is_learned() {
    let place = Place::new();
    let said = |more: &[&str]| {
        let more = [more, &["--dry-run"]].concat();
        train(&place, "2", &more).done().said()
    };
    for (more, counted) in [
        (&["--method", "dreambooth"][..], "100.00 % of the U-Net"),
        (&["--method", "dreambooth", "--lora-rank"], "lora_rank = 4"),
        (&["--method", "custom-diffusion"], "rare_word = \"ktn\""),
    ] {
        let said = said(more);
        assert!(said.contains(counted), "{counted} in {said}");
    }
}

#[test]
fn wishes_that_a_method_does_not_have() {
    let place = Place::new();
    for (more, word) in [
        (&["--method", "custom-diffusion", "--lora-rank", "4"][..], "--lora-rank"),
        (&["--method", "custom-diffusion", "--train-text-encoder"], "--train-text-encoder"),
        (&["--method", "custom-diffusion", "--rare-word", "two words"], "--rare-word"),
        (&["--method", "dreambooth", "--lr-token", "0.1"], "--lr-token"),
        (&["--method", "dreambooth", "--concept", "photos:<b>:dog"], "--concept"),
        (&["--method", "dreambooth", "--concept", "photos"], "PHOTOS:PLACEHOLDER:WORD"),
        (&["--lr-weights", "0.1"], "--lr-weights"),
        (&[], "--regularization-images"),
    ] {
        train(&place, "1", more).failed(2, &[word]);
    }
}
