//! Stable Diffusion 2: OpenCLIP's text encoder, heads by level, linear projections and v,
//! on a small model that diffusers made.

use std::{fs, path::PathBuf};

use diffusion::{
    Base, Prompt,
    config::{PerLevel, Prediction},
    denoise::TextDenoiser,
    sampler::{Sampler, Settings, sample},
    unet::Plain,
};
use golden::{Golden, assert_close};
use tempfile::TempDir;

use super::{context, image, open, timesteps, values};

const TOLERANCE: f64 = 1e-4;

fn path(name: &str) -> PathBuf {
    golden::fixture("diffusers").join(name)
}

/// The folder and the single file, which takes its configuration from the folder.
fn both() -> [Base; 2] {
    ["tiny-sd2", "tiny-sd2.safetensors"].map(|name| open(&path(name)))
}

fn numbers() -> Golden {
    Golden::fixture("diffusers/sd2.safetensors")
}

fn prompts(golden: &Golden) -> Vec<Prompt> {
    let [_, positions] = golden.shape("ids");
    let ids: Vec<u32> = golden.i64("ids").into_iter().map(|id| id as u32).collect();
    let prompt = |ids: &[u32]| Prompt {
        ids: ids.to_vec(),
        placeholders: vec![],
        end_of_text: 0,
        dropped: None,
    };
    ids.chunks(positions).map(prompt).collect()
}

#[test]
fn golden_text_encoder_of_open_clip() {
    let golden = numbers();
    for base in both() {
        let got = base.text_encoder().unwrap().forward(&prompts(&golden), None);
        let what = format!("context of {}", base.path().display());
        assert_close(&what, &engine::values(got), &golden.f32("context"), TOLERANCE);
    }
}

#[test]
fn golden_unet_with_heads_by_level() {
    let golden = numbers();
    for base in both() {
        assert_eq!(base.configs().unet.attention_head_dim, PerLevel::Each(vec![1, 2]));
        let got = base.unet().unwrap().forward(
            image(&golden, "x"),
            &timesteps(&golden, "t"),
            &context(&golden, "context"),
            &mut Plain,
        );
        let what = format!("v of {}", base.path().display());
        assert_close(&what, &values(got), &golden.f32("v"), TOLERANCE);
    }
}

#[test]
fn golden_trajectories_of_v() {
    let (golden, [base, _]) = (numbers(), both());
    let (unet, schedule) = (base.unet().unwrap(), base.schedule());
    let steps = golden.metadata("steps").parse().unwrap();
    for name in golden.cases(".latents") {
        let mut denoiser = TextDenoiser {
            unet: &unet,
            context: context(&golden, "context"),
            guidance: golden.metadata("guidance").parse().unwrap(),
        };
        let sampler: Sampler = name.parse().unwrap();
        let plan = sampler.plan(&schedule, &Settings { steps, eta: 0.0 }).unwrap();
        let start = plan.start(image(&golden, "init"), None);
        let end = sample(
            &plan,
            &mut denoiser,
            start,
            &mut || unreachable!("no sampler here draws noise"),
            &mut |_, _| Ok(()),
        );
        let want = golden.f32(&format!("{name}.latents"));
        let got = values(end.unwrap());
        assert_close(&name, &got, &want[want.len() - got.len()..], TOLERANCE);
    }
}

#[test]
fn golden_target_of_a_training() {
    let golden = numbers();
    let schedule = both()[0].schedule();
    let times: Vec<usize> = golden.i64("t").into_iter().map(|t| t as usize).collect();
    let got = schedule.target(image(&golden, "clean"), image(&golden, "noise"), &times);
    assert_close("velocity", &values(got), &golden.f32("velocity"), 1e-5);
    let noisy = schedule.add_noise(image(&golden, "clean"), image(&golden, "noise"), &times);
    let v =
        schedule.target(image(&golden, "clean"), image(&golden, "noise"), &times).narrow(0, 0, 1);
    let noise = Prediction::Velocity.noise(v, noisy.narrow(0, 0, 1), schedule.level(times[0]));
    let want = values(image(&golden, "noise").narrow(0, 0, 1));
    assert_close("noise out of v", &values(noise), &want, 1e-5);
}

#[test]
fn prompts_are_filled_up_with_what_the_tokenizer_names() {
    let tokenizer = both()[0].tokenizer().unwrap();
    let prompt = tokenizer.encode("a", None).unwrap();
    let (start, end) = (612, 613);
    assert_eq!(prompt.ids[..4], [start, 256 + 64, end, 0]);
    assert_eq!((prompt.end_of_text, prompt.ids.len(), prompt.ids[76]), (2, 77, 0));
    let error = tokenizer.padded_with("no such token").err().unwrap();
    assert!(error.to_string().contains("no such token"), "{error}");
}

#[test]
fn folder_and_single_file_are_the_same_model() {
    let [folder, single] = both();
    assert_eq!(folder.fingerprint().unwrap(), single.fingerprint().unwrap());
    assert_eq!(folder.default_size(), 48);
}

/// Alone, a file needs the original configuration beside it.
#[test]
fn a_single_file_alone_asks_what_it_predicts() {
    let dir = TempDir::new().unwrap();
    let alone = dir.path().join("v2-1.safetensors");
    fs::copy(path("tiny-sd2.safetensors"), &alone).unwrap();
    let failure = || Base::open(&alone, &engine::cpu()).err().unwrap().to_string();
    let said = failure();
    assert!(said.contains("v2-1.yaml") && said.contains("768"), "{said}");
    let yaml = "model:\n  params:\n    parameterization: \"x\"\n";
    fs::write(dir.path().join("v2-1.yaml"), yaml).unwrap();
    assert!(failure().contains("parameterization is x"));
}
