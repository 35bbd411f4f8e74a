use diffusion::{
    Schedule,
    config::ScheduleConfig,
    sampler::{Plan, Sampler, Settings},
};

fn plan(name: &str, steps: usize, eta: f64) -> diffusion::Result<Plan> {
    let schedule = Schedule::new(&ScheduleConfig::default());
    name.parse::<Sampler>()?.plan(&schedule, &Settings { steps, eta })
}

#[test]
fn every_name_is_its_samplers() {
    for sampler in Sampler::ALL {
        assert_eq!(sampler.name().parse::<Sampler>().unwrap(), sampler);
    }
    assert_eq!("plms".parse::<Sampler>().unwrap().name(), "pndm");
}

#[test]
fn a_wrong_name_gives_the_nearest() {
    for (typed, near) in [("eular", "euler"), ("DPMpp-2M-Kar", "dpmpp-2m-karras"), ("heum", "heun")]
    {
        let error = typed.parse::<Sampler>().unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains(&format!("did you mean {near}?")), "{error}");
    }
}

#[test]
fn progress_counts_evaluations() {
    for (name, evaluations) in [("ddim", 10), ("pndm", 11), ("heun", 19), ("unipc", 10)] {
        assert_eq!(plan(name, 10, 0.0).unwrap().evaluations(), evaluations, "{name}");
        assert_eq!(plan(name, 1, 0.0).unwrap().evaluations(), 1, "{name}");
    }
}

#[test]
fn settings_that_a_sampler_does_not_take_are_refused() {
    for (name, steps, eta, word) in [
        ("euler", 10, 0.5, "only ddim"),
        ("lcm", 51, 0.0, "1 to 50 with lcm"),
        ("dpmpp-2m", 1000, 0.0, "1 to 999"),
        ("ddim", 10, f64::NAN, "eta is NaN"),
    ] {
        let error = plan(name, steps, eta).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn strength_keeps_the_last_steps() {
    let ten = |name: &str| plan(name, 10, 0.0).unwrap();
    for sampler in Sampler::ALL {
        let whole = ten(sampler.name());
        let part = whole.clone().shortened(0.35).unwrap();
        assert_eq!(part.levels(), &whole.levels()[7..], "{sampler}");
        assert_eq!(whole.clone().shortened(1.0).unwrap(), whole);
    }
    for (strength, word) in [(0.0, "none of the 10 steps"), (1.5, "strength is 1.5")] {
        let error = ten("euler").shortened(strength).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(word), "{error}");
    }
}
