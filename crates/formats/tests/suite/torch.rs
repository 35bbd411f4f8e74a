//! Files written for `torch.load`.

use std::collections::BTreeMap;
use std::fs;

use formats::{Array, DType, Error, TensorFile, Value, write_torch};

use crate::{folder, golden};

fn embeddings<'a>(token: &'a [i64], vector: &'a [f32]) -> Value<'a> {
    let token = Value::Tensor(Array::i64(&[], token));
    let vector = Array::f32(&[1, vector.len()], vector);
    Value::Dict(vec![
        ("string_to_token".to_owned(), Value::Dict(vec![("*".to_owned(), token)])),
        ("string_to_param".to_owned(), Value::ParameterDict(vec![("*".to_owned(), vector)])),
    ])
}

#[test]
fn authors_embeddings_are_written_as_they_were_read() {
    let folder = folder();
    let path = folder.path().join("embeddings.pt");
    let authors = TensorFile::open(golden("vico/checkpoints/embeddings_gs-399.pt")).unwrap();
    let token = authors.i64("string_to_token.*").unwrap();
    let vector = authors.f32("string_to_param.*").unwrap();
    write_torch(&path, &embeddings(&token, &vector)).unwrap();
    let written = TensorFile::open(&path).unwrap();
    assert!(written.names().eq(authors.names()));
    for name in authors.names() {
        assert_eq!(written.get(name), authors.get(name));
        assert_eq!(written.bytes(name).unwrap(), authors.bytes(name).unwrap());
    }
    let again = folder.path().join("again.pt");
    write_torch(&again, &embeddings(&token, &vector)).unwrap();
    assert_eq!(fs::read(path).unwrap(), fs::read(again).unwrap());
}

#[test]
fn every_type_that_pytorch_can_store() {
    let folder = folder();
    let path = folder.path().join("types.pt");
    let types = [
        DType::F64,
        DType::F32,
        DType::F16,
        DType::BF16,
        DType::I64,
        DType::I32,
        DType::I16,
        DType::I8,
        DType::U8,
        DType::Bool,
    ];
    let arrays: BTreeMap<String, Array<'_>> = types
        .iter()
        .map(|dtype| {
            let bytes = (0..6 * dtype.size()).map(|byte| (byte % 2) as u8).collect();
            (dtype.to_string(), Array { dtype: *dtype, shape: vec![3, 1, 2], bytes })
        })
        .collect();
    let entries = arrays.clone().into_iter().map(|(name, array)| (name, Value::Tensor(array)));
    write_torch(&path, &Value::Dict(entries.collect())).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.names().count(), types.len());
    for (name, array) in &arrays {
        assert_eq!(file.get(name).unwrap().dtype, array.dtype);
        file.expect_shape(name, &array.shape).unwrap();
        assert_eq!(file.bytes(name).unwrap(), array.bytes);
    }
}

#[test]
fn storages_are_aligned() {
    let folder = folder();
    let path = folder.path().join("a.pt");
    write_torch(&path, &embeddings(&[265], &[1.5; 16])).unwrap();
    let bytes = fs::read(path).unwrap();
    let pattern: Vec<u8> = [1.5f32; 16].iter().flat_map(|value| value.to_le_bytes()).collect();
    let position = bytes.windows(pattern.len()).position(|window| window == pattern).unwrap();
    assert_eq!(position % 64, 0);
}

#[test]
fn arrays_that_cannot_be_written() {
    let folder = folder();
    let path = folder.path().join("a.pt");
    let write =
        |array| write_torch(&path, &Value::Dict(vec![("w".to_owned(), Value::Tensor(array))]));
    let unsigned = Array { dtype: DType::U16, shape: vec![1], bytes: vec![0, 0].into() };
    let told = write(unsigned).unwrap_err().to_string();
    assert!(told.contains("`w`") && told.contains("U16"), "{told}");
    let wrong = write(Array::f32(&[2], &[1.0])).unwrap_err();
    assert!(matches!(wrong, Error::WrongSize { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
