//! Opening files, looking tensors up, and what is said when that fails.

use std::collections::BTreeMap;
use std::fs::{self, File};

use formats::{Array, Error, TensorFile, sha256_of, write_safetensors};

use crate::{folder, golden, refusal};

#[test]
fn nothing_to_read() {
    let folder = folder();
    let missing = TensorFile::open(folder.path().join("none.ckpt")).unwrap_err();
    assert!(matches!(missing, Error::Read { .. }));
    assert!(missing.to_string().contains("none.ckpt: No such file"), "{missing}");
    let told = TensorFile::open(folder.path()).unwrap_err().to_string();
    assert!(told.contains("it is a folder"), "{told}");
    #[cfg(unix)]
    assert!(matches!(TensorFile::open("/dev/zero"), Err(Error::NotAFile { .. })));
}

#[test]
fn other_content_is_named() {
    for (bytes, expected) in [
        (&b""[..], "an empty file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git lfs pull"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x89PNG\r\n\x1a\n", "starts with \\x89PNG\\r\\n"),
        (b"var a = {", "starts with var a ="),
        (b"checkpoints/\n", "starts with checkpoi"),
        (b"\x80", "starts with \\x80"),
    ] {
        let told = refusal(bytes);
        assert!(told.contains("is not a weight file") && told.contains(expected), "{told}");
    }
}

#[test]
fn missing_names_come_with_the_nearest() {
    let file = TensorFile::open(golden("vico_weights.safetensors")).unwrap();
    let wrong = "output_blocks.10.1.image_cross_attention.attn1.to_q.weight";
    match file.f32(wrong).unwrap_err() {
        Error::NoSuchTensor { nearest, name, .. } => {
            assert_eq!(name, wrong);
            assert_eq!(nearest[0], format!("diffusion_model.{wrong}"));
            assert_eq!(nearest.len(), 3);
        }
        other => panic!("{other}"),
    }
    let told = file.i64("diffusion_model.nonsense").unwrap_err().to_string();
    assert!(told.contains("the nearest names are `"), "{told}");
}

#[test]
fn shapes_and_types_are_checked() {
    let file = TensorFile::open(golden("vico/checkpoints/embeddings_gs-399.pt")).unwrap();
    let told = file.expect_shape("string_to_param.*", &[16]).unwrap_err().to_string();
    assert!(told.contains("has shape [1, 16], expected [16]"), "{told}");
    let told = file.i64("string_to_param.*").unwrap_err().to_string();
    assert!(told.contains("holds F32, expected integers"), "{told}");
    assert_eq!(file.f32("string_to_token.*").unwrap(), [265.0]);
}

#[test]
fn digests() {
    let folder = folder();
    let path = folder.path().join("abc");
    fs::write(&path, "abc").unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_of(&path).unwrap(), abc);
    assert!(matches!(sha256_of(folder.path().join("none")), Err(Error::Read { .. })));
    let path = golden("tiny-sd.ckpt");
    assert_eq!(TensorFile::open(&path).unwrap().sha256().unwrap(), sha256_of(&path).unwrap());
}

#[test]
fn threads_read_at_once() {
    let file = TensorFile::open(golden("tiny-sd.ckpt")).unwrap();
    let sums = |names: &mut dyn Iterator<Item = &str>| -> Vec<f64> {
        names.map(|name| file.f32(name).unwrap().iter().map(|v| f64::from(*v)).sum()).collect()
    };
    let alone = sums(&mut file.names());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| sums(&mut file.names()))).collect();
        for worker in workers {
            assert_eq!(worker.join().unwrap(), alone);
        }
    });
}

#[test]
fn a_file_that_shrinks_is_an_error_and_a_replaced_one_is_not() {
    let folder = folder();
    let path = folder.path().join("a");
    let write = |value: f32| {
        let values = vec![value; 4096];
        let tensors = BTreeMap::from([("a".to_owned(), Array::f32(&[4096], &values))]);
        write_safetensors(&path, &tensors, &BTreeMap::new()).unwrap();
    };
    write(1.0);
    let file = TensorFile::open(&path).unwrap();
    write(2.0);
    assert_eq!(file.f32("a").unwrap()[0], 1.0);
    let file = TensorFile::open(&path).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    let told = file.f32("a").unwrap_err().to_string();
    assert!(told.contains("has 100 now"), "{told}");
}
