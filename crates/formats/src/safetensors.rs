//! Reading and writing the safetensors format.
//!
//! A length (eight bytes, little-endian), a JSON header of that length, and the tensors.
//! Format: <https://github.com/huggingface/safetensors#format>.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError};
use serde_json::{Map, Value, json};

use crate::DType;
use crate::array::Array;
use crate::atomic::atomic_write;
use crate::contents::Contents;
use crate::error::{Error, Fault, Result};
use crate::view::{Info, View};

/// The header length field.
const PREFIX: usize = size_of::<u64>();

/// The key of the metadata among the tensors of the header.
const METADATA: &str = "__metadata__";

/// Whether a file that starts with these bytes is meant as safetensors: behind the length,
/// which is no text, the header opens a JSON object.
pub(crate) fn is_safetensors(start: &[u8]) -> bool {
    match start.split_first_chunk::<PREFIX>() {
        Some((length, [b'{', ..])) => length.iter().any(|byte| !(b' '..=b'~').contains(byte)),
        _ => false,
    }
}

/// Reads the header. The `safetensors` crate checks that the tensors fill the file exactly,
/// without gaps or overlaps, and that each is as long as its shape says.
pub(crate) fn read(bytes: &[u8]) -> std::result::Result<Contents, Fault> {
    let (header, described) =
        SafeTensors::read_metadata(bytes).map_err(|error| explain(&error, bytes))?;
    let data = PREFIX + header;
    let mut contents = Contents::default();
    for (name, info) in described.tensors() {
        let Some(dtype) = known(info.dtype) else {
            contents.unreadable.insert(name, info.dtype.to_string());
            continue;
        };
        let (start, end) = info.data_offsets;
        let info = Info { dtype, shape: info.shape.clone() };
        contents.tensors.insert(name, View::contiguous(info, data + start..data + end));
    }
    contents.metadata = described.metadata().clone().into_iter().flatten().collect();
    Ok(contents)
}

fn explain(error: &SafeTensorError, bytes: &[u8]) -> Fault {
    let declared = bytes.first_chunk().map_or(0, |prefix| u64::from_le_bytes(*prefix));
    let found = bytes.len();
    Fault::Malformed(match error {
        SafeTensorError::InvalidHeaderLength => format!(
            "its header should be {declared} bytes long, but the whole file has {found}; it \
             may be truncated"
        ),
        SafeTensorError::HeaderTooLarge => {
            format!("its header claims {declared} bytes, more than the format allows")
        }
        SafeTensorError::MetadataIncompleteBuffer => format!(
            "its tensors do not end where the file does, after {found} bytes; it may be truncated"
        ),
        SafeTensorError::InvalidOffset(name) => {
            format!("the offsets of `{name}` leave a gap or overlap with another tensor")
        }
        SafeTensorError::TensorInvalidInfo => {
            "the offsets of a tensor do not match its shape and element type".to_owned()
        }
        SafeTensorError::ValidationOverflow => "the shape of a tensor is too large".to_owned(),
        other => format!("its header is invalid ({other})"),
    })
}

fn known(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        _ => return None,
    })
}

/// Writes a safetensors file, replacing whatever is at `path` only once all is written.
///
/// The same content always gives the same bytes: tensors are ordered by the size of their
/// elements, largest first, so that each is aligned, then by name; metadata by key. (The
/// `safetensors` crate writes metadata in the random order of a hash map.)
///
/// # Errors
///
/// [`Error::WrongSize`] if an array's bytes do not match its shape, and
/// [`Error::ReservedName`] if one is called `__metadata__`, before anything is written;
/// [`Error::Write`] if the operating system refuses.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    tensors: &BTreeMap<String, Array<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut ordered: Vec<(&str, &Array<'_>)> =
        tensors.iter().map(|(name, array)| (name.as_str(), array)).collect();
    ordered.sort_by_key(|(_, array)| std::cmp::Reverse(array.dtype.size()));
    let header = header(&ordered, metadata)?;
    atomic_write(path, |out| write(out, &header, &ordered))
}

fn header(tensors: &[(&str, &Array<'_>)], metadata: &BTreeMap<String, String>) -> Result<String> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert(METADATA.to_owned(), json!(metadata));
    }
    let mut start = 0;
    for (name, array) in tensors {
        if *name == METADATA {
            return Err(Error::ReservedName { name: METADATA });
        }
        array.check(name)?;
        let Array { dtype, shape, bytes } = array;
        let end = start + bytes.len();
        let described =
            json!({"dtype": dtype.name(), "shape": shape, "data_offsets": [start, end]});
        header.insert((*name).to_owned(), described);
        start = end;
    }
    Ok(Value::Object(header).to_string())
}

/// The header is padded with spaces so that the first tensor is aligned to eight bytes.
fn write(out: &mut dyn Write, header: &str, tensors: &[(&str, &Array<'_>)]) -> io::Result<()> {
    let length = header.len().next_multiple_of(PREFIX);
    out.write_all(&(length as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    out.write_all(&[b' '; PREFIX][..length - header.len()])?;
    tensors.iter().try_for_each(|(_, array)| out.write_all(&array.bytes))
}
