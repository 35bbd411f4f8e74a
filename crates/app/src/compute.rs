mod device;
mod recorded;

use std::{path::Path, str::FromStr};

use diffusion::{Base, weights::Count};
use engine::{
    Device,
    device::{Found, Kind},
    nn::{Convolutions, Frozen, Precision},
};
use personalize::FrozenWeights;

pub(crate) use device::tested;

use crate::{Error, Events, Result, estimate::size_text};

/// Where and how a command computes.
#[derive(Clone, Debug)]
pub struct Compute {
    found: Found,
    /// How the frozen weights are kept.
    weights: FrozenWeights,
    /// Their precision, if it was named.
    precision: Option<Precision>,
    /// Bytes that may be used, if they were named.
    memory: Option<u64>,
    /// Weights stay in the machine's memory until a layer computes.
    offload: bool,
    /// The device may have computed something else in its self-test.
    trust: bool,
}

/// A number of bytes: `8GB`, `8GiB`, `900MB`, or plain bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let units =
            [("GiB", 1 << 30), ("MiB", 1 << 20), ("GB", 1_000_000_000), ("MB", 1_000_000), ("", 1)];
        let parse = |(unit, factor): (&str, u64)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            (number.is_finite() && number > 0.0).then_some(Self((number * factor as f64) as u64))
        };
        let wrong =
            || Error::Usage(format!("--memory is {text}, expected bytes such as 8GB or 900MiB"));
        units.into_iter().find_map(parse).ok_or_else(wrong)
    }
}

impl Compute {
    /// On the processor, with so many threads (0 is all cores) and, if named,
    /// in this precision and within so much memory.
    ///
    /// # Errors
    /// If the system refuses so many threads, they were set up before, or the
    /// environment names vector instructions that do not exist.
    pub fn new(
        threads: usize,
        precision: Option<Precision>,
        memory: Option<Bytes>,
    ) -> Result<Self> {
        let usage = |e: engine::Error| Error::Usage(e.to_string());
        engine::check_instructions().map_err(usage)?;
        if threads > 0 {
            engine::set_threads(threads).map_err(usage)?;
        }
        let weights =
            FrozenWeights { precision: precision.unwrap_or_default(), ..Default::default() };
        let memory = memory.map(|Bytes(bytes)| bytes);
        let found = engine::device::device(Kind::Cpu, 0).map_err(usage)?;
        Ok(Self { found, weights, precision, memory, offload: false, trust: false })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.found.device
    }

    /// What computes, in a line for reports.
    pub(crate) fn description(&self) -> String {
        match self.card() {
            None => self.found.description.clone(),
            Some(card) => format!("{} ({})", card.name(), card.description),
        }
    }

    /// The device, if it is another than the processor.
    pub(crate) fn card(&self) -> Option<&Found> {
        (self.found.kind != Kind::Cpu).then_some(&self.found)
    }

    /// Bytes that may be used, if they were named.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// How the frozen weights are kept.
    pub(crate) fn weights(&self) -> FrozenWeights {
        self.weights
    }

    /// Opens a model: a path, or the name of the one inside the program, which a file of
    /// that name does not hide (`./toybox` is a path).
    pub(crate) fn base(&self, path: &Path) -> Result<Base> {
        let device = self.device();
        let inside = path == Path::new(builtin::TOYBOX_NAME);
        Ok(self.keep(if inside {
            Base::inside(builtin::TOYBOX_NAME, builtin::TOYBOX, device)?
        } else {
            Base::open(path, device)?
        }))
    }

    /// The same model, its weights kept this way.
    pub(crate) fn keep(&self, base: Base) -> Base {
        base.kept(&Frozen { streamed: self.offload, ..self.weights.on(self.device()) })
    }

    /// The fastest way of keeping the frozen weights with which a run fits
    /// into the memory that was named, and what it is; without a named memory
    /// the way it is. A named precision stays.
    ///
    /// # Errors
    /// If none fits.
    pub(crate) fn fitted(
        &self,
        total: impl Fn(&Self) -> u64,
        events: &mut dyn Events,
    ) -> Result<Self> {
        let Some(memory) = self.memory else { return Ok(self.clone()) };
        let kept = |weights: &FrozenWeights| self.precision.is_none_or(|p| p == weights.precision);
        let ways = || WAYS.into_iter().filter(kept).map(|weights| Self { weights, ..self.clone() });
        let way = ways().find(|way| total(way) <= memory).ok_or_else(|| {
            let least = ways().map(|way| total(&way)).min().unwrap_or(0);
            Error::Memory(format!(
                "--memory is {}, at least {} are needed: name more, or ask for less at a time \
                 (a lower --batch or --size)",
                size_text(memory),
                size_text(least)
            ))
        })?;
        events.note(format!("within {}: {}", size_text(memory), way.weights.description()));
        Ok(way)
    }

    /// Whether frozen weights stay in the machine's memory until a layer computes.
    pub(crate) fn offload(&self) -> bool {
        self.offload
    }

    /// Bytes that frozen weights take.
    pub(crate) fn frozen_bytes(&self, count: Count) -> u64 {
        let FrozenWeights { precision, convolutions, .. } = self.weights;
        let kept = count.conv3x3 * convolutions.weights(precision) / 9;
        (precision.bytes() * (count.all - count.conv3x3 + kept)) as u64
    }

    /// Bytes that the VAE's take, see [`Base::kept`].
    pub(crate) fn vae_bytes(&self, count: Count) -> u64 {
        let bytes = self.frozen_bytes(count);
        if self.weights.precision == Precision::F16 { 2 * bytes } else { bytes }
    }
}

/// Every way in which the processor keeps frozen weights, the fastest of each precision
/// first. In bf16 nothing is faster than F(2x2).
const WAYS: [FrozenWeights; 5] = [
    way(Precision::F32, Convolutions::Fast),
    way(Precision::F32, Convolutions::Balanced),
    way(Precision::F32, Convolutions::Compact),
    way(Precision::Bf16, Convolutions::Balanced),
    way(Precision::Bf16, Convolutions::Compact),
];

const fn way(precision: Precision, convolutions: Convolutions) -> FrozenWeights {
    FrozenWeights { precision, convolutions, device: Kind::Cpu }
}
