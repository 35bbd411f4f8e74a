//! Integration tests of the Stable Diffusion core.

mod damage;
mod embeddings;
mod golden_models;
mod golden_samplers;
mod golden_schedule;
mod golden_tokenizer;
mod loras;
mod opening;
mod placeholder;
mod prompts;
mod sampler_names;
mod sd2;

use std::path::{Path, PathBuf};

use diffusion::{
    Base,
    layout::{from_nchw, to_nchw},
};
use engine::{Device, Tensor};
use golden::Golden;

/// Where the models of these tests compute: the processor, or the device that
/// `VICO_DEVICE` names.
fn device() -> Device {
    engine::device::from_environment().unwrap_or_else(|e| panic!("{e}"))
}

/// The small pipeline of the golden folder.
fn tiny() -> Base {
    open(&golden::path("tiny-sd"))
}

fn open(path: &Path) -> Base {
    Base::open(path, &device()).unwrap_or_else(|e| panic!("{e}"))
}

/// Everything that holds the same weights as the small pipeline: the folder
/// and the single files.
fn tiny_files() -> Vec<PathBuf> {
    let files = ["tiny-sd", "tiny-sd.ckpt", "tiny-sd.safetensors"];
    let found: Vec<PathBuf> =
        files.iter().map(|f| golden::path(f)).filter(|p| p.exists()).collect();
    assert!(found.len() >= 2, "the folder and at least one single file");
    found
}

/// A golden tensor `[n, c, h, w]`, channels last.
fn image(golden: &Golden, name: &str) -> Tensor<4> {
    from_nchw(golden.f32(name), golden.shape(name), &device())
}

/// A golden tensor of rank 3.
fn context(golden: &Golden, name: &str) -> Tensor<3> {
    engine::tensor(golden.f32(name), golden.shape(name), &device())
}

fn timesteps(golden: &Golden, name: &str) -> Vec<f64> {
    golden.i64(name).into_iter().map(|t| t as f64).collect()
}

fn values(x: Tensor<4>) -> Vec<f32> {
    to_nchw(x).0
}

/// Checks timesteps against golden ones. Those between whole ones are found from the
/// logarithms of numbers that diffusers keeps in f32, of which 0.003 are a timestep.
fn assert_timesteps(name: &str, got: &[f64], golden: &Golden) {
    let want = golden.f32(name);
    assert_eq!(got.len(), want.len(), "{name}");
    for (got, want) in got.iter().zip(want) {
        assert!((got - f64::from(want)).abs() < 5e-3, "{name}: {got}, expected {want}");
    }
}
