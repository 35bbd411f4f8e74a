use std::{path::Path, str::FromStr};

use diffusion::{Base, weights::Count};
use engine::{
    Device,
    nn::{Convolutions, Frozen, Precision},
};

use crate::{Error, Events, Result, estimate::size_text};

/// Where and how a command computes.
#[derive(Clone, Debug)]
pub struct Compute {
    how: Frozen,
    /// Bytes that may be used, if they were named.
    memory: Option<u64>,
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
    /// within so much memory.
    ///
    /// # Errors
    /// If the system refuses so many threads, they were set up before, or the
    /// environment names vector instructions that do not exist.
    pub fn new(threads: usize, precision: WeightPrecision, memory: Option<Bytes>) -> Result<Self> {
        let usage = |e: engine::Error| Error::Usage(e.to_string());
        engine::check_instructions().map_err(usage)?;
        if threads > 0 {
            engine::set_threads(threads).map_err(usage)?;
        }
        let precision = match precision {
            WeightPrecision::F32 => Precision::F32,
            WeightPrecision::Bf16 => Precision::Bf16,
        };
        let how = Frozen { precision, ..Frozen::new(&engine::cpu()) };
        Ok(Self { how, memory: memory.map(|Bytes(bytes)| bytes) })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.how.device
    }

    /// Opens a model: a path, or the name of the one inside the program where nothing
    /// of that name is on disk.
    pub(crate) fn base(&self, path: &Path) -> Result<Base> {
        let device = &self.how.device;
        let inside = path == Path::new(builtin::TOYBOX_NAME) && !path.exists();
        Ok(self.keep(if inside {
            Base::inside(builtin::TOYBOX_NAME, builtin::TOYBOX, device)?
        } else {
            Base::open(path, device)?
        }))
    }

    /// The same model, its weights kept this way.
    pub(crate) fn keep(&self, base: Base) -> Base {
        base.kept(&self.how)
    }

    /// The fastest way of keeping the frozen weights with which a run fits
    /// into the memory that was named, and what it is; without a named memory
    /// the way it is.
    ///
    /// # Errors
    /// If none fits.
    pub(crate) fn fitted(
        &self,
        total: impl Fn(&Self) -> u64,
        events: &mut dyn Events,
    ) -> Result<Self> {
        let Some(memory) = self.memory else { return Ok(self.clone()) };
        let ways = [Convolutions::Fast, Convolutions::Balanced, Convolutions::Compact];
        let precisions = match self.how.precision {
            Precision::F32 => vec![Precision::F32, Precision::Bf16],
            Precision::Bf16 => vec![Precision::Bf16],
        };
        let all = precisions.into_iter().flat_map(|precision| {
            ways.map(|convolutions| {
                let how = Frozen { precision, convolutions, ..self.how.clone() };
                Self { how, memory: self.memory }
            })
        });
        let fits = all.clone().find(|way| total(way) <= memory);
        let least = all.map(|way| total(&way)).min().unwrap_or(0);
        let way = fits.ok_or_else(|| {
            Error::Memory(format!(
                "--memory is {}, at least {} are needed",
                size_text(memory),
                size_text(least)
            ))
        })?;
        events.note(format!("within {}: {}", size_text(memory), way.description()));
        Ok(way)
    }

    fn description(&self) -> &'static str {
        match (self.how.precision, self.how.convolutions) {
            (Precision::F32, Convolutions::Fast) => "f32, convolutions by Winograd F(4x4)",
            (Precision::F32, Convolutions::Balanced) => "f32, convolutions by Winograd F(2x2)",
            (Precision::F32, Convolutions::Compact) => "f32, direct convolutions",
            (Precision::Bf16, Convolutions::Compact) => "bf16, direct convolutions",
            (Precision::Bf16, _) => "bf16, convolutions by Winograd F(2x2)",
        }
    }

    /// Bytes that frozen weights take.
    pub(crate) fn frozen_bytes(&self, count: Count) -> u64 {
        let Frozen { precision, convolutions, .. } = self.how;
        let bytes = match precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        };
        let kept = count.conv3x3 * convolutions.weights(precision) / 9;
        (bytes * (count.all - count.conv3x3 + kept)) as u64
    }
}
