//! In which way a picture was drawn or a run began, and whether it can be had here.

use engine::nn::Precision;
use personalize::FrozenWeights;

use super::Compute;
use crate::{Error, Events, Result};

impl Compute {
    /// The way that a picture or a recipe tells, unless something was typed; of another
    /// kind of device the precision alone.
    ///
    /// # Errors
    /// If this device does not compute in that precision, or fails its self-test in it.
    pub(crate) fn recorded(
        &self,
        recorded: FrozenWeights,
        events: &mut dyn Events,
    ) -> Result<Self> {
        if self.precision.is_some() || self.memory.is_some() {
            return Ok(self.clone());
        }
        if recorded.device == self.weights.device {
            return self.keeping(recorded, events);
        }
        self.keeping(FrozenWeights { precision: recorded.precision, ..self.weights }, events)
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
        let way = self.recorded(recorded, events)?;
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
    /// If something else was typed, or leads elsewhere, or it cannot be had here.
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
            return self.keeping(recorded, events);
        }
        Err(Error::Usage(format!(
            "a resumed run keeps its frozen weights as it began, which was {}: leave --precision and \
             --memory out, or start a new run in another --run-dir",
            recorded.description()
        )))
    }

    /// The same with frozen weights kept in this way, after another self-test if the
    /// device was not tested in that precision.
    fn keeping(&self, weights: FrozenWeights, events: &mut dyn Events) -> Result<Self> {
        let FrozenWeights { precision, .. } = weights;
        if !self.found.computes_in(precision) {
            return Err(Error::Usage(format!(
                "the frozen model was kept in {}, which {} does not compute in: add --precision {}, \
                 or name another --device",
                precision.name(),
                self.found.name(),
                self.other_precision(precision)
            )));
        }
        let way = Self { precision: Some(precision), ..self.clone() };
        let way = match self.card() {
            Some(card) if precision != self.weights.precision => {
                way.admitted(card.clone(), events)?
            }
            _ => way,
        };
        Ok(Self { weights, ..way })
    }

    /// What a device that does not know a precision computes in.
    fn other_precision(&self, unknown: Precision) -> &'static str {
        let known = |p: &Precision| *p != unknown && self.found.computes_in(*p);
        let other = [Precision::Bf16, Precision::F16].into_iter().find(known);
        other.unwrap_or_default().name()
    }
}
