//! Which device a command computes on.

use engine::{
    device::{self, DeviceName, Found, Kind, SelfTest, self_test},
    nn::{Convolutions, Precision},
};
use personalize::FrozenWeights;

use super::Compute;
use crate::{Error, Events, Result};

impl Compute {
    /// The same on the device of that name, once it computed in its self-test what the
    /// processor does; with `trust` it may have computed something else. `auto` is the
    /// first graphics card that may be used, else the processor, and says which.
    ///
    /// # Errors
    /// If there is no such device, it fails or differs in its self-test, or a precision
    /// or memory was named that it cannot keep to.
    pub fn on(self, name: DeviceName, trust: bool, events: &mut dyn Events) -> Result<Self> {
        match name {
            DeviceName::Auto => Ok(self.on_the_best(trust, events)),
            DeviceName::One(kind, index) => {
                let found = device::device(kind, index).map_err(refused)?;
                if kind == Kind::Cpu {
                    return Ok(self);
                }
                self.check_ways(name)?;
                let test = tested(&found, events)?;
                self.admitting(found, &test, trust, events)
            }
        }
    }

    /// Does the work of a command. A device that fails in the middle of it, mostly for
    /// want of memory, is an error with that advice.
    ///
    /// # Errors
    /// Those of the work, and a device's that fails.
    pub fn guarded<T>(&self, advice: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let Some(card) = self.card() else { return work() };
        let failed = |e| Err(Error::Device(format!("{e}; if its memory was full, {advice}")));
        device::guarded(card.name(), work).unwrap_or_else(failed)
    }

    /// The same on a device that passed its test, or is trusted.
    fn admitting(
        self,
        found: Found,
        test: &SelfTest,
        trust: bool,
        events: &mut dyn Events,
    ) -> Result<Self> {
        if test.passes() || trust {
            return Ok(self.moved(found, test, events));
        }
        Err(Error::Device(format!(
            "{} ({}) does not compute what the processor does: {}; use another --device, update \
             its driver, or compute on it all the same with --trust-device",
            found.name(),
            found.description,
            test.figures()
        )))
    }

    fn on_the_best(self, trust: bool, events: &mut dyn Events) -> Self {
        if let Err(limit) = self.check_ways(DeviceName::Auto) {
            events.note(format!("computing on the processor ({limit})"));
            return self;
        }
        for found in device::devices() {
            let found = match found {
                Ok(found) if found.is_gpu => found,
                Ok(_) => continue,
                Err(error) => {
                    events.warning(error.to_string());
                    continue;
                }
            };
            match tested(&found, events) {
                Ok(test) if test.passes() || trust => return self.moved(found, &test, events),
                Ok(test) => {
                    events.warning(format!("{} is left out: {}", found.name(), test.figures()));
                }
                Err(error) => events.warning(error.to_string()),
            }
        }
        events.note("no graphics card can be used: computing on the processor");
        self
    }

    /// Refuses what was named for the processor's kernels alone.
    fn check_ways(&self, name: DeviceName) -> Result<()> {
        let option = match (self.precision, self.memory) {
            (Some(Precision::Bf16), _) => "--precision bf16",
            (_, Some(_)) => "--memory",
            _ => return Ok(()),
        };
        Err(Error::Usage(format!(
            "{option} is for the processor alone, on other devices the frozen model is kept in \
             f32 in one way: leave it out, or use --device cpu instead of {name}"
        )))
    }

    fn moved(self, found: Found, test: &SelfTest, events: &mut dyn Events) -> Self {
        let said = format!("computing on {} ({})", found.name(), found.description);
        let figures = test.figures();
        match test.passes() {
            true => events.note(format!("{said}: {figures} in its self-test")),
            false => events.warning(format!("{said}, which is trusted although {figures}")),
        }
        Self { weights: kept_by(&found), found, ..self }
    }
}

/// How a device beside the processor keeps frozen weights.
fn kept_by(found: &Found) -> FrozenWeights {
    FrozenWeights {
        precision: Precision::F32,
        convolutions: Convolutions::Compact,
        device: found.kind,
    }
}

/// What a device computes beside what the processor does.
///
/// # Errors
/// If the device fails.
pub(crate) fn tested(found: &Found, events: &mut dyn Events) -> Result<SelfTest> {
    events.stage(format!("testing {} against the processor", found.name()));
    self_test(found.name(), &kept_by(found).on(&found.device)).map_err(refused)
}

/// A device that was named wrongly, is not there, or fails.
fn refused(error: engine::Error) -> Error {
    match error {
        engine::Error::DeviceFailed { .. } => Error::Device(error.to_string()),
        other => Error::Usage(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Event, WeightPrecision};

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Events for Heard {
        fn event(&mut self, event: &Event) {
            if let Event::Note(text) | Event::Warning(text) = event {
                self.0.push(text.clone());
            }
        }

        fn stopped(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_the_processor_alone_can_do_is_refused_elsewhere() {
        let name = DeviceName::One(Kind::Vulkan, 0);
        for (precision, memory, word) in [
            (Some(WeightPrecision::Bf16), None, "--precision bf16"),
            (None, Some(Bytes(1 << 40)), "--memory"),
        ] {
            let compute = Compute::new(0, precision, memory).unwrap();
            let refused = compute.check_ways(name).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(refused.to_string().contains(word), "{refused}");
            let mut heard = Heard::default();
            let auto = compute.on(DeviceName::Auto, false, &mut heard).unwrap();
            assert!(auto.card().is_none());
            assert!(heard.0[0].contains(word), "{:?}", heard.0);
        }
        let exact = Compute::new(0, Some(WeightPrecision::F32), None).unwrap();
        exact.check_ways(name).unwrap();
    }

    #[test]
    fn a_device_that_is_not_there_is_a_mistake() {
        let compute = Compute::new(0, None, None).unwrap();
        let mut heard = Heard::default();
        let far = DeviceName::One(Kind::Vulkan, 999);
        let refused = compute.clone().on(far, true, &mut heard).unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{refused}");
        let cpu = compute.on(DeviceName::default(), false, &mut heard).unwrap();
        assert!(cpu.card().is_none() && heard.0.is_empty());
    }

    /// The processor in bf16 stands for a device that rounds the factors of its products.
    #[test]
    fn a_device_that_computes_something_else_is_refused_unless_it_is_trusted() {
        let cpu = Compute::new(0, None, None).unwrap();
        let found = Found { kind: Kind::Vulkan, ..cpu.found.clone() };
        let kept = FrozenWeights { precision: Precision::Bf16, ..kept_by(&found) };
        let test = self_test(found.name(), &kept.on(&found.device)).unwrap();
        let mut heard = Heard::default();
        let refused = cpu.clone().admitting(found.clone(), &test, false, &mut heard).unwrap_err();
        assert_eq!(refused.exit_code(), 1);
        let refused = refused.to_string();
        for word in ["vulkan:0", "of its largest value", "--device", "--trust-device"] {
            assert!(refused.contains(word), "{refused}");
        }
        assert!(heard.0.is_empty(), "{:?}", heard.0);
        let trusting = cpu.admitting(found, &test, true, &mut heard).unwrap();
        assert!(trusting.card().is_some());
        assert!(heard.0[0].contains("trusted although") && heard.0[0].contains(&test.figures()));
    }

    #[test]
    fn a_device_that_fails_in_the_middle_says_what_to_change() {
        let cpu = Compute::new(0, None, None).unwrap();
        let found = Found { kind: Kind::Vulkan, ..cpu.found.clone() };
        let card = Compute { found, ..cpu };
        let failed = card.guarded("lower --batch", || -> Result<()> { panic!("out of memory") });
        let failed = failed.unwrap_err();
        assert_eq!(failed.exit_code(), 1);
        assert_eq!(
            failed.to_string(),
            "device vulkan:0 cannot be used: out of memory; if its memory was full, lower --batch"
        );
        assert_eq!(card.guarded("", || Ok(3)).unwrap(), 3);
    }

    #[test]
    fn a_model_in_bf16_is_not_taken_elsewhere_unseen() {
        let compute = Compute::new(0, None, None).unwrap();
        let bf16 = FrozenWeights { precision: Precision::Bf16, ..Default::default() };
        let on_cpu = compute.recorded(bf16).unwrap();
        assert_eq!(on_cpu.weights(), bf16);
        let found = Found { kind: Kind::Vulkan, ..compute.found.clone() };
        let test = SelfTest {
            differences: vec![device::Difference { what: "prediction".into(), error: 1e-6 }],
        };
        let mut heard = Heard::default();
        let elsewhere = compute.moved(found, &test, &mut heard);
        assert!(heard.0[0].contains("computing on vulkan:0"), "{:?}", heard.0);
        let refused = elsewhere.recorded(bf16).unwrap_err().to_string();
        assert!(refused.contains("bf16") && refused.contains("--precision f32"), "{refused}");
        let total = |_: &Compute| 0;
        let resumed = elsewhere.resumed(FrozenWeights::default(), total, &mut heard).unwrap_err();
        assert!(resumed.to_string().contains("--device cpu"), "{resumed}");
        let again = elsewhere.redrawing(FrozenWeights::default(), &mut heard).unwrap();
        assert_eq!(again.weights().device, Kind::Vulkan);
        assert!(heard.0[1].contains("not to the same bytes"), "{:?}", heard.0);
    }
}
