use diffusion::{
    layout::from_nchw,
    sampler::{Sampler, Settings, sample},
};
use engine::Tensor;
use golden::{Golden, assert_close};
use personalize::{
    Reference,
    generate::Guidance,
    methods::vico::denoiser::{Subject, VicoDenoiser},
};

use super::tiny::{STILL, Tiny, context, image, positions, values};

/// Samples the golden prompt and calls `check` after every step.
fn run(golden: &Golden, eta: f64, check: &mut dyn FnMut(usize, &Tensor<4>)) -> Tensor<4> {
    let tiny = Tiny::open();
    let vico = tiny.vico("placeholder_embedding", STILL);
    let [steps, n, c, h, w] = golden.shape("latents");
    // All samples have the same prompt and reference.
    let first = |x: Tensor<3>| x.narrow(0, 0, 1);
    let rows = vec![first(context(golden, "uncond")), first(context(golden, "context"))];
    let subject = Subject {
        sites: vico.sites().clone(),
        blocks: vico.blocks(),
        mask: true,
        references: vec![Reference::new(image(golden, "xr").narrow(0, 0, 1))],
        positions: positions(golden, "p", "e")[0],
    };
    let mut denoiser = VicoDenoiser {
        unet: &tiny.unet,
        subjects: vec![subject],
        context: Tensor::cat(rows, 0),
        guidance: Guidance {
            text: golden::manifest()["guidance"].as_f64().unwrap(),
            reference: 1.0,
        },
    };
    let plan = Sampler::default().plan(&tiny.schedule, &Settings { steps, eta }).unwrap();
    let noises = if eta > 0.0 { golden.f32("eta1.noises") } else { Vec::new() };
    let mut noises = noises.chunks(n * c * h * w);
    let mut noise =
        || from_nchw(noises.next().unwrap().to_vec(), [n, c, h, w], &super::tiny::device());
    let mut watch = |i: usize, x: &Tensor<4>| {
        check(i, x);
        Ok(())
    };
    let start = plan.start(image(golden, "init"), None);
    sample(&plan, &mut denoiser, start, &mut noise, &mut watch).unwrap()
}

#[test]
fn golden_vico_sampling() {
    let golden = Golden::open("vico_sample.safetensors");
    let latents = golden.f32("latents");
    let steps = golden.shape::<5>("latents")[0];
    let size = latents.len() / steps;
    let last = run(&golden, 0.0, &mut |i, x| {
        assert_close(&format!("step {i}"), &values(x.clone()), &latents[i * size..][..size], 1e-4);
    });
    assert_close("final", &values(last), &golden.f32("final"), 1e-4);
}

#[test]
fn golden_vico_sampling_with_noise() {
    let golden = Golden::open("vico_sample.safetensors");
    let last = run(&golden, 1.0, &mut |_, _| {});
    assert_close("eta1.final", &values(last), &golden.f32("eta1.final"), 1e-4);
}
