//! Burn behind one door.
//!
//! This crate is the only one that names Burn. It offers
//! - layers whose weights are either *frozen* (packed once for the processor)
//!   or *trained* (ordinary tensors with gradients): [`nn`],
//! - devices by name, and their self-test: [`device`],
//! - the operations a latent-diffusion model spends its time in, each beside
//!   its readable twin made of plain tensor operations: [`ops`],
//! - named parameters, their gradients and AdamW: [`params`], [`optim`],
//! - leaves and seeds for block-wise replay: [`replay`],
//! - random numbers as PyTorch draws them: [`rng`].
//!
//! Invariants: activations are channels-last everywhere (`[batch, height,
//! width, channels]` or `[batch, tokens, channels]`); nothing here knows
//! diffusion, prompts or files.

#[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
mod cube;
pub mod device;
mod error;
mod flex;
pub mod nn;
mod operation;
pub mod ops;
pub mod optim;
pub mod params;
pub mod replay;
pub mod rng;
mod system;

pub use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
pub use error::{Error, Result};
pub use flex::{TWINS_VARIABLE, release_buffers};
pub use system::{check_instructions, features, set_threads};

/// The processor, in pure Rust: the default device.
pub fn cpu() -> Device {
    Device::flex()
}

/// A tensor of the given shape from row-major values.
///
/// # Panics
/// If the number of values is not the product of the shape.
pub fn tensor<const D: usize>(
    values: impl Into<Vec<f32>>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.into(), shape), device)
}

/// The values of a tensor in row-major order.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec::<f32>().expect("vico computes in f32")
}
