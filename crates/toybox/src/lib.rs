//! Toybox: how the small base model inside vico was made.
//!
//! The world it knows is drawn by `toyworld`. Here its VAE, text encoder and U-Net are
//! trained from nothing, on the project's own models, together with a judge that says
//! what is in a picture.

pub mod autoencoder;
pub mod base;
pub mod data;
pub mod drawing;
pub mod encoders;
mod error;
pub mod export;
mod fresh;
pub mod judge;
pub mod latents;
pub mod personal;
pub mod recipe;
pub mod score;
pub mod state;
pub mod training;
pub mod vocabulary;

pub use error::{Error, Result};
pub use fresh::Fresh;
