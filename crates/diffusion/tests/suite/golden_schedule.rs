use diffusion::sampler::{compvis_timesteps, diffusers_timesteps};
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

#[test]
fn golden_timesteps() {
    let golden = Golden::open("schedule.safetensors");
    let schedule = tiny().schedule();
    let mut checked = 0;
    for name in golden.names() {
        let parts: Vec<&str> = name.split('.').collect();
        let ["timesteps", flavour @ ("ddim" | "compvis_ddim"), steps] = parts[..] else { continue };
        let steps: usize = steps.parse().unwrap();
        let got = match flavour {
            "ddim" => {
                let offset = schedule.config().steps_offset;
                diffusers_timesteps(schedule.len(), steps, offset)
            }
            _ => compvis_timesteps(schedule.len(), steps),
        };
        let got: Vec<f32> = got.into_iter().rev().map(|t| t as f32).collect();
        assert_eq!(got, golden.f32(&name), "{name}");
        checked += 1;
    }
    assert!(checked >= 2, "both flavours have golden timesteps");
}
