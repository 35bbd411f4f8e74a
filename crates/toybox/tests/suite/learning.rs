use std::sync::atomic::AtomicBool;

use engine::params::Params;
use toybox::{
    Error, base,
    state::State,
    training::{self, Plan},
};

use crate::small::{configs, pairs, schedule};

const PLAN: Plan = Plan { steps: 6, rate: 1e-3, average: 0.9, clip: 1.0 };

fn run(folder: &std::path::Path, state: &mut State, until: u64) -> toybox::Result<()> {
    let (configs, schedule, pairs) = (configs(), schedule(), pairs());
    let step =
        base::Step { configs: &configs, schedule: &schedule, pairs: &pairs, seed: 5, batch: 4 };
    let stop = AtomicBool::new(false);
    let mut loss = |leaves: &Params, n| step.loss(leaves, n);
    training::run_until(folder, &PLAN, until, state, &stop, &mut loss, &mut |_| {})
}

fn fresh() -> Params {
    base::fresh(&configs(), 1, &engine::cpu())
}

#[test]
fn a_resumed_run_ends_at_the_same_bits() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut state = State::new(fresh());
    run(whole.path(), &mut state, 6).unwrap();

    run(parts.path(), &mut State::new(fresh()), 3).unwrap();
    let path = State::path(parts.path());
    let mut resumed = State::load(&path, &fresh(), &engine::cpu()).unwrap();
    assert_eq!(resumed.step(), 3);
    run(parts.path(), &mut resumed, 6).unwrap();

    let bytes = |folder: &std::path::Path| std::fs::read(State::path(folder)).unwrap();
    assert!(bytes(whole.path()) == bytes(parts.path()));
}

#[test]
fn every_weight_of_both_models_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::new(fresh());
    // Weights behind a layer that begins as zero move one step later.
    run(folder.path(), &mut state, 6).unwrap();
    for (name, before) in fresh().iter() {
        let after = state.params().get(name).unwrap();
        assert_ne!(before.values(), after.values(), "{name}");
    }
}

#[test]
fn the_loss_falls() {
    let (configs, schedule, pairs) = (configs(), schedule(), pairs());
    let step =
        base::Step { configs: &configs, schedule: &schedule, pairs: &pairs, seed: 5, batch: 8 };
    let mut state = State::new(fresh());
    let plan = Plan { steps: 1000, rate: 2e-3, ..PLAN };
    let mut loss = |leaves: &Params, n| step.loss(leaves, n);
    let mut losses = Vec::new();
    for _ in 0..60 {
        losses.push(training::take_step(&plan, &mut state, &mut loss).unwrap());
    }
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..10]), mean(&losses[50..]));
    assert!(last < 0.9 * first, "{first} -> {last}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_before_the_weights_change() {
    let mut state = State::new(fresh());
    let mut loss =
        |leaves: &Params, _| Ok((leaves.tensor::<1>("unet.conv_in.bias", [16]) * f64::NAN).sum());
    let error = training::take_step(&PLAN, &mut state, &mut loss).unwrap_err();
    assert!(matches!(error, Error::NotFinite { step: 0, .. }), "{error}");
    for (name, before) in fresh().iter() {
        assert_eq!(before.values(), state.params().get(name).unwrap().values(), "{name}");
    }
}

#[test]
fn the_rate_rises_stays_and_falls() {
    let plan = Plan { steps: 10_000, rate: 1.0, ..PLAN };
    let rates: Vec<f64> = [0, 149, 300, 6999, 8500, 9999].map(|s| plan.rate_at(s)).into();
    assert!(rates[0] < 0.01 && (rates[1] - 0.5).abs() < 0.01, "{rates:?}");
    assert!(rates[2] == 1.0 && rates[3] == 1.0, "{rates:?}");
    assert!((rates[4] - 0.5).abs() < 0.01 && rates[5] < 0.001, "{rates:?}");
}

#[test]
fn the_average_follows_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::new(fresh());
    run(folder.path(), &mut state, 6).unwrap();
    let name = "unet.conv_in.weight";
    let of = |params: &Params| params.get(name).unwrap().values();
    let (before, now) = (of(&fresh()), of(state.params()));
    let average = of(&state.averaged(&engine::cpu()));
    assert_ne!(average, before);
    assert_ne!(average, now);
}
