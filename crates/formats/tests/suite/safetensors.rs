//! safetensors files, honest and lying.

use std::collections::BTreeMap;
use std::fs;

use formats::{Array, DType, Error, TensorFile, write_safetensors};

use crate::{folder, open, refusal};

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 7);
    file
}

#[test]
fn what_is_written_is_read_back() {
    let folder = folder();
    let path = folder.path().join("a.safetensors");
    let (floats, longs) = ([0.5f32, -1.0, 3.0, 4.0, 5.0, 6.0], [i64::MIN, 7]);
    let halves = Array { dtype: DType::F16, shape: vec![1], bytes: vec![0, 0x3c].into() };
    let tensors = BTreeMap::from([
        ("half".to_owned(), halves),
        ("matrix".to_owned(), Array::f32(&[2, 3], &floats)),
        ("longs".to_owned(), Array::i64(&[2], &longs)),
        ("scalar".to_owned(), Array::f32(&[], &floats[..1])),
        ("empty".to_owned(), Array::f32(&[0, 3], &[])),
    ]);
    let metadata = BTreeMap::from([("format".to_owned(), "pt \"quoted\"\n".to_owned())]);
    write_safetensors(&path, &tensors, &metadata).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert!(file.names().eq(["empty", "half", "longs", "matrix", "scalar"]));
    assert_eq!(file.metadata(), &metadata);
    assert_eq!(file.path(), path);
    assert_eq!(file.f32("matrix").unwrap(), floats);
    assert_eq!(file.i64("longs").unwrap(), longs);
    assert_eq!(file.f32("half").unwrap(), [1.0]);
    assert_eq!(file.f32("scalar").unwrap(), [0.5]);
    assert!(file.f32("empty").unwrap().is_empty());
    for (name, array) in &tensors {
        file.expect_shape(name, &array.shape).unwrap();
        assert_eq!(file.get(name).unwrap().dtype, array.dtype);
        assert_eq!(file.bytes(name).unwrap(), array.bytes);
    }
    // Every tensor is aligned to its element size: that is what the order is for.
    let bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    assert_eq!(header % 8, 0);
}

#[test]
fn same_content_same_bytes() {
    let folder = folder();
    let write = |name: &str| {
        let values = [1.0f32; 4];
        let tensors = (0..20).map(|i| (format!("t{i}"), Array::f32(&[4], &values))).collect();
        let metadata = (0..20).map(|i| (format!("k{i}"), "v".to_owned())).collect();
        let path = folder.path().join(name);
        write_safetensors(&path, &tensors, &metadata).unwrap();
        fs::read(path).unwrap()
    };
    assert_eq!(write("one"), write("two"));
}

#[test]
fn many_tensors_and_names_in_any_script() {
    let folder = folder();
    let path = folder.path().join("many");
    let tensors: BTreeMap<String, Array<'_>> =
        (0..2000).map(|i| (format!("weights.\u{3b1}.{i}"), Array::f32(&[], &[2.5]))).collect();
    let metadata = BTreeMap::from([("caf\u{e9}".to_owned(), "\u{1f431}".to_owned())]);
    write_safetensors(&path, &tensors, &metadata).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert!(file.names().eq(tensors.keys()));
    assert_eq!(file.metadata(), &metadata);
    assert_eq!(file.f32("weights.\u{3b1}.1999").unwrap(), [2.5]);
}

#[test]
fn the_layout_is_the_documented_one() {
    let folder = folder();
    let path = folder.path().join("a");
    let tensors = BTreeMap::from([
        ("a".to_owned(), Array { dtype: DType::U8, shape: vec![1], bytes: vec![9].into() }),
        ("b".to_owned(), Array::f32(&[1], &[1.0])),
    ]);
    let metadata = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    write_safetensors(&path, &tensors, &metadata).unwrap();
    let header = concat!(
        r#"{"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#,
        r#""a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#
    );
    let padded = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    let mut expected = file(&padded, 0);
    expected.extend([0, 0, 0x80, 0x3f, 9]);
    assert_eq!(fs::read(path).unwrap(), expected);
}

#[test]
fn arrays_that_cannot_be_written() {
    let folder = folder();
    let path = folder.path().join("a");
    let write = |name: &str, array| {
        write_safetensors(&path, &BTreeMap::from([(name.to_owned(), array)]), &BTreeMap::new())
    };
    let wrong = write("w", Array::f32(&[3], &[1.0, 2.0])).unwrap_err();
    assert!(matches!(&wrong, Error::WrongSize { name, bytes: 8, .. } if name == "w"), "{wrong}");
    let huge = write("w", Array::f32(&[usize::MAX, 8], &[])).unwrap_err();
    assert!(matches!(huge, Error::WrongSize { .. }));
    let reserved = write("__metadata__", Array::f32(&[], &[1.0])).unwrap_err();
    assert!(matches!(reserved, Error::ReservedName { .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn lying_headers() {
    let tensor = |dtype: &str, shape: &str, from: usize, to: usize| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let one = |description: String, data| file(&format!(r#"{{"a":{description}}}"#), data);
    let honest = one(tensor("F32", "[2]", 0, 8), 8);
    assert!(open(&honest).is_ok());
    let prefixed = |length: u64| [&length.to_le_bytes()[..], &honest[8..]].concat();
    let two = |from: usize, to: usize, data| {
        let (a, b) = (tensor("F32", "[2]", 0, 8), tensor("F32", "[1]", from, to));
        file(&format!(r#"{{"a":{a},"b":{b}}}"#), data)
    };
    for (file, expected) in [
        (prefixed(1000), "the whole file has"),
        (prefixed(50_000_000), "the whole file has"),
        (prefixed(1 << 40), "more than the format allows"),
        (prefixed(u64::MAX), "more than the format allows"),
        (prefixed(20), "its header is invalid"),
        (honest[..honest.len() - 3].to_vec(), "do not end where the file does"),
        (honest[..40].to_vec(), "the whole file has 40"),
        (one(tensor("F32", "[2]", 0, 8), 9), "do not end where the file does"),
        (one(tensor("F32", "[2]", 0, 800), 8), "do not match its shape"),
        (one(tensor("F32", "[3]", 0, 8), 8), "do not match its shape"),
        (one(tensor("F64", "[2]", 0, 8), 8), "do not match its shape"),
        (one(tensor("F32", "[2]", 8, 0), 8), "`a` leave a gap"),
        (one(tensor("F32", "[4294967296,4294967296,2]", 0, 8), 8), "too large"),
        (one(tensor("F32", "[-2]", 0, 8), 8), "its header is invalid"),
        (one(tensor("F99", "[2]", 0, 8), 8), "unknown variant `F99`"),
        (two(4, 8, 8), "overlap"),
        (two(12, 16, 16), "leave a gap"),
        (file("{\"a\": [", 0), "its header is invalid"),
        (file("{\u{e9}}", 0), "its header is invalid"),
    ] {
        let told = refusal(&file);
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn eight_bit_floats_do_not_hide_other_tensors() {
    let header = concat!(
        r#"{"f8":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},"#,
        r#""f32":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#
    );
    let file = open(&file(header, 8)).unwrap();
    assert!(file.names().eq(["f32"]));
    let told = file.f32("f8").unwrap_err().to_string();
    assert!(told.contains("`f8`") && told.contains("F8_E4M3"), "{told}");
}
