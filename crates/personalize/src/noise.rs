//! Where a picture's noise comes from.

use std::{fmt, str::FromStr};

use engine::rng::{CudaRng, TorchRng};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Whose random numbers the noise of pictures is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rng {
    /// PyTorch's on a processor.
    #[default]
    Torch,
    /// PyTorch's on a graphics card of NVIDIA.
    Cuda,
}

/// Gives the next so many normal numbers of a seed.
pub(crate) type Stream = Box<dyn FnMut(usize) -> Vec<f32>>;

impl Rng {
    const ALL: [Self; 2] = [Self::Torch, Self::Cuda];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Cuda => "cuda",
        }
    }

    /// A picture's stream.
    pub(crate) fn stream(self, seed: u64) -> Stream {
        match self {
            Self::Torch => {
                let mut rng = TorchRng::new(seed);
                Box::new(move |count| rng.randn(count))
            }
            Self::Cuda => {
                let mut rng = CudaRng::new(seed);
                Box::new(move |count| rng.randn(count))
            }
        }
    }
}

impl fmt::Display for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rng {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|rng| rng.name() == name).ok_or_else(|| Error::Setting {
            option: "--rng".into(),
            found: name.into(),
            expected:
                "torch (noise as PyTorch draws it on a processor) or cuda (on a graphics card)"
                    .into(),
        })
    }
}
