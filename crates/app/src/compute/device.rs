//! Which device a command computes on.

use engine::{
    device::{self, DeviceName, Found, Kind, SelfTest, self_test},
    nn::{Convolutions, Frozen, Precision},
};
use personalize::FrozenWeights;

use super::Compute;
use crate::{Error, Events, Result};

impl Compute {
    /// The same with frozen weights that stay in the machine's memory, if they shall:
    /// layers bring theirs to the device as they compute.
    pub fn offloading(self, offload: bool) -> Self {
        Self { offload, ..self }
    }

    /// The same on the device of that name, once it computed in its self-test what the
    /// processor does; with `trust` it may have computed something else. `auto` is the
    /// first graphics card that may be used, else the processor, and says which.
    ///
    /// # Errors
    /// If there is no such device, it fails or differs in its self-test, or something was
    /// named that it cannot keep to.
    pub fn on(self, name: DeviceName, trust: bool, events: &mut dyn Events) -> Result<Self> {
        let this = Self { trust, ..self };
        match name {
            DeviceName::Auto => this.on_the_best(events),
            DeviceName::One(kind, index) => {
                let found = device::device(kind, index).map_err(refused)?;
                if kind == Kind::Cpu {
                    return this.on_the_processor();
                }
                this.check_memory(name)?;
                this.admitted(found, events)
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
        let advice = match (self.offload, self.weights.precision) {
            (false, _) => format!("add --offload, {advice}"),
            (true, Precision::F32) => format!("add --precision f16 or bf16, {advice}"),
            _ => advice.to_owned(),
        };
        let failed = |e| Err(Error::Device(format!("{e}; if its memory was full, {advice}")));
        device::guarded(card.name(), work).unwrap_or_else(failed)
    }

    /// The same on the processor.
    fn on_the_processor(self) -> Result<Self> {
        if let Some(precision @ (Precision::F16 | Precision::Tf32)) = self.precision {
            return Err(Error::Usage(format!(
                "--precision {} is for graphics cards: use --precision bf16 on the processor, or \
                 name another --device",
                precision.name()
            )));
        }
        if self.offload {
            return Err(Error::Usage(
                "--offload is for graphics cards, whose memory is not the machine's: leave it out, \
                 or name another --device"
                    .into(),
            ));
        }
        Ok(self)
    }

    /// The same on a device that computes in the precision that was named, and passes its
    /// test or is trusted.
    pub(super) fn admitted(self, found: Found, events: &mut dyn Events) -> Result<Self> {
        let precision = self.precision.unwrap_or_default();
        if !found.computes_in(precision) {
            return Err(Error::Usage(format!(
                "{} ({}) does not compute in {}: name another --precision (f32 is everywhere)",
                found.name(),
                found.description,
                precision.name()
            )));
        }
        let test = self.tested(&found, events)?;
        self.admitting(found, &test, events)
    }

    fn admitting(self, found: Found, test: &SelfTest, events: &mut dyn Events) -> Result<Self> {
        if test.passes() || self.trust {
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

    fn on_the_best(self, events: &mut dyn Events) -> Result<Self> {
        if let Err(limit) = self.check_memory(DeviceName::Auto) {
            events.note(format!("computing on the processor ({limit})"));
            return self.on_the_processor();
        }
        for found in device::devices() {
            let admitted = match found {
                Ok(found) if found.is_gpu => self.clone().admitted(found, events),
                Ok(_) => continue,
                Err(error) => Err(refused(error)),
            };
            match admitted {
                Ok(there) => return Ok(there),
                Err(error) => events.warning(error.to_string()),
            }
        }
        events.note("no graphics card can be used: computing on the processor");
        // There weights are in the machine's memory in any case.
        self.offloading(false).on_the_processor()
    }

    /// Refuses what was named for the processor's kernels alone.
    fn check_memory(&self, name: DeviceName) -> Result<()> {
        if self.memory.is_none() {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "--memory is for the processor alone, elsewhere the frozen model is kept in one way: \
             use --precision or --offload in its place, or --device cpu instead of {name}"
        )))
    }

    fn moved(self, found: Found, test: &SelfTest, events: &mut dyn Events) -> Self {
        let said = format!("computing on {} ({})", found.name(), found.description);
        let figures = test.figures();
        match test.passes() {
            true => events.note(format!("{said}: {figures} in its self-test")),
            false => events.warning(format!("{said}, which is trusted although {figures}")),
        }
        Self { weights: kept_by(&found, test.precision), found, ..self }
    }

    /// What a device computes beside what the processor does, in the way that was named.
    fn tested(&self, found: &Found, events: &mut dyn Events) -> Result<SelfTest> {
        let kept = kept_by(found, self.precision.unwrap_or_default()).on(&found.device);
        tested(found, &Frozen { streamed: self.offload, ..kept }, events)
    }
}

/// How a device beside the processor keeps frozen weights.
fn kept_by(found: &Found, precision: Precision) -> FrozenWeights {
    FrozenWeights { precision, convolutions: Convolutions::Compact, device: found.kind }
}

/// What a device computes with frozen weights kept in this way, beside what the processor
/// does.
///
/// # Errors
/// If the device fails.
pub(crate) fn tested(found: &Found, kept: &Frozen, events: &mut dyn Events) -> Result<SelfTest> {
    let precision = kept.precision.name();
    events.stage(format!("testing {} in {precision} against the processor", found.name()));
    self_test(found.name(), kept).map_err(refused)
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
    use crate::{Bytes, Event};

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

    fn cpu(precision: Option<Precision>) -> Compute {
        Compute::new(0, precision, None).unwrap()
    }

    /// A test that the processor stands for: it computes in the precision that is named.
    fn test(compute: &Compute, precision: Precision) -> SelfTest {
        let kept = kept_by(&compute.found, precision).on(&compute.found.device);
        self_test(compute.found.name(), &kept).unwrap()
    }

    #[test]
    fn memory_is_the_processors() {
        let compute = Compute::new(0, None, Some(Bytes(1 << 40))).unwrap();
        let refused = compute.check_memory(DeviceName::One(Kind::Vulkan, 0)).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--memory"), "{refused}");
        let mut heard = Heard::default();
        let auto = compute.on(DeviceName::Auto, false, &mut heard).unwrap();
        assert!(auto.card().is_none());
        assert!(heard.0[0].contains("--memory"), "{:?}", heard.0);
    }

    #[test]
    fn what_is_for_cards_is_refused_on_the_processor() {
        let mut heard = Heard::default();
        for (compute, word) in [
            (cpu(Some(Precision::F16)), "--precision bf16"),
            (cpu(Some(Precision::Tf32)), "--precision tf32"),
            (cpu(None).offloading(true), "--offload"),
        ] {
            let refused = compute.on(DeviceName::default(), false, &mut heard).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(refused.to_string().contains(word), "{refused}");
        }
        let half = cpu(Some(Precision::Bf16));
        let half = half.on(DeviceName::default(), false, &mut heard).unwrap();
        assert_eq!(half.weights().precision, Precision::Bf16);
    }

    #[test]
    fn a_device_that_is_not_there_is_a_mistake() {
        let compute = cpu(None);
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
        let cpu = cpu(None);
        let found = Found { kind: Kind::Vulkan, ..cpu.found.clone() };
        let test = SelfTest { precision: Precision::F32, ..test(&cpu, Precision::Bf16) };
        let mut heard = Heard::default();
        let refused = cpu.clone().admitting(found.clone(), &test, &mut heard).unwrap_err();
        assert_eq!(refused.exit_code(), 1);
        let refused = refused.to_string();
        for word in ["vulkan:0", "of its largest value", "--device", "--trust-device"] {
            assert!(refused.contains(word), "{refused}");
        }
        assert!(heard.0.is_empty(), "{:?}", heard.0);
        let trusting = Compute { trust: true, ..cpu };
        let trusting = trusting.admitting(found, &test, &mut heard).unwrap();
        assert!(trusting.card().is_some());
        assert!(heard.0[0].contains("trusted although") && heard.0[0].contains(&test.figures()));
    }

    /// The same, where that was asked for.
    #[test]
    fn a_device_keeps_the_precision_it_was_tested_in() {
        let cpu = cpu(Some(Precision::Bf16));
        let found = Found { kind: Kind::Vulkan, ..cpu.found.clone() };
        let test = test(&cpu, Precision::Bf16);
        let moved = cpu.admitting(found, &test, &mut Heard::default()).unwrap();
        let kept = moved.weights();
        assert_eq!((kept.precision, kept.device), (Precision::Bf16, Kind::Vulkan));
        assert_eq!(kept.description(), "bf16, on Vulkan");
    }

    #[test]
    fn a_device_that_fails_in_the_middle_says_what_to_change() {
        let cpu = cpu(None);
        let found = Found { kind: Kind::Vulkan, ..cpu.found.clone() };
        let card = Compute { found, ..cpu };
        let said = |card: &Compute| {
            let failed =
                card.guarded("lower --batch", || -> Result<()> { panic!("out of memory") });
            let failed = failed.unwrap_err();
            assert_eq!(failed.exit_code(), 1);
            failed.to_string()
        };
        assert_eq!(
            said(&card),
            "device vulkan:0 cannot be used: out of memory; if its memory was full, add --offload, \
             lower --batch"
        );
        let offloading = card.clone().offloading(true);
        assert!(said(&offloading).ends_with("add --precision f16 or bf16, lower --batch"));
        assert_eq!(card.guarded("", || Ok(3)).unwrap(), 3);
    }

    #[test]
    fn what_was_recorded_elsewhere_is_kept_as_far_as_it_goes() {
        let mut heard = Heard::default();
        let cpu = cpu(None);
        let of = |precision, device| FrozenWeights {
            precision,
            device,
            convolutions: Convolutions::Compact,
        };
        let here = of(Precision::Bf16, Kind::Cpu);
        assert_eq!(cpu.recorded(here, &mut heard).unwrap().weights(), here);
        let there = of(Precision::Bf16, Kind::Vulkan);
        let again = cpu.redrawing(there, &mut heard).unwrap().weights();
        assert_eq!((again.precision, again.device), (Precision::Bf16, Kind::Cpu));
        assert!(heard.0[0].contains("not to the same bytes"), "{:?}", heard.0);
        let narrow = of(Precision::F16, Kind::Vulkan);
        let refused = cpu.recorded(narrow, &mut heard).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        let refused = refused.to_string();
        assert!(refused.contains("f16") && refused.contains("--precision bf16"), "{refused}");
        let typed = Compute { precision: Some(Precision::F32), ..cpu.clone() };
        assert_eq!(typed.recorded(narrow, &mut heard).unwrap().weights(), cpu.weights());
        let resumed = cpu.resumed(there, |_| 0, &mut heard).unwrap_err();
        assert!(resumed.to_string().contains("--device vulkan"), "{resumed}");
        let narrow = of(Precision::F16, Kind::Cpu);
        let resumed = cpu.resumed(narrow, |_| 0, &mut heard).unwrap_err();
        assert_eq!(resumed.exit_code(), 2, "{resumed}");
        assert_eq!(cpu.resumed(here, |_| 0, &mut heard).unwrap().weights(), here);
    }
}
