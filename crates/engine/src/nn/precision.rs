use std::str::FromStr;

use burn::tensor::{DType, FloatDType};

use crate::{Device, Error};

/// What the weights of frozen layers, and the factors of their products, are rounded to;
/// of convolutions without kernels the weights alone.
///
/// Sums, norms, the softmax, and all that passes between layers are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, nothing is rounded.
    #[default]
    F32,
    /// The upper 16 bits of f32: its range, 8 binary digits.
    Bf16,
    /// IEEE's 16 bits: 11 binary digits, nothing beyond 65504. The processor's kernels do
    /// not know it: layers are plain tensors there as on other devices, which is slow.
    F16,
    /// 32 bits, of which the products of frozen layers look at 10 binary digits behind the
    /// first (NVIDIA's TF32, of compute capability 8.0 on). Without being named it is never used.
    Tf32,
}

impl Precision {
    /// All of them, the most exact first.
    pub const ALL: [Self; 4] = [Self::F32, Self::Tf32, Self::F16, Self::Bf16];

    /// Its name: `f32`, `bf16`, `f16`, `tf32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Tf32 => "tf32",
        }
    }

    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::Tf32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// Whether a device multiplies such numbers, by kernels of ours or Burn's.
    pub fn is_known_to(self, device: &Device) -> bool {
        match self {
            Self::F32 => true,
            Self::Tf32 => crate::device::knows_tf32(device),
            Self::Bf16 | Self::F16 => device.supports_dtype(self.of_values()),
        }
    }

    /// The kernels' name for it, if they have one.
    pub(crate) fn of_kernels(self) -> Option<kernels::Precision> {
        match self {
            Self::F32 => Some(kernels::Precision::F32),
            Self::Bf16 => Some(kernels::Precision::Bf16),
            Self::F16 | Self::Tf32 => None,
        }
    }

    /// Burn's name for it.
    pub(crate) fn of_tensors(self) -> FloatDType {
        match self {
            Self::F32 | Self::Tf32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }

    /// The same, among the types of all tensors.
    pub(crate) fn of_values(self) -> DType {
        self.of_tensors().into()
    }
}

impl FromStr for Precision {
    type Err = Error;

    /// Its [name](Self::name), or `fp32`, `fp16`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "f32" | "fp32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" | "fp16" => Ok(Self::F16),
            "tf32" => Ok(Self::Tf32),
            _ => Err(Error::Precision { found: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse::<Precision>().unwrap(), precision);
        }
        assert_eq!("fp16".parse::<Precision>().unwrap(), Precision::F16);
        let refused = "int8".parse::<Precision>().unwrap_err().to_string();
        assert!(refused.contains("int8") && refused.contains("bf16"), "{refused}");
    }
}
