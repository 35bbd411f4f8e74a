use diffusion::sampler::{Plan, Sampler, Settings};
use golden::{Golden, assert_close};

use super::{image, tiny, values};

#[test]
fn golden_alphas() {
    let golden = Golden::open("schedule.safetensors");
    let schedule = tiny().schedule();
    let table = |f: &dyn Fn(f64) -> f64| -> Vec<f32> {
        (0..schedule.len()).map(|t| f(schedule.alpha(t)) as f32).collect()
    };
    let check = |name: &str, got: Vec<f32>, tolerance: f64| {
        assert_close(name, &got, &golden.f32(name), tolerance);
    };
    check("compvis.alphas_cumprod", table(&|a| a), 1e-7);
    check("compvis.sqrt_alphas_cumprod", table(&f64::sqrt), 1e-7);
    check("compvis.sqrt_one_minus_alphas_cumprod", table(&|a| (1.0 - a).sqrt()), 1e-7);
    check("diffusers.alphas_cumprod", table(&|a| a), 1e-6);
}

#[test]
fn golden_add_noise() {
    let golden = Golden::open("schedule.safetensors");
    let timesteps: Vec<usize> = golden.i64("t").into_iter().map(|t| t as usize).collect();
    let (x0, noise) = (image(&golden, "x0"), image(&golden, "noise"));
    let got = values(tiny().schedule().add_noise(x0, noise, &timesteps));
    assert_close("compvis.q_sample", &got, &golden.f32("compvis.q_sample"), 1e-6);
    assert_close("diffusers.add_noise", &got, &golden.f32("diffusers.add_noise"), 1e-5);
}

/// The sampler whose timesteps and sigmas a case holds.
fn sampler(case: &str) -> &str {
    match case {
        "compvis_ddim" => "ddim",
        "ddim" => "ddim-diffusers",
        "euler_ancestral" => "euler-a",
        "euler_leading" => "euler-leading",
        "dpmpp_2m" => "dpmpp-2m",
        "dpmpp_2m_karras" => "dpmpp-2m-karras",
        other => other,
    }
}

/// The plan of a case, `CASE.STEPS`.
fn plan(case: &str) -> Plan {
    let (case, steps) = case.split_once('.').unwrap();
    let (sampler, steps): (Sampler, usize) =
        (sampler(case).parse().unwrap(), steps.parse().unwrap());
    sampler.plan(&tiny().schedule(), &Settings { steps, eta: 0.0 }).unwrap()
}

#[test]
fn golden_timesteps() {
    let golden = Golden::open("schedule.safetensors");
    for case in golden.cases_between("timesteps.", "") {
        let name = format!("timesteps.{case}");
        let mut got: Vec<f64> = plan(&case).levels().iter().map(|l| l.timestep).collect();
        got.pop();
        if case.starts_with("pndm") && got.len() > 1 {
            // It looks at the end of its first step twice.
            got.insert(2, got[1]);
        }
        super::assert_timesteps(&name, &got, &golden);
    }
}

#[test]
fn golden_sigmas() {
    let golden = Golden::open("schedule.safetensors");
    for case in golden.cases_between("sigmas.", "") {
        let got: Vec<f32> = plan(&case).levels().iter().map(|l| l.sigma() as f32).collect();
        let name = format!("sigmas.{case}");
        let want = golden.f32(&name);
        assert_close(&name, &got, &want, 1e-5);
        // The small ones count as much as the large ones.
        let logs = |sigmas: &[f32]| -> Vec<f32> {
            sigmas.iter().filter(|&&s| s > 0.0).map(|s| s.ln()).collect()
        };
        assert_close(&name, &logs(&got), &logs(&want), 1e-5);
    }
}
