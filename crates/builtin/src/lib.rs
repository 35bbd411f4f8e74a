//! The files inside the program: the small base model, the encoders that judge its
//! pictures, and the demo's photos.
//!
//! Nothing but bytes. How the models were made is the business of `toybox`, what their
//! files mean that of `diffusion` and `evaluate`. See `toybox/README.md` and
//! `encoders/README.md` (the model cards) and `photos/README.md` beside this crate's
//! sources.

/// A file: its path below its folder, and its content.
pub type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../", $folder, "/", $path)))),*]
    };
}

/// The name under which the base model and the encoders are asked for.
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

/// The encoder of pictures and texts of the base model's world, a folder in Hugging
/// Face's layout of CLIP.
pub const TOYBOX_CLIP: &[File] = files!["encoders/clip":
    "config.json",
    "merges.txt",
    "model.safetensors",
    "preprocessor_config.json",
];

/// The encoder of its pictures alone, a folder in Hugging Face's layout of DINO.
pub const TOYBOX_VIT: &[File] = files!["encoders/vit":
    "config.json",
    "model.safetensors",
    "preprocessor_config.json",
];

/// Photos of one object that the base model never saw.
pub const PHOTOS: &[File] = files!["photos": "00.png", "01.png", "02.png", "03.png", "04.png"];
