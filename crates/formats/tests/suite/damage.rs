//! Files with bytes changed at random: read or refused, but never a panic, and never more
//! memory than the file justifies.

use proptest::prelude::*;

use crate::allocation::peak;
use crate::build::*;
use crate::open;

/// Small files of every format, with all their tensors valid.
fn seeds() -> Vec<Vec<u8>> {
    let value = dict(&[
        ("state_dict", dict(&[("w", PLAIN.code()), ("v", PLAIN.code())])),
        ("step", int(3)),
        ("t", Tensor { offset: 1, shape: &[2, 2], strides: &[1, 2], ..PLAIN }.code()),
    ]);
    let header = r#"{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}       "#;
    let safetensors = [&64u64.to_le_bytes(), header.as_bytes(), &[0; 12]].concat();
    vec![checkpoint(&value), legacy(&value, &[("0", 6, &floats(6))]), safetensors]
}

/// Opens a file and reads all that it offers.
fn read_all(bytes: &[u8]) {
    let Ok(file) = open(bytes) else { return };
    for name in file.names() {
        let _ = file.f32(name);
        let _ = file.i64(name);
    }
}

/// Opening costs a constant (the longest error, the buffers of reading) and a multiple of the
/// file: an opcode of one byte becomes an object of some forty.
fn check(bytes: &[u8]) {
    let used = peak(|| read_all(bytes));
    assert!(used < (256 << 10) + 100 * bytes.len(), "{used} bytes for {}", bytes.len());
}

#[test]
fn every_truncation() {
    for seed in seeds() {
        (0..seed.len()).for_each(|length| check(&seed[..length]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn random_changes(
        which in 0..3usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = seeds().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check(&bytes);
    }

    #[test]
    fn random_pickles(opcodes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&checkpoint(&opcodes));
        check(&opcodes);
    }
}
