//! The zip archive that PyTorch writes since version 1.6.
//!
//! Below one folder, named after the file or `archive`, lie `data.pkl`, an entry
//! `data/KEY` for each storage, and small notes such as `byteorder`. Entries are stored,
//! never compressed, so that tensors are read in place. Nothing is ever extracted: names
//! of entries are compared, not used as paths. A TorchScript program is such an archive,
//! whose pickle describes the modules with their weights; its code is not looked at.
//!
//! Format: `torch/serialization.py` and `caffe2/serialize/inline_container.cc` in PyTorch.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::names;
use super::pickle;
use super::tensors::{StorageKey, collect};
use crate::contents::Contents;
use crate::error::Fault;
use crate::view::Storage;

type Result<T> = std::result::Result<T, Fault>;

/// Reads the description of all tensors in an archive; their bytes stay where they are.
pub(crate) fn read(file: &[u8]) -> Result<Contents> {
    let archive = Archive::open(file)?;
    let bytes = archive.verified(names::PICKLE)?;
    let unpickled = pickle::read(bytes)?;
    let big_endian = archive.is_big_endian()?;
    collect(&unpickled.heap, unpickled.root, &|key| archive.storage(key, big_endian))
}

struct Archive<'a> {
    file: &'a [u8],
    /// Entries by their names below the archive's one folder.
    entries: HashMap<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    bytes: Range<usize>,
    crc32: u32,
}

impl<'a> Archive<'a> {
    fn open(file: &'a [u8]) -> Result<Self> {
        let mut zip = ZipArchive::new(Cursor::new(file)).map_err(damaged)?;
        if zip.has_duplicate_names() || zip.has_overlapping_files().map_err(damaged)? {
            return Fault::malformed("its zip directory lists the same entry or bytes twice");
        }
        let mut names = Vec::with_capacity(zip.len());
        for name in zip.file_names() {
            names.push(name.map_err(damaged)?.into_owned());
        }
        let Some(root) = names.iter().filter_map(|name| root(name)).min_by_key(|r| r.len()) else {
            return Fault::malformed(
                "it is a zip archive without the `data.pkl` of a PyTorch checkpoint",
            );
        };
        let mut entries = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            let Some(inner) = name.strip_prefix(root) else { continue };
            if !name.ends_with('/') && !inner.starts_with(names::CODE) {
                entries.insert(inner.to_owned(), entry(&mut zip, index, name, file.len())?);
            }
        }
        Ok(Self { file, entries })
    }

    fn find(&self, name: &str) -> Result<&Entry> {
        self.entries
            .get(name)
            .ok_or_else(|| Fault::Malformed(format!("its archive has no entry `{name}`")))
    }

    /// The content of an entry, compared with its checksum.
    fn verified(&self, name: &str) -> Result<&'a [u8]> {
        let entry = self.find(name)?;
        let bytes = &self.file[entry.bytes.clone()];
        match entry.checksum() {
            Some(expected) if crc32fast::hash(bytes) != expected => Fault::malformed(format!(
                "`{name}` does not have the checksum that the archive states"
            )),
            _ => Ok(bytes),
        }
    }

    fn is_big_endian(&self) -> Result<bool> {
        if !self.entries.contains_key(names::BYTE_ORDER) {
            return Ok(false);
        }
        match self.verified(names::BYTE_ORDER)? {
            b"little" => Ok(false),
            b"big" => Ok(true),
            _ => Fault::malformed("its byte order is neither `little` nor `big`"),
        }
    }

    fn storage(&self, key: &StorageKey, big_endian: bool) -> Result<Storage> {
        let entry = self.find(&format!("{}{}", names::DATA, key.name))?;
        if key.byte_size() != Some(entry.bytes.len()) {
            return Fault::malformed(format!(
                "storage `{}` has {} bytes, but its pickle speaks of {} elements of {} bytes",
                key.name,
                entry.bytes.len(),
                key.elements,
                key.element_size
            ));
        }
        Ok(Storage { bytes: entry.bytes.clone(), big_endian, crc32: entry.checksum() })
    }
}

impl Entry {
    /// PyTorch writes zero if it was told not to compute checksums.
    fn checksum(&self) -> Option<u32> {
        (self.crc32 != 0).then_some(self.crc32)
    }
}

/// The folder of an archive, with its slash, if `name` is the pickle in it.
fn root(name: &str) -> Option<&str> {
    name.strip_suffix(names::PICKLE).filter(|root| root.is_empty() || root.ends_with('/'))
}

fn entry(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    name: &str,
    length: usize,
) -> Result<Entry> {
    let entry = zip.by_index_raw(index).map_err(damaged)?;
    if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
        return Fault::unsupported(format!(
            "its entry `{name}` is compressed or encrypted, which PyTorch does not do; unpack \
             the archive and pack it without compression"
        ));
    }
    let range = entry.data_start().and_then(|start| {
        let end = start.checked_add(entry.size())?;
        Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    });
    match range {
        Some(bytes) if entry.compressed_size() == entry.size() && bytes.end <= length => {
            Ok(Entry { bytes, crc32: entry.crc32() })
        }
        _ => Fault::malformed(format!(
            "its entry `{name}` claims {} bytes, which the file does not hold",
            entry.size()
        )),
    }
}

fn damaged(error: zip::result::ZipError) -> Fault {
    Fault::Malformed(format!("its zip archive is unreadable ({error}); it may be truncated"))
}
