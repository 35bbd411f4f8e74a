//! Reading what `torch.save` writes: a pickle that describes tensors, and their bytes.

mod archive;
mod legacy;
mod objects;
mod pickle;
mod rebuild;
mod tensors;

pub(crate) use archive::read as read_archive;
pub(crate) use legacy::read as read_stream;

/// Whether a file that starts with these bytes is a zip archive.
pub(crate) fn is_archive(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04")
}

/// Whether a file that starts with these bytes may be pickles one after the other.
pub(crate) fn is_stream(start: &[u8]) -> bool {
    matches!(start, [0x80, 0..=5, ..] | [b'(' | b'c' | b'}' | b']', ..])
}
