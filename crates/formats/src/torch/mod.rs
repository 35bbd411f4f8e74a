//! Reading and writing what `torch.save` writes: a pickle that describes tensors, and their
//! bytes.

mod archive;
mod input;
mod legacy;
mod names;
mod objects;
mod opcodes;
mod pickle;
mod rebuild;
mod tensors;
mod write;

use crate::error::Fault;

pub(crate) use archive::read as read_archive;
pub(crate) use legacy::read as read_stream;
pub use write::{Value, write_torch};

/// The longest pickle that is read. Pickles hold names and shapes, not weights: a full
/// Stable Diffusion checkpoint with its optimizer state stays below one mebibyte.
const MAX_PICKLE: usize = 8 << 20;

/// Whether a file that starts with these bytes is a zip archive.
pub(crate) fn is_archive(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04")
}

/// Whether a file that starts with these bytes is pickles one after the other: PyTorch has
/// always written protocol 2, and every protocol since then announces itself.
pub(crate) fn is_stream(start: &[u8]) -> bool {
    matches!(start, [opcodes::PROTO, 0..=5, ..])
}

/// The forbidden callable that a file asks for, if it is a pickle of an older protocol.
///
/// Those do not announce themselves. Nobody saves weights that way, but it is how malicious
/// files are written by hand, and saying so beats calling the format unknown.
pub(crate) fn calls(file: &[u8]) -> Option<String> {
    match pickle::read(file) {
        Err(Fault::UnsafePickle(callable)) => Some(callable),
        _ => None,
    }
}
