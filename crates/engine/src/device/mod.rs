//! Devices: the names they go by, which of them this machine has, and whether they
//! compute what the processor does.
//!
//! The processor is always there. The others are Burn's: a program is built for them by
//! the cargo features `vulkan`, `metal` and `cuda`, and one of them is chosen when it
//! runs. Operations look at the device of their tensors (see [`ops`](crate::ops)), so
//! nothing else in the program asks where it computes.

mod block;
mod cards;
mod guarded;
mod name;
mod self_test;

use std::sync::OnceLock;

pub use cards::{dry_run, reserved_bytes};
pub(crate) use cards::{knows_tf32, most_values};
pub use guarded::guarded;
pub use name::{DEVICE_VARIABLE, DeviceName, Kind};
pub use self_test::{Difference, SelfTest, self_test};

use crate::{Device, Error, Result, features, nn::Precision};

/// A device of this machine.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// Which of its kind, counted from 0.
    pub index: usize,
    /// For tensors.
    pub device: Device,
    /// The part's name, or the processor's instructions.
    pub description: String,
    /// Bytes that it can hold, if its driver tells. The processor's memory is the
    /// system's to tell.
    pub memory: Option<u64>,
    /// False for the processor, and for a driver that draws on it.
    pub is_gpu: bool,
}

impl Found {
    /// `vulkan:0`.
    pub fn name(&self) -> DeviceName {
        DeviceName::One(self.kind, self.index)
    }

    /// Whether it multiplies numbers of that kind: the processor's kernels know f32 and
    /// bf16, other devices f32 and what their drivers have.
    pub fn computes_in(&self, precision: Precision) -> bool {
        match self.kind {
            Kind::Cpu => precision.of_kernels().is_some(),
            _ => precision.is_known_to(&self.device),
        }
    }
}

/// Every device that this program was built for and this machine has: the processor,
/// then in the order in which `auto` prefers them. One whose driver fails is an error in
/// its place.
pub fn devices() -> Vec<Result<Found>> {
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

/// The device of that kind and number.
///
/// # Errors
/// If the program was not built for the kind, there are not so many devices, or the
/// device's driver fails.
pub fn device(kind: Kind, index: usize) -> Result<Found> {
    if !kind.is_built() {
        return Err(Error::NotBuilt(kind));
    }
    let mut found = of_kind(kind);
    match found.len() {
        count if index < count => found.swap_remove(index),
        count => Err(Error::NoDevice { name: DeviceName::One(kind, index), count }),
    }
}

fn of_kind(kind: Kind) -> Vec<Result<Found>> {
    let all = kind.all().into_iter().enumerate();
    all.map(|(index, device)| describe(kind, index, device)).collect()
}

fn describe(kind: Kind, index: usize, device: Device) -> Result<Found> {
    let name = DeviceName::One(kind, index);
    let (description, memory, is_gpu) = match kind {
        Kind::Cpu => (features(), None, false),
        _ => guarded(name, || accelerator(&device))?,
    };
    Ok(Found { kind, index, device, description, memory, is_gpu })
}

/// Name and memory of a device of Burn's, and whether it is a card of its own.
#[cfg(any(feature = "vulkan", feature = "metal", feature = "cuda"))]
fn accelerator(device: &Device) -> (String, Option<u64>, bool) {
    use burn::backend::DispatchDevice;
    let DispatchDevice::Cube(cube) = device.as_dispatch() else {
        unreachable!("{device:?} is no device of a graphics card's interface");
    };
    let client = cube.client();
    let properties = client.properties();
    let identity = &properties.identity;
    (identity.name.clone(), properties.memory.max_memory(), identity.physical.is_some())
}

/// Without one of the features there is no such device to be described.
#[cfg(not(any(feature = "vulkan", feature = "metal", feature = "cuda")))]
fn accelerator(device: &Device) -> (String, Option<u64>, bool) {
    unreachable!("{device:?} in a program that was built for the processor alone");
}

/// The device that the environment names ([`DEVICE_VARIABLE`], read once), without a
/// self-test; the processor if it names none.
///
/// # Errors
/// If it names no device, one that is not there, or `auto`, which is for who chooses.
pub fn from_environment() -> Result<Device> {
    static NAMED: OnceLock<Device> = OnceLock::new();
    if let Some(device) = NAMED.get() {
        return Ok(device.clone());
    }
    let found = match DeviceName::from_environment()? {
        DeviceName::One(kind, index) => device(kind, index)?,
        DeviceName::Auto => return Err(Error::DeviceName { found: DeviceName::Auto.to_string() }),
    };
    Ok(NAMED.get_or_init(|| found.device).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        let all = devices();
        let cpu = all[0].as_ref().unwrap();
        assert_eq!(cpu.name(), DeviceName::default());
        assert!(!cpu.is_gpu && !cpu.description.is_empty());
        assert!(device(Kind::Cpu, 0).is_ok());
        assert!(matches!(device(Kind::Cpu, 1), Err(Error::NoDevice { count: 1, .. })));
    }

    #[test]
    fn kinds_that_were_not_built_have_no_devices() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_built()) {
            assert!(kind.all().is_empty(), "{kind}");
            let refused = device(kind, 0).unwrap_err();
            assert!(matches!(refused, Error::NotBuilt(_)), "{refused:?}");
            assert!(refused.to_string().contains(&format!("--features {kind}")), "{refused}");
        }
    }
}
