//! PyTorch's streams and archives: a pickle is put into an archive with a little data as well,
//! so that mutations need not keep a zip's checksums right.

#![no_main]

mod common;

use formats::{Array, TensorFile, Value, write_torch};
use libfuzzer_sys::fuzz_target;

fn read_all(path: &std::path::Path) {
    let Ok(file) = TensorFile::open(path) else { return };
    for name in file.names() {
        let _ = file.f32(name);
        let _ = file.i64(name);
    }
}

fuzz_target!(|bytes: &[u8]| {
    read_all(&common::file(bytes, ".pt"));
    // The same bytes as the content of what we write must come back.
    let array = Array { dtype: formats::DType::U8, shape: vec![bytes.len()], bytes: bytes.into() };
    let path = common::file(&[], ".written.pt");
    write_torch(&path, &Value::Dict(vec![("w".into(), Value::Tensor(array))])).expect("written");
    let file = TensorFile::open(&path).expect("what was written");
    assert_eq!(file.bytes("w").expect("its tensor"), bytes);
});
