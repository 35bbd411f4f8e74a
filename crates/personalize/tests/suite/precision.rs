//! How far bf16 is from f32, part by part. The bounds are about twice what is
//! measured with AVX-512 BF16, where activations are rounded as well as weights;
//! the figures stand in docs/performance.md.

use std::path::PathBuf;

use diffusion::{Base, layout::from_nchw, unet::Plain};
use engine::{nn::Precision, rng::TorchRng};
use golden::Golden;
use personalize::{
    FrozenWeights,
    methods::{
        Method,
        vico::{TOKEN, reference::Capture},
    },
};

use super::{
    golden_gradients::{assert_replay_as_whole, batch},
    tiny::{STILL, Tiny, flags, image, kept, positions, timesteps, values},
};

const KEPT: [Precision; 2] = [Precision::F32, Precision::Bf16];

fn base(precision: Precision) -> Base {
    kept(FrozenWeights { precision, ..Default::default() })
}

/// The length of the difference, relative to the length of `exact`.
fn distance([exact, rounded]: &[Vec<f32>; 2]) -> f64 {
    assert_eq!(exact.len(), rounded.len());
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = exact.iter().zip(rounded).map(|(&a, &b)| f64::from(a) - f64::from(b));
    length(&mut { difference }) / length(&mut exact.iter().map(|&v| f64::from(v)))
}

/// Checks that bf16 differs, and by so much at most. Only the twins do not know it.
fn assert_near(what: &str, results: [Vec<f32>; 2], most: f64) {
    let distance = distance(&results);
    let twins = std::env::var_os(engine::TWINS_VARIABLE).is_some_and(|value| value == "1");
    assert!(distance > 0.0 || twins, "{what} does not depend on the precision");
    assert!(distance <= most, "{what}: {distance:.2e} from f32, at most {most:.0e}");
}

#[test]
fn models_in_bf16() {
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let contexts = KEPT.map(|p| {
        let tiny = Tiny::of(base(p));
        let token = tiny.vico("placeholder_embedding", STILL).token();
        tiny.text.forward(&batch.prompts, Some(token))
    });
    assert_near("text encoder", contexts.clone().map(engine::values), 0.017);

    let times: Vec<f64> = timesteps(&golden, "t").into_iter().map(|t| t as f64).collect();
    let predicted = KEPT.map(|p| {
        let unet = base(p).unet().unwrap();
        let noisy = batch.latents.clone();
        values(unet.forward(noisy, &times, &contexts[0], &mut Plain))
    });
    assert_near("U-Net", predicted, 0.02);

    let golden = Golden::open("vae.safetensors");
    let case = &golden.cases(".image")[0];
    let input = |part: &str| image(&golden, &format!("{case}.{part}"));
    let encoded =
        KEPT.map(|p| values(base(p).vae_encoder().unwrap().forward(input("image")).mean()));
    assert_near("VAE encoder", encoded, 0.023);
    let decoded = KEPT.map(|p| values(base(p).vae_decoder().unwrap().forward(input("z"))));
    assert_near("VAE decoder", decoded, 0.016);
}

#[test]
fn training_step_in_bf16() {
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let evaluated = KEPT.map(|precision| {
        let tiny = Tiny::of(base(precision));
        tiny.vico("placeholder_embedding", STILL).evaluate(&tiny.frozen(), &batch)
    });
    let losses = evaluated.each_ref().map(|e| vec![e.loss as f32]);
    assert_near("loss", losses, 0.005);
    let token = |name: &str| name == TOKEN;
    for (what, most, of) in [
        ("gradient of the token", 0.46, &token as &dyn Fn(&str) -> bool),
        ("gradient of image attention", 0.32, &|name| !token(name)),
    ] {
        let gradients = evaluated.each_ref().map(|e| {
            let chosen = e.gradients.iter().filter(|(name, _)| of(name));
            chosen.flat_map(|(_, gradient)| engine::values(gradient.clone())).collect()
        });
        assert_near(what, gradients, most);
    }
}

/// Otsu's thresholds are sharp: few patches may change sides.
#[test]
fn masks_in_bf16() {
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let times: Vec<f64> = batch.timesteps.iter().map(|&t| t as f64).collect();
    let positions = positions(&golden, "p", "e");
    let masks = KEPT.map(|precision| -> Vec<bool> {
        let tiny = Tiny::of(base(precision));
        let vico = tiny.vico("placeholder_embedding", STILL);
        let context = tiny.text.forward(&batch.prompts, Some(vico.token()));
        let reference = batch.references.clone();
        let mut capture = Capture::new(vico.sites(), &positions, true);
        capture.run(&tiny.unet, reference, &times, &context);
        capture.layers.values().flat_map(flags).collect()
    });
    let changed = masks[0].iter().zip(&masks[1]).filter(|(a, b)| a != b).count();
    assert!(changed * 200 <= masks[0].len(), "{changed} of {} patches", masks[0].len());
}

/// Block inputs are kept in bf16 then, and that is all that differs.
#[test]
fn replay_in_bf16_is_near_the_whole_tape() {
    assert_replay_as_whole(&Tiny::of(base(Precision::Bf16)), 0.09);
}

/// One pass at 512 px on a full-size folder, random weights will do; off unless
/// `VICO_FULL_SD` names one.
#[test]
fn full_size_unet_in_bf16() {
    let Some(path) = std::env::var_os("VICO_FULL_SD").map(PathBuf::from) else { return };
    let device = engine::cpu();
    let (latents, context) =
        (TorchRng::new(1).randn(4 * 64 * 64), TorchRng::new(2).randn(77 * 768));
    let latents = from_nchw(latents, [1, 4, 64, 64], &device);
    let context = engine::tensor(context, [1, 77, 768], &device);
    let predicted = KEPT.map(|precision| {
        let how = FrozenWeights { precision, ..Default::default() }.on(&device);
        let unet = Base::open(&path, &device).unwrap().kept(&how).unet().unwrap();
        values(unet.forward(latents.clone(), &[500.0], &context, &mut Plain))
    });
    assert_near("full-size U-Net", predicted, 0.021);
}
