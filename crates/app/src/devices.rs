//! `vico devices`: what there is to compute on.

use engine::{
    device::{self, Found, Kind, SelfTest},
    nn::{Frozen, Precision},
};

use crate::{
    Events,
    compute::tested,
    estimate::{size_text, total_memory},
};

/// A line for every device, after its self-test, and one on those that the program was
/// not built for.
pub fn list(events: &mut dyn Events) -> Vec<String> {
    let mut lines: Vec<String> = device::devices()
        .into_iter()
        .map(|found| match found {
            Ok(found) => line(&found, events),
            Err(error) => error.to_string(),
        })
        .collect();
    lines.extend(missing());
    lines
}

fn line(found: &Found, events: &mut dyn Events) -> String {
    let memory = match found.kind {
        Kind::Cpu => total_memory(),
        _ => found.memory,
    };
    let memory = memory.map_or("memory unknown".into(), size_text);
    let name = found.name().to_string();
    format!("{name:<10} {}, {memory}{}", found.description, verdict(found, events))
}

fn verdict(found: &Found, events: &mut dyn Events) -> String {
    if found.kind == Kind::Cpu {
        return String::new();
    }
    let driver = match found.is_gpu {
        true => "",
        false => ", a driver that computes on the processor",
    };
    let known = |precision: &Precision| found.computes_in(*precision);
    let precisions = Precision::ALL.into_iter().filter(known);
    precisions.fold(driver.to_owned(), |said, precision| {
        let kept = Frozen { precision, ..Frozen::new(&found.device) };
        let verdict = match tested(found, &kept, events) {
            Ok(test) => in_words(&test),
            Err(error) => format!("FAILS: {error}"),
        };
        format!("{said}; {}: {verdict}", precision.name())
    })
}

fn in_words(test: &SelfTest) -> String {
    let verdict = if test.passes() { "passes" } else { "FAILS" };
    format!("{verdict} the self-test: {}", test.figures())
}

/// What another build would find.
fn missing() -> Option<String> {
    let kinds: Vec<&str> =
        Kind::ALL.into_iter().filter(|kind| !kind.is_built()).map(Kind::name).collect();
    (!kinds.is_empty()).then(|| {
        format!(
            "not in this program: {} (cargo build --release --features {} adds one)",
            kinds.join(", "),
            kinds[kinds.len() - 1]
        )
    })
}
