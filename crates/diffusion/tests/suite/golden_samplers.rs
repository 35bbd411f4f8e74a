use diffusion::{
    Base, Level, Result,
    denoise::{Denoiser, guided},
    layout::from_nchw,
    sampler::{Plan, Sampler, Settings, sample},
    unet::{Plain, UNet},
};
use engine::Tensor;
use golden::{Golden, assert_close};

use super::{context, image, open, tiny, values};

const TOLERANCE: f64 = 1e-4;

/// The plain model with guidance.
struct Guided {
    unet: UNet,
    context: Tensor<3>,
    guidance: f64,
    /// Timesteps it was asked at.
    asked: Vec<f32>,
}

impl Denoiser for Guided {
    fn predict(&mut self, latents: Tensor<4>, at: Level) -> Result<Tensor<4>> {
        self.asked.push(at.timestep as f32);
        let both = latents.repeat_dim(0, 2);
        let predicted = self.unet.forward(both, &[at.timestep], &self.context, &mut Plain);
        Ok(guided(predicted, self.guidance))
    }
}

/// Where trajectories lie, and the model they belong to.
struct Source {
    golden: Golden,
    base: Base,
    guidance: f64,
    /// Tensor of the noise, if the case has none of its own.
    noises: &'static str,
}

/// Trajectories of the golden folder.
fn folder() -> Source {
    let guidance = golden::manifest()["guidance"].as_f64().unwrap();
    Source { golden: Golden::open("samplers.safetensors"), base: tiny(), guidance, noises: "" }
}

/// Trajectories that the golden folder has none of.
fn diffusers() -> Source {
    let golden = Golden::fixture("diffusers/samplers.safetensors");
    let guidance = golden.metadata("guidance").parse().unwrap();
    let base = open(&golden::fixture("golden/tiny-sd"));
    Source { golden, base, guidance, noises: "noises" }
}

impl Source {
    fn plan(&self, sampler: &str, steps: usize, eta: f64) -> Plan {
        let sampler: Sampler = sampler.parse().unwrap();
        sampler.plan(&self.base.schedule(), &Settings { steps, eta }).unwrap()
    }

    /// Runs a plan from the golden start and checks the latents behind every
    /// evaluation.
    fn trajectory(&self, case: &str, plan: &Plan, picture: Option<Tensor<4>>) {
        let golden = &self.golden;
        let want = golden.f32(&format!("{case}.latents"));
        let [evaluations, n, c, h, w] = golden.shape(&format!("{case}.latents"));
        let size = n * c * h * w;
        let own = format!("{case}.noises");
        let noises = if golden.has(&own) { &own } else { self.noises };
        let mut drawn = 0;
        let mut noise = || {
            let one = golden.f32(noises)[drawn * size..][..size].to_vec();
            drawn += 1;
            from_nchw(one, [n, c, h, w], &super::device())
        };
        // diffusers keeps the latents of these in the model's scale.
        let name = plan.sampler().name();
        let scaled = name.starts_with("dpmpp") || name.starts_with("unipc");
        let mut seen = 0;
        let mut watch = |i: usize, x: &Tensor<4>| {
            let scale = if scaled { plan.levels()[i + 1].alpha.sqrt() } else { 1.0 };
            let (got, want) = (values(x.clone() * scale), &want[i * size..][..size]);
            assert_close(&format!("{case} evaluation {i}"), &got, want, TOLERANCE);
            seen += 1;
            Ok(())
        };
        let mut denoiser = Guided {
            unet: self.base.unet().unwrap(),
            context: context(golden, "context"),
            guidance: self.guidance,
            asked: Vec::new(),
        };
        let start = plan.start(image(golden, "init"), picture);
        sample(plan, &mut denoiser, start, &mut noise, &mut watch).unwrap();
        assert_eq!((seen, plan.evaluations()), (evaluations, evaluations), "{case}");
        let asked: Vec<f64> = denoiser.asked.iter().map(|&t| f64::from(t)).collect();
        super::assert_timesteps(&format!("{case}.timesteps"), &asked, golden);
    }
}

#[test]
fn golden_trajectories() {
    let source = folder();
    for (case, sampler, eta) in [
        ("compvis_ddim", "ddim", 0.0),
        ("compvis_ddim_eta1", "ddim", 1.0),
        ("ddim", "ddim-diffusers", 0.0),
        ("ddim_eta1", "ddim-diffusers", 1.0),
        ("pndm", "pndm", 0.0),
        ("euler", "euler", 0.0),
        ("euler_leading", "euler-leading", 0.0),
        ("euler_ancestral", "euler-a", 0.0),
        ("dpmpp_2m", "dpmpp-2m", 0.0),
        ("dpmpp_2m_karras", "dpmpp-2m-karras", 0.0),
        ("unipc", "unipc", 0.0),
    ] {
        let evaluations = source.golden.dims(&format!("{case}.latents"))[0];
        let steps = if sampler == "pndm" { evaluations - 1 } else { evaluations };
        source.trajectory(case, &source.plan(sampler, steps, eta), None);
    }
}

#[test]
fn golden_trajectories_of_diffusers() {
    let source = diffusers();
    let steps = source.golden.metadata("steps").parse().unwrap();
    for name in source.golden.cases(".img2img.latents") {
        source.trajectory(&name, &source.plan(&name, steps, 0.0), None);
    }
}

#[test]
fn golden_trajectories_from_a_picture() {
    let source = diffusers();
    let number = |key: &str| source.golden.metadata(key).parse::<f64>().unwrap();
    for name in source.golden.cases(".img2img.latents") {
        let plan = source.plan(&name, number("steps") as usize, 0.0);
        let plan = plan.shortened(number("strength")).unwrap();
        let picture = image(&source.golden, "x0");
        source.trajectory(&format!("{name}.img2img"), &plan, Some(picture));
    }
}
