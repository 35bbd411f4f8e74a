use rayon::ThreadPoolBuildError;

use crate::device::{DeviceName, Kind};

/// What can go wrong while the engine is set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment names vector instructions that do not exist.
    #[error(transparent)]
    Instructions(kernels::UnknownLevel),
    /// The number of threads cannot be set any more, or the system refuses so many.
    #[error(
        "could not set up {threads} threads ({source}): set their number once, before anything \
         is computed, and to no more than the system allows"
    )]
    Threads {
        /// The number asked for.
        threads: usize,
        /// What rayon says.
        source: ThreadPoolBuildError,
    },
    /// No precision goes by that name.
    #[error("\"{found}\" names no precision, expected f32, bf16, f16 or tf32")]
    Precision {
        /// What was written.
        found: String,
    },
    /// No device goes by that name.
    #[error(
        "\"{found}\" names no device: write cpu, vulkan, vulkan:1, metal, cuda or cuda:1 (auto \
         where the best may be chosen)"
    )]
    DeviceName {
        /// What was written.
        found: String,
    },
    /// The program was not built for devices of that kind.
    #[error(
        "this program was built without {0}: build it with `cargo build --release --features {0}`, \
         or compute on another device"
    )]
    NotBuilt(Kind),
    /// The machine has no such device.
    #[error(
        "there is no device {name}: {count} of its kind were found, numbered from 0 (is the \
         driver installed?)"
    )]
    NoDevice {
        /// The name asked for.
        name: DeviceName,
        /// Devices of that kind.
        count: usize,
    },
    /// A device's driver fails.
    #[error("device {name} cannot be used: {what}")]
    DeviceFailed {
        /// The device.
        name: DeviceName,
        /// What the driver, or Burn, says of it.
        what: String,
    },
}

/// A result with the engine's error.
pub type Result<T> = std::result::Result<T, Error>;
