//! Equal to transformers, on random weights in every layout that is read.

use std::path::PathBuf;

use evaluate::Encoder;
use golden::Golden;
use images::read_photo;

pub fn fixture(name: &str) -> PathBuf {
    golden::fixture("transformers").join(name)
}

fn features() -> Golden {
    Golden::fixture("transformers/features.safetensors")
}

pub fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
    row.iter().map(|v| v / length).collect()
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// The features of a PNG and of its JPEG, whose pixels other decoders round elsewhere.
fn assert_as_transformers(case: &str, file: &str) -> Encoder {
    let encoder = Encoder::open(&fixture(file), &engine::cpu()).unwrap();
    let photos = ["photo.png", "photo.jpg"].map(|name| read_photo(fixture(name)).unwrap());
    let [png, jpeg] = encoder.pictures(&photos).try_into().unwrap();
    let want = |what: &str| unit(&features().f32(&format!("{case}.{what}")));
    golden::assert_close(case, &png, &want("image"), 1e-4);
    let likeness = cosine(&jpeg, &want("jpeg"));
    assert!(likeness >= 1.0 - 1e-3, "{case} from a JPEG: {likeness}");
    encoder
}

fn assert_texts(encoder: &Encoder, case: &str) {
    let golden = features();
    let prompts: Vec<String> = serde_json::from_str(golden.metadata("prompts")).unwrap();
    let want = golden.f32(&format!("{case}.text"));
    let got = encoder.texts(&prompts).unwrap();
    let rows = want.chunks(want.len() / prompts.len());
    for ((prompt, got), want) in prompts.iter().zip(got).zip(rows) {
        golden::assert_close(prompt, &got, &unit(want), 1e-4);
    }
}

#[test]
fn clip_of_hugging_face() {
    let encoder = assert_as_transformers("clip", "clip");
    assert_texts(&encoder, "clip");
    assert_eq!(encoder.description().name, "CLIP ViT-32/6");
}

/// A TorchScript program with OpenAI's names.
#[test]
fn clip_of_openai() {
    let encoder = assert_as_transformers("openai-clip", "openai-clip.pt");
    assert_texts(&encoder, "openai-clip");
}

#[test]
fn dino_of_hugging_face() {
    let encoder = assert_as_transformers("dino", "dino");
    let refused = encoder.texts(&["a".to_owned()]).unwrap_err().to_string();
    assert!(refused.contains("use a CLIP"), "{refused}");
}

/// A full checkpoint with a student, a teacher and facebookresearch's names.
#[test]
fn dino_of_facebook() {
    assert_as_transformers("dino-original", "dino.pth");
}

#[test]
fn dinov2_of_hugging_face() {
    assert_as_transformers("dinov2", "dinov2");
}

#[test]
fn dinov2_of_facebook() {
    assert_as_transformers("dinov2-original", "dinov2.pth");
}

#[test]
fn a_file_in_a_folder_is_the_folder() {
    let file = Encoder::open(&fixture("dino/model.safetensors"), &engine::cpu()).unwrap();
    let folder = Encoder::open(&fixture("dino"), &engine::cpu()).unwrap();
    assert_eq!(file.description(), folder.description());
}

#[test]
fn pictures_are_made_ready_as_transformers_does_it() {
    let golden = features();
    let photo = read_photo(fixture("photo.png")).unwrap();
    for case in ["clip", "dino", "dinov2"] {
        let encoder = Encoder::open(&fixture(case), &engine::cpu()).unwrap();
        let got = encoder.description().preprocess.pixels(&photo);
        golden::assert_close(case, &got, &golden.f32(&format!("{case}.pixels")), 1e-6);
    }
    for (case, file) in [("openai-clip", "openai-clip.pt"), ("dino-original", "dino.pth")] {
        let encoder = Encoder::open(&fixture(file), &engine::cpu()).unwrap();
        let got = encoder.description().preprocess.pixels(&photo);
        golden::assert_close(case, &got, &golden.f32(&format!("{case}.pixels")), 1e-6);
    }
}

fn refusal(path: &std::path::Path) -> String {
    match Encoder::open(path, &engine::cpu()) {
        Ok(_) => panic!("{} is no encoder", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_encoder_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    let refused = refusal(dir.path());
    assert!(
        refused.contains("model.safetensors") && refused.contains("name the file"),
        "{refused}"
    );
    let other = golden::fixture("embeddings/diffusers.safetensors");
    assert!(refusal(&other).contains("expected CLIP"));
    let weights = fixture("clip/model.safetensors");
    std::fs::copy(weights, dir.path().join("model.safetensors")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    // Without its merges: the first of CLIP's, which are the same.
    assert!(Encoder::open(dir.path(), &engine::cpu()).is_ok());
    for (config, word) in [
        (r#"{"vision_config": {"num_attention_heads": 5}}"#, "num_attention_heads"),
        (r#"{"vision_config": {"hidden_act": "relu"}}"#, "quick_gelu or gelu"),
        (r#"{"text_config": {"layer_norm_eps": 7}}"#, "layer_norm_eps"),
        ("{", "not JSON"),
    ] {
        write("config.json", config);
        let refused = refusal(dir.path());
        assert!(refused.contains(word), "{word} in {refused}");
    }
    write("config.json", "{}");
    for (config, word) in [
        (r#"{"size": {"shortest_edge": 1000000}}"#, "shortest_edge"),
        (r#"{"crop_size": 25}"#, "patches"),
        (r#"{"size": 6, "crop_size": 24}"#, "do not fill"),
        (r#"{"resample": 0}"#, "bicubic"),
        (r#"{"image_std": [1, 0, 1]}"#, "image_std"),
        (r#"{"do_resize": false}"#, "do_resize"),
    ] {
        write("preprocessor_config.json", config);
        let refused = refusal(dir.path());
        assert!(refused.contains(word), "{word} in {refused}");
    }
    write("preprocessor_config.json", "{}");
    write("merges.txt", "#version: 0.2\nt h\n");
    assert!(refusal(dir.path()).contains("merges.txt"));
}
