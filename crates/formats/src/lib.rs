//! Weight files of the Stable Diffusion world, read safely into named arrays.
//!
//! [`TensorFile`] opens safetensors files and PyTorch checkpoints (`.ckpt`, `.pt`, `.bin`)
//! alike. Files are untrusted: every number in them is checked before it is used, a pickle
//! is only ever data, and what is allocated is bounded by what the file holds.
//! [`write_safetensors`], [`write_torch`] and [`atomic_write`] write so that a crash leaves the old file or
//! the new one, never half of one.
//!
//! This crate knows formats. What the tensors mean is the business of others.

mod array;
mod atomic;
mod contents;
mod digest;
mod dtype;
mod error;
mod file;
mod safetensors;
mod torch;
mod view;

pub use array::Array;
pub use atomic::atomic_write;
pub use digest::sha256_of;
pub use dtype::DType;
pub use error::{Error, Result};
pub use file::TensorFile;
pub use safetensors::write_safetensors;
pub use torch::{Value, write_torch};
pub use view::Info;
