//! Stable Diffusion, configured by its own files.
//!
//! tokenizer -> text encoder -> U-Net (with two seams: an attention processor
//! inside its transformers and a denoiser the samplers call) -> VAE.
//!
//! Invariants: no size, head count or channel number is written in code; the
//! samplers know no method; nothing here knows photos, adapters or terminals.

pub mod base;
pub mod config;
pub mod denoise;
pub mod embedding;
pub mod error;
pub mod layout;
pub mod lora;
mod resnet;
pub mod sampler;
pub mod schedule;
pub mod text;
pub mod tokenizer;
pub mod unet;
pub mod vae;
pub mod weights;

pub use base::Base;
pub use embedding::{Embedding, EmbeddingFormat};
pub use error::{Error, Result};
pub use lora::Lora;
pub use schedule::{Level, Schedule};
pub use tokenizer::{Placeholder, Prompt, Tokenizer, WeightedPrompt};
