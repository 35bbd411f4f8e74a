use diffusion::{
    Result,
    denoise::{Denoiser, guided},
    layout::from_nchw,
    sampler::{Sampler, Settings, sample},
    unet::{Plain, UNet},
};
use engine::Tensor;
use golden::{Golden, assert_close};

use super::{context, image, tiny, values};

/// The plain model with guidance.
struct Guided {
    unet: UNet,
    context: Tensor<3>,
    guidance: f64,
    /// Timesteps it was asked at.
    asked: Vec<f32>,
}

impl Denoiser for Guided {
    fn predict(&mut self, latents: Tensor<4>, timestep: f64) -> Result<Tensor<4>> {
        self.asked.push(timestep as f32);
        let both = latents.repeat_dim(0, 2);
        Ok(guided(self.unet.forward(both, &[timestep], &self.context, &mut Plain), self.guidance))
    }
}

/// Runs a sampler from the golden start and checks the latents of every step.
fn trajectory(case: &str, sampler: Sampler, eta: f64) {
    let golden = Golden::open("samplers.safetensors");
    let base = tiny();
    let manifest = golden::manifest();
    let want = golden.f32(&format!("{case}.latents"));
    let noises = format!("{case}.noises");
    let [steps, n, c, h, w] = golden.shape(&format!("{case}.latents"));
    let size = n * c * h * w;
    let mut denoiser = Guided {
        unet: base.unet().unwrap(),
        context: context(&golden, "context"),
        guidance: manifest["guidance"].as_f64().unwrap(),
        asked: Vec::new(),
    };
    let plan = sampler.plan(&base.schedule(), &Settings { steps, eta }).unwrap();
    let mut drawn = 0;
    let mut noise = || {
        let all = golden.f32(&noises);
        let one = all[drawn * size..][..size].to_vec();
        drawn += 1;
        from_nchw(one, [n, c, h, w], &engine::cpu())
    };
    let mut seen = 0;
    let mut watch = |i: usize, x: &Tensor<4>| {
        assert_close(
            &format!("{case} step {i}"),
            &values(x.clone()),
            &want[i * size..][..size],
            1e-4,
        );
        seen += 1;
        Ok(())
    };
    sample(&plan, &mut denoiser, image(&golden, "init"), &mut noise, &mut watch).unwrap();
    assert_eq!(seen, steps);
    assert_eq!(denoiser.asked, golden.f32(&format!("{case}.timesteps")), "{case} timesteps");
}

#[test]
fn golden_ddim_of_diffusers() {
    trajectory("ddim", Sampler::DdimDiffusers, 0.0);
    trajectory("ddim_eta1", Sampler::DdimDiffusers, 1.0);
}

#[test]
fn golden_ddim_of_compvis() {
    trajectory("compvis_ddim", Sampler::Ddim, 0.0);
    trajectory("compvis_ddim_eta1", Sampler::Ddim, 1.0);
}
