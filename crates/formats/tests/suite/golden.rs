//! Files that PyTorch itself wrote.

use formats::{DType, TensorFile};

use crate::golden;

/// The one file of a folder whose name begins so: the number of steps is behind it.
fn released(folder: &str, kind: &str) -> TensorFile {
    let files = std::fs::read_dir(golden(&format!("vico/{folder}"))).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let found: Vec<String> = names.filter(|name| name.starts_with(kind)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    TensorFile::open(golden(&format!("vico/{folder}/{}", found[0]))).unwrap()
}

fn weights() -> TensorFile {
    TensorFile::open(golden("vico_weights.safetensors")).unwrap()
}

#[test]
fn authors_embeddings_of_both_pytorch_generations() {
    let manifest = std::fs::read_to_string(golden("manifest.json")).unwrap();
    let manifest: serde_json::Value =
        serde_json::from_str(&manifest.replace("-Infinity", "null")).unwrap();
    let shape = weights().get("placeholder_embedding").unwrap().shape.clone();
    let read = |folder: &str| {
        let file = released(folder, "embeddings_gs-");
        assert!(file.names().eq(["string_to_param.*", "string_to_token.*"]));
        // The token is one element in the middle of a storage of 77.
        assert_eq!(file.get("string_to_token.*").unwrap().dtype, DType::I64);
        file.expect_shape("string_to_token.*", &[]).unwrap();
        file.expect_shape("string_to_param.*", &shape).unwrap();
        (file.i64("string_to_token.*").unwrap(), file.f32("string_to_param.*").unwrap())
    };
    let today = read("checkpoints");
    assert_eq!(today.0[0], manifest["placeholder_token"]);
    assert_eq!(today, read("checkpoints-torch110-cuda"));
}

#[test]
fn authors_attention_weights_equal_the_safetensors_copy() {
    let (pickle, copy) = (released("checkpoints", "cross_attention-"), weights());
    let attention = copy.names().filter(|name| name.starts_with("diffusion_model."));
    assert!(pickle.names().eq(attention));
    for name in pickle.names() {
        assert_eq!(pickle.get(name), copy.get(name), "{name}");
        assert_eq!(pickle.bytes(name).unwrap(), copy.bytes(name).unwrap(), "{name}");
    }
}

#[test]
fn a_whole_checkpoint_equals_its_parts() {
    let checkpoint = TensorFile::open(golden("tiny-sd.ckpt")).unwrap();
    assert!(!checkpoint.contains("global_step"));
    let unet = golden("tiny-sd/unet/diffusion_pytorch_model.safetensors");
    let unet = TensorFile::open(unet).unwrap();
    for (original, renamed) in [
        ("time_embed.0.weight", "time_embedding.linear_1.weight"),
        ("input_blocks.0.0.weight", "conv_in.weight"),
        ("out.2.bias", "conv_out.bias"),
    ] {
        let original = format!("state_dict.model.diffusion_model.{original}");
        assert_eq!(checkpoint.get(&original), unet.get(renamed), "{original}");
        assert_eq!(checkpoint.f32(&original).unwrap(), unet.f32(renamed).unwrap(), "{original}");
    }
}
