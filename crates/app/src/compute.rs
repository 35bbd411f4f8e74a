mod device;

use std::{path::Path, str::FromStr};

use diffusion::{Base, weights::Count};
use engine::{
    Device,
    device::{Found, Kind},
    nn::{Convolutions, Precision},
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
}

/// How frozen weights are kept and multiplied; what is learned, norms, sums
/// and the softmax are f32 in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightPrecision {
    /// 32 bits, exact.
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
    /// in this precision and within so much memory.
    ///
    /// # Errors
    /// If the system refuses so many threads, they were set up before, or the
    /// environment names vector instructions that do not exist.
    pub fn new(
        threads: usize,
        precision: Option<WeightPrecision>,
        memory: Option<Bytes>,
    ) -> Result<Self> {
        let usage = |e: engine::Error| Error::Usage(e.to_string());
        engine::check_instructions().map_err(usage)?;
        if threads > 0 {
            engine::set_threads(threads).map_err(usage)?;
        }
        let precision = precision.map(|precision| match precision {
            WeightPrecision::F32 => Precision::F32,
            WeightPrecision::Bf16 => Precision::Bf16,
        });
        let weights =
            FrozenWeights { precision: precision.unwrap_or_default(), ..Default::default() };
        let memory = memory.map(|Bytes(bytes)| bytes);
        let found = engine::device::device(Kind::Cpu, 0).map_err(usage)?;
        Ok(Self { found, weights, precision, memory })
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
        base.kept(&self.weights.on(self.device()))
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

    /// The way that a picture or a recipe tells, unless something was typed or this is
    /// another kind of device.
    ///
    /// # Errors
    /// If it was in bf16, which this device does not compute in, and nothing was typed.
    pub(crate) fn recorded(&self, recorded: FrozenWeights) -> Result<Self> {
        let typed = self.precision.is_some() || self.memory.is_some();
        if !typed && recorded.precision == Precision::Bf16 && self.card().is_some() {
            return Err(Error::Usage(format!(
                "the frozen model was kept in bf16, which {} does not compute in: add --precision \
                 f32, or leave --device out",
                self.found.name()
            )));
        }
        let same = recorded.device == self.weights.device;
        let weights = if typed || !same { self.weights } else { recorded };
        Ok(Self { weights, ..self.clone() })
    }

    /// The way of a picture that is drawn again, see [`Compute::recorded`]; says if it
    /// was drawn on another kind of device.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn redrawing(
        &self,
        recorded: FrozenWeights,
        events: &mut dyn Events,
    ) -> Result<Self> {
        let way = self.recorded(recorded)?;
        if recorded.device != way.weights.device {
            events.note(format!(
                "the picture was drawn with {}, and is drawn again with {}: alike, but not to \
                 the same bytes",
                recorded.description(),
                way.weights.description()
            ));
        }
        Ok(way)
    }

    /// The way in which a run that goes on kept its frozen weights.
    ///
    /// # Errors
    /// If something else was typed, or leads elsewhere.
    pub(crate) fn resumed(
        &self,
        recorded: FrozenWeights,
        total: impl Fn(&Self) -> u64,
        events: &mut dyn Events,
    ) -> Result<Self> {
        if recorded.device != self.weights.device {
            return Err(Error::Usage(format!(
                "a resumed run goes on where it began: add --device {}, or start a new run in \
                 another --run-dir",
                recorded.device
            )));
        }
        let precision = Some(self.precision.unwrap_or(recorded.precision));
        let way = Self { weights: recorded, precision, ..self.clone() };
        let typed = way.fitted(total, events)?;
        if precision == Some(recorded.precision) && typed.weights == recorded {
            return Ok(way);
        }
        Err(Error::Usage(format!(
            "a resumed run keeps its frozen weights as it began, which was {}: leave --precision and \
             --memory out, or start a new run in another --run-dir",
            recorded.description()
        )))
    }

    /// Bytes that frozen weights take.
    pub(crate) fn frozen_bytes(&self, count: Count) -> u64 {
        let FrozenWeights { precision, convolutions, .. } = self.weights;
        let bytes = match precision {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
        };
        let kept = count.conv3x3 * convolutions.weights(precision) / 9;
        (bytes * (count.all - count.conv3x3 + kept)) as u64
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
