//! Files that PyTorch itself wrote.

use formats::{DType, TensorFile};

use crate::golden;

#[test]
fn authors_embeddings_of_both_pytorch_generations() {
    let read = |folder: &str| {
        let path = format!("vico/{folder}/embeddings_gs-399.pt");
        let file = TensorFile::open(golden(&path)).unwrap();
        assert!(file.names().eq(["string_to_param.*", "string_to_token.*"]));
        // The token is one element in the middle of a storage of 77.
        assert_eq!(file.get("string_to_token.*").unwrap().dtype, DType::I64);
        file.expect_shape("string_to_token.*", &[]).unwrap();
        file.expect_shape("string_to_param.*", &[1, 16]).unwrap();
        (file.i64("string_to_token.*").unwrap(), file.f32("string_to_param.*").unwrap())
    };
    let today = read("checkpoints");
    assert_eq!(today.0, [265]);
    assert_eq!(today, read("checkpoints-torch110-cuda"));
}

#[test]
fn authors_attention_weights_equal_the_safetensors_copy() {
    let pickle = TensorFile::open(golden("vico/checkpoints/cross_attention-399.pt")).unwrap();
    let copy = TensorFile::open(golden("vico_weights.safetensors")).unwrap();
    assert_eq!(pickle.names().count(), 80);
    for name in pickle.names() {
        assert_eq!(pickle.get(name), copy.get(name), "{name}");
        assert_eq!(pickle.bytes(name).unwrap(), copy.bytes(name).unwrap(), "{name}");
    }
}

#[test]
fn a_whole_checkpoint_equals_its_parts() {
    let checkpoint = TensorFile::open(golden("tiny-sd.ckpt")).unwrap();
    assert_eq!(checkpoint.names().count(), 912);
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
