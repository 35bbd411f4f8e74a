//! How far bf16 and f16 are from f32, part by part. The bounds are about twice what is
//! measured; of bf16 with AVX-512 BF16, where activations are rounded as well as weights.
//! The figures stand in docs/performance.md. f16 is what graphics cards compute in; here
//! the processor does, without its kernels.

use std::path::PathBuf;

use diffusion::{Base, layout::from_nchw, unet::Plain};
use engine::{
    nn::{Frozen, Precision},
    rng::TorchRng,
};
use golden::{Golden, assert_close};
use personalize::{
    FrozenWeights,
    methods::{
        Method,
        vico::{TOKEN, reference::Capture},
    },
};

use super::{
    golden_gradients::{assert_replay_as_whole, batch},
    tiny::{STILL, Tiny, device, flags, image, kept, positions, timesteps, values},
};

/// f32, and what is compared with it.
type Kept = [Precision; 2];

const IN_BF16: Kept = [Precision::F32, Precision::Bf16];

const IN_F16: Kept = [Precision::F32, Precision::F16];

/// Whether both can be had where these tests compute; says so if not.
fn known(kept: Kept) -> bool {
    let known = kept.into_iter().all(|precision| precision.is_known_to(&device()));
    if !known {
        golden::skipped(&format!("the device does not compute in {}", kept[1].name()));
    }
    known
}

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

/// Checks that the second differs, and by so much at most.
fn assert_near(what: &str, results: [Vec<f32>; 2], most: f64) {
    let distance = distance(&results);
    assert!(distance > 0.0, "{what} does not depend on the precision");
    assert!(distance <= most, "{what}: {distance:.2e} from f32, at most {most:.0e}");
}

#[test]
fn models_in_bf16() {
    if !known(IN_BF16) {
        return;
    }
    assert_models_near(IN_BF16, [0.017, 0.02]);
    assert_vae_near(IN_BF16, [0.023, 0.016]);
}

#[test]
fn models_in_f16() {
    if !known(IN_F16) {
        return;
    }
    assert_models_near(IN_F16, [0.0014, 0.002]);
    let golden = Golden::open("vae.safetensors");
    let case = &golden.cases(".image")[0];
    let image = image(&golden, &format!("{case}.image"));
    let [exact, same] =
        IN_F16.map(|p| values(base(p).vae_encoder().unwrap().forward(image.clone()).mean()));
    assert_close("the VAE stays in f32", &same, &exact, 1e-5);
}

/// Text encoder and U-Net.
fn assert_models_near(kept: Kept, [text, unet]: [f64; 2]) {
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let contexts = kept.map(|p| {
        let tiny = Tiny::of(base(p));
        let token = tiny.vico("placeholder_embedding", STILL).token();
        tiny.text.forward(&batch.prompts, Some(token))
    });
    assert_near("text encoder", contexts.clone().map(engine::values), text);

    let times: Vec<f64> = timesteps(&golden, "t").into_iter().map(|t| t as f64).collect();
    let predicted = kept.map(|p| {
        let unet = base(p).unet().unwrap();
        let noisy = batch.latents.clone();
        values(unet.forward(noisy, &times, &contexts[0], &mut Plain))
    });
    assert_near("U-Net", predicted, unet);
}

fn assert_vae_near(kept: Kept, [encoder, decoder]: [f64; 2]) {
    let golden = Golden::open("vae.safetensors");
    let case = &golden.cases(".image")[0];
    let input = |part: &str| image(&golden, &format!("{case}.{part}"));
    let encoded =
        kept.map(|p| values(base(p).vae_encoder().unwrap().forward(input("image")).mean()));
    assert_near("VAE encoder", encoded, encoder);
    let decoded = kept.map(|p| values(base(p).vae_decoder().unwrap().forward(input("z"))));
    assert_near("VAE decoder", decoded, decoder);
}

#[test]
fn training_step_in_bf16() {
    assert_training_step_near(IN_BF16, [0.005, 0.46, 0.32]);
}

#[test]
fn training_step_in_f16() {
    assert_training_step_near(IN_F16, [2e-4, 0.013, 0.01]);
}

fn assert_training_step_near(kept: Kept, [loss, token, attention]: [f64; 3]) {
    if !known(kept) {
        return;
    }
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let evaluated = kept.map(|precision| {
        let tiny = Tiny::of(base(precision));
        tiny.vico("placeholder_embedding", STILL).evaluate(&tiny.frozen(), &batch)
    });
    let losses = evaluated.each_ref().map(|e| vec![e.loss as f32]);
    assert_near("loss", losses, loss);
    let is_token = |name: &str| name == TOKEN;
    for (what, most, of) in [
        ("gradient of the token", token, &is_token as &dyn Fn(&str) -> bool),
        ("gradient of image attention", attention, &|name| !is_token(name)),
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
fn masks_in_bf16_and_f16() {
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let times: Vec<f64> = batch.timesteps.iter().map(|&t| t as f64).collect();
    let positions = positions(&golden, "p", "e");
    let masks = |precision| -> Vec<bool> {
        let tiny = Tiny::of(base(precision));
        let vico = tiny.vico("placeholder_embedding", STILL);
        let context = tiny.text.forward(&batch.prompts, Some(vico.token()));
        let reference = batch.references.clone();
        let mut capture = Capture::new(vico.sites(), &positions, true);
        capture.run(&tiny.unet, reference, &times, &context);
        capture.layers.values().flat_map(flags).collect()
    };
    let exact = masks(Precision::F32);
    for precision in [Precision::Bf16, Precision::F16] {
        if !known([Precision::F32, precision]) {
            continue;
        }
        let changed = exact.iter().zip(masks(precision)).filter(|(a, b)| *a != b).count();
        let (name, all) = (precision.name(), exact.len());
        assert!(changed * 200 <= all, "{changed} of {all} patches in {name}");
    }
}

/// Block inputs are kept in bf16 then, and that is all that differs.
#[test]
fn replay_in_bf16_is_near_the_whole_tape() {
    if known(IN_BF16) {
        assert_replay_as_whole(&Tiny::of(base(Precision::Bf16)), 0.09);
    }
}

/// Blocks have scales of their own in the replay, the whole tape has none; their rounding
/// differs.
#[test]
fn replay_in_f16_is_near_the_whole_tape() {
    if known(IN_F16) {
        assert_replay_as_whole(&Tiny::of(base(Precision::F16)), 0.011);
    }
}

/// Weights that lie elsewhere are the same weights.
#[test]
fn streamed_weights_change_no_bit() {
    if !known(IN_F16) {
        return;
    }
    let golden = Golden::open("vico_grad.safetensors");
    let batch = batch(&golden);
    let how = FrozenWeights { precision: Precision::F16, ..Default::default() };
    let [there, streamed] = [false, true].map(|streamed| {
        let how = Frozen { streamed, ..how.on(&device()) };
        let tiny = Tiny::of(kept(FrozenWeights::default()).kept(&how));
        let evaluated = tiny.vico("placeholder_embedding", STILL).evaluate(&tiny.frozen(), &batch);
        let gradients: Vec<Vec<f32>> =
            evaluated.gradients.iter().map(|(_, g)| engine::values(g.clone())).collect();
        (evaluated.loss, gradients)
    });
    assert_eq!(there, streamed);
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
    let predicted = IN_BF16.map(|precision| {
        let how = FrozenWeights { precision, ..Default::default() }.on(&device);
        let unet = Base::open(&path, &device).unwrap().kept(&how).unet().unwrap();
        values(unet.forward(latents.clone(), &[500.0], &context, &mut Plain))
    });
    assert_near("full-size U-Net", predicted, 0.021);
}
