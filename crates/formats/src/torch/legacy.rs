//! The stream of pickles that PyTorch wrote before version 1.6, and plain pickles.
//!
//! A magic number, a protocol version, notes on the machine, the saved object, and the list
//! of storage keys, each a pickle of its own. Then, for each key in turn, the number of
//! elements (eight bytes) and the elements. All of it is little-endian, whatever the notes
//! on the machine say: PyTorch converted on writing.
//!
//! Format: `_legacy_save` in PyTorch's `torch/serialization.py`.

use std::collections::HashMap;
use std::ops::Range;

use super::objects::{Heap, Object};
use super::pickle::{self, Unpickled};
use super::tensors::{StorageKey, collect};
use crate::contents::Contents;
use crate::error::Fault;
use crate::view::Storage;

type Result<T> = std::result::Result<T, Fault>;

/// The magic number 0x1950a86a20f9469cfc6c as PROTO 2 and LONG1 write it.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The only protocol version there ever was.
const PROTOCOL: i64 = 1001;

/// The length of the element count in front of each storage.
const COUNT: usize = size_of::<u64>();

/// Reads the description of all tensors; their bytes stay where they are.
pub(crate) fn read(file: &[u8]) -> Result<Contents> {
    let mut rest = match file.strip_prefix(MAGIC) {
        Some(rest) => rest,
        None => return plain(file),
    };
    let protocol = next(&mut rest)?;
    if !matches!(protocol.heap.get(protocol.root), Object::Int(PROTOCOL)) {
        return Fault::unsupported("its protocol version is not 1001, the only one known");
    }
    let _machine = next(&mut rest)?;
    let saved = next(&mut rest)?;
    let keys = next(&mut rest)?;
    let places = places(&saved.heap, &keys, file, file.len() - rest.len())?;
    collect(&saved.heap, saved.root, &|key| {
        let bytes = places.get(&key.name).cloned();
        let bytes = bytes.ok_or_else(|| Fault::Malformed(format!("no storage `{}`", key.name)))?;
        Ok(Storage { bytes, big_endian: false, crc32: None })
    })
}

/// A pickle on its own cannot hold tensors, but it can try to do harm, and reading it tells.
fn plain(file: &[u8]) -> Result<Contents> {
    let unpickled = pickle::read(file)?;
    let kind = unpickled.heap.get(unpickled.root).kind();
    Fault::unsupported(format!("it is a plain Python pickle of {kind}, not of PyTorch tensors"))
}

fn next(rest: &mut &[u8]) -> Result<Unpickled> {
    let unpickled = pickle::read(rest)?;
    *rest = &rest[unpickled.length..];
    Ok(unpickled)
}

/// Where each storage lies. They follow each other from `at` on in the order of `keys`; how
/// long each is, only the references to it tell.
fn places(
    heap: &Heap,
    keys: &Unpickled,
    file: &[u8],
    mut at: usize,
) -> Result<HashMap<String, Range<usize>>> {
    let mut declared = HashMap::new();
    for object in heap.iter() {
        if let Object::Persistent(reference) = object {
            let key = StorageKey::parse(heap, *reference)?;
            declared.insert(key.name.clone(), key);
        }
    }
    let Some(keys_in_order) = keys.heap.sequence(keys.root) else {
        return Fault::malformed("its list of storages is no list");
    };
    let mut places = HashMap::new();
    for id in keys_in_order {
        let key = keys.heap.label(*id).and_then(|name| declared.get(&*name));
        let Some(key) = key else {
            return Fault::malformed("it lists a storage that no tensor refers to");
        };
        let place = key.byte_size().and_then(|size| place(key, size, file, at));
        let Some(place) = place else {
            return Fault::malformed(format!(
                "storage `{}` of {} elements is not where it should be; the file may be truncated",
                key.name, key.elements
            ));
        };
        at = place.end;
        places.insert(key.name.clone(), place);
    }
    Ok(places)
}

/// The bytes of a storage whose element count is at `at`, if all is as it should be.
fn place(key: &StorageKey, size: usize, file: &[u8], at: usize) -> Option<Range<usize>> {
    let count = u64::from_le_bytes(*file.get(at..)?.first_chunk::<COUNT>()?);
    let start = at + COUNT;
    let end = start.checked_add(size)?;
    (usize::try_from(count).ok()? == key.elements && end <= file.len()).then_some(start..end)
}
