//! The files inside the program: the small base model and the demo's photos.
//!
//! Nothing but bytes. How the model was made is the business of `toybox`, what its files
//! mean that of `diffusion`. See `toybox/README.md` (the model card) and
//! `photos/README.md` beside this crate's sources.

/// A file: its path below its folder, and its content.
pub type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../", $folder, "/", $path)))),*]
    };
}

/// The name under which the base model is asked for.
pub const TOYBOX_NAME: &str = "toybox";

/// The base model, a folder in diffusers' layout.
pub const TOYBOX: &[File] = files!["toybox":
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "vico.toml",
];

/// Photos of one object that the base model never saw.
pub const PHOTOS: &[File] = files!["photos": "00.png", "01.png", "02.png", "03.png", "04.png"];
