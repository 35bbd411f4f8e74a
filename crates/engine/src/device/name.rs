use std::{fmt, str::FromStr};

use crate::{Device, Error, cpu};

/// The environment variable that names the device of whoever does not say otherwise.
pub const DEVICE_VARIABLE: &str = "VICO_DEVICE";

/// By what a device is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The processor, on our own kernels.
    #[default]
    Cpu,
    /// NVIDIA's own interface.
    Cuda,
    /// Apple's own interface.
    Metal,
    /// The interface that cards of all makers have.
    Vulkan,
}

impl Kind {
    /// All of them: the processor, then as `auto` prefers them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Cuda, Self::Metal, Self::Vulkan];

    /// Its name, which is also that of its cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
        }
    }

    /// Whether this program was built for it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Vulkan => cfg!(feature = "vulkan"),
        }
    }

    /// The devices of this kind, none if the program was not built for it.
    pub(super) fn all(self) -> Vec<Device> {
        #[cfg(any(feature = "metal", feature = "cuda"))]
        use burn::tensor::DeviceType;
        match self {
            Self::Cpu => vec![cpu()],
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
            #[cfg(feature = "metal")]
            Self::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => vulkan(),
            #[allow(unreachable_patterns)]
            _ => Vec::new(),
        }
    }
}

/// The cards, then whatever else has a Vulkan driver.
///
/// Burn's feature `vulkan` would do this, and have kernels compiled to SPIR-V by cubecl.
/// But what cubecl 0.11.3 writes of kernels with shared memory is no valid SPIR-V (a
/// pointer to a pointer, says `spirv-val`), and crashes Mesa's drivers. So this is Burn's
/// feature `wgpu`, whose kernels are WGSL that wgpu checks and translates.
#[cfg(feature = "vulkan")]
fn vulkan() -> Vec<Device> {
    use burn::backend::{CubeDevice, WgpuBackend, WgpuDevice, WgpuDeviceKind as Part};
    let parts = [
        Part::DiscreteGpu(0),
        Part::IntegratedGpu(0),
        Part::VirtualGpu(0),
        Part::Other(0),
        Part::Cpu,
    ];
    let all_like = |part| {
        let first = CubeDevice::Wgpu(WgpuDevice::new(part).on(WgpuBackend::Vulkan));
        CubeDevice::enumerate(first.to_id()).into_iter().map(CubeDevice::from_id)
    };
    parts.into_iter().flat_map(all_like).map(Device::new).collect()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A device by name: `cpu`, `vulkan` (the first), `vulkan:1`, `metal`, `cuda:0`, or
/// `auto`, the first graphics card that computes rightly, else the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// Whatever is best.
    Auto,
    /// The device of that kind and number, counted from 0.
    One(Kind, usize),
}

impl DeviceName {
    /// What [`DEVICE_VARIABLE`] names; the processor if it is not set.
    ///
    /// # Errors
    /// If it names no device.
    pub fn from_environment() -> Result<Self, Error> {
        let named = std::env::var_os(DEVICE_VARIABLE);
        named.map_or(Ok(Self::default()), |name| name.to_string_lossy().parse())
    }
}

impl Default for DeviceName {
    /// The processor.
    fn default() -> Self {
        Self::One(Kind::Cpu, 0)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::One(Kind::Cpu, 0) => f.write_str("cpu"),
            Self::One(kind, index) => write!(f, "{kind}:{index}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::DeviceName { found: text.to_owned() };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, index.parse().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(wrong)?;
        Ok(Self::One(kind, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, name, written) in [
            ("auto", DeviceName::Auto, "auto"),
            ("cpu", DeviceName::One(Kind::Cpu, 0), "cpu"),
            ("vulkan", DeviceName::One(Kind::Vulkan, 0), "vulkan:0"),
            ("cuda:12", DeviceName::One(Kind::Cuda, 12), "cuda:12"),
            ("metal:0", DeviceName::One(Kind::Metal, 0), "metal:0"),
        ] {
            assert_eq!(text.parse::<DeviceName>().unwrap(), name);
            assert_eq!(name.to_string(), written);
        }
        for text in ["", "gpu", "Vulkan", "vulkan:", "vulkan:-1", "cuda:x", "auto:0", "cuda:0:1"] {
            let wrong = text.parse::<DeviceName>().unwrap_err();
            assert!(wrong.to_string().contains("cuda:1"), "{text}: {wrong}");
        }
    }
}
