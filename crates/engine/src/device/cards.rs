//! What only graphics cards have, and what stands for it in programs without them.

pub use here::{dry_run, reserved_bytes};
pub(crate) use here::{knows_tf32, most_values};

#[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
mod here {
    use crate::{Device, cube};

    /// Whether a device has products with factors of TF32.
    pub(crate) fn knows_tf32(device: &Device) -> bool {
        cube::knows_tf32(device)
    }

    /// The most values of f32 that a tensor on a device can have.
    pub(crate) fn most_values(device: &Device) -> usize {
        cube::most_values_on(device).unwrap_or(usize::MAX)
    }

    /// Does work for the memory alone that it needs of a graphics card: kernels are made ready
    /// and memory is reserved, but nothing is computed there, and what is read back means
    /// nothing. Other threads must not compute meanwhile.
    pub fn dry_run<T>(work: impl FnOnce() -> T) -> T {
        cube::dry_run(work)
    }

    /// Bytes that a graphics card holds for this program, whether in use or waiting to be used
    /// again; nothing for the processor.
    pub fn reserved_bytes(device: &Device) -> Option<u64> {
        cube::reserved_bytes(device)
    }
}

#[cfg(not(any(feature = "vulkan", feature = "metal", feature = "cuda")))]
mod here {
    use crate::Device;

    /// Whether a device has products with factors of TF32: the processor has none.
    pub(crate) fn knows_tf32(_: &Device) -> bool {
        false
    }

    /// The most values of f32 that a tensor on a device can have: the processor sets no limit.
    pub(crate) fn most_values(_: &Device) -> usize {
        usize::MAX
    }

    /// Does work for the memory alone that it needs of a graphics card: there is none, and the
    /// work is done.
    pub fn dry_run<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    /// Bytes that a graphics card holds for this program: there is none.
    pub fn reserved_bytes(_: &Device) -> Option<u64> {
        None
    }
}
