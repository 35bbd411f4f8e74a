use std::{path::Path, str::FromStr};

use diffusion::Base;
use engine::{
    Device,
    nn::{Frozen, Precision},
};

use crate::{Error, Result};

/// Where and how a command computes.
#[derive(Clone, Debug)]
pub struct Compute {
    how: Frozen,
}

/// How frozen weights are kept and multiplied; what is learned, norms, sums
/// and the softmax are f32 in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightPrecision {
    /// 32 bits, exact.
    #[default]
    F32,
    /// 16 bits with the range of f32: half the memory, about 1 % off.
    Bf16,
}

impl FromStr for WeightPrecision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::Usage(format!("--precision is {name}, expected f32 or bf16"))),
        }
    }
}

impl Compute {
    /// On the processor, with so many threads; 0 is all cores.
    ///
    /// # Errors
    /// If the system refuses so many, or threads were set up before.
    pub fn new(threads: usize, precision: WeightPrecision) -> Result<Self> {
        if threads > 0 {
            engine::set_threads(threads).map_err(|e| Error::Usage(e.to_string()))?;
        }
        let precision = match precision {
            WeightPrecision::F32 => Precision::F32,
            WeightPrecision::Bf16 => Precision::Bf16,
        };
        Ok(Self { how: Frozen { precision, ..Frozen::new(&engine::cpu()) } })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.how.device
    }

    pub(crate) fn base(&self, path: &Path) -> Result<Base> {
        Ok(Base::open(path, &self.how.device)?.kept(&self.how))
    }

    /// Bytes of a frozen value.
    pub(crate) fn value_bytes(&self) -> u64 {
        match self.how.precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        }
    }
}
