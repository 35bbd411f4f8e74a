//! Graphics cards, beyond what Burn does there by itself: products whose rounding is chosen,
//! convolutions as such products, and norms in two passes. The kernels are written in CubeCL,
//! which compiles them for the driver at hand.

mod conv;
mod norm;
mod patches;
mod product;
mod tensors;

use burn::{backend::DispatchDevice, tensor::GradientCheckpointingStrategy};
use burn_cubecl::cubecl::{MemoryScope, client::Client, dry_run::DryRun, prelude::*};

pub(crate) use conv::convolution;
pub(crate) use norm::{group_norm, layer_norm};
pub(crate) use product::product;

use crate::{Device, flex};

/// Whether tensors of this device are computed by these kernels.
pub(crate) fn serves(device: &Device) -> bool {
    let checkpointing = device.gradient_checkpointing_strategy();
    client(device).is_some()
        && checkpointing.is_none_or(|strategy| strategy == GradientCheckpointingStrategy::Disabled)
        && !flex::twins_are_forced()
}

/// Whether products on this device can have factors of TF32.
pub(crate) fn knows_tf32(device: &Device) -> bool {
    client(device).is_some_and(|client| has_tf32(&client))
}

fn has_tf32(client: &Client) -> bool {
    client.properties().supports_type(tf32::elem_type_native())
}

/// The most f32 that a tensor on this device can have.
pub(crate) fn most_values_on(device: &Device) -> Option<usize> {
    client(device).map(|client| most_values(&client))
}

fn most_values(client: &Client) -> usize {
    (client.properties().memory.max_page_size / 4) as usize
}

/// Does work without computing on graphics cards what it launches there.
pub(crate) fn dry_run<T>(work: impl FnOnce() -> T) -> T {
    let _dry = DryRun::new();
    work()
}

/// Bytes that are reserved on a graphics card for this program, whether in use or waiting to be
/// used again; nothing for other devices.
pub(crate) fn reserved_bytes(device: &Device) -> Option<u64> {
    let report = client(device)?.memory_report(MemoryScope::Device);
    Some(report.usage().bytes_reserved)
}

/// Of a graphics card.
fn client(device: &Device) -> Option<Client> {
    let dispatch = match device.as_dispatch() {
        DispatchDevice::Autodiff(taped) => taped,
        plain => plain,
    };
    match dispatch {
        DispatchDevice::Cube(card) => Some(card.client()),
        _ => None,
    }
}
