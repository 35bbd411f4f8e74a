//! Burn's `flex` device on our own kernels.
//!
//! An [`Operation`] computes on contiguous rows of f32 and knows its gradient;
//! [`apply`] runs one on tensors, with or without a tape. [`serves`] says where
//! that is possible: on the flex device, plain or with Burn's default tape.
//! On graphics cards some operations are kernels of ours too (`cube`); whatever is neither is
//! the twin of plain tensor operations.

mod array;
mod buffer;
mod packed;

use std::sync::OnceLock;

use burn::{backend::DispatchDevice, tensor::GradientCheckpointingStrategy};

pub(crate) use array::Array;
pub(crate) use buffer::Buffer;
pub use buffer::release_buffers;
pub(crate) use packed::Packed;

use crate::Device;
pub(crate) use crate::operation::{Operation, apply};

/// The environment variable that turns the kernels off when it is `1`: every
/// operation is then its twin.
pub const TWINS_VARIABLE: &str = "VICO_TWINS";

/// Whether [`TWINS_VARIABLE`] asks for the twins; read once.
pub(crate) fn twins_are_forced() -> bool {
    static FORCED: OnceLock<bool> = OnceLock::new();
    *FORCED.get_or_init(|| std::env::var_os(TWINS_VARIABLE).is_some_and(|value| value == "1"))
}

/// Whether tensors of this device are computed by the kernels.
pub(crate) fn serves(device: &Device) -> bool {
    let checkpointing = device.gradient_checkpointing_strategy();
    let on_flex = match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(taped) => matches!(**taped, DispatchDevice::Flex(_)),
        // Other devices exist in builds with other features.
        #[allow(unreachable_patterns)]
        _ => false,
    };
    on_flex
        && checkpointing.is_none_or(|strategy| strategy == GradientCheckpointingStrategy::Disabled)
        && !twins_are_forced()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_serve_flex_without_checkpointing() {
        let device = Device::flex();
        assert_eq!(serves(&device), !twins_are_forced());
        assert_eq!(serves(&device.clone().autodiff()), !twins_are_forced());
        assert!(!serves(&device.autodiff().gradient_checkpointing()));
    }
}
