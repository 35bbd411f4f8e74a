//! From what was typed to a checked plan to a run.
//!
//! Each command is a module: options in, a run that reports through one stream
//! of [`Event`]s, files out. Whoever shows the events (a terminal, later a web
//! page) is [`Events`].
//!
//! Invariants: nothing here prints; every file is written whole or not at all;
//! a run folder belongs to one run at a time.

mod adapter_file;
pub mod bench;
pub mod benchmark;
mod compute;
pub mod demo;
pub mod devices;
mod embeddings;
mod error;
mod estimate;
pub mod evaluate;
mod event;
pub mod export;
pub mod generate;
pub mod hub;
pub mod import;
pub mod infotext;
mod init;
pub mod inspect;
mod keys;
mod lora;
pub mod mask;
mod pictures;
mod recommended;
pub mod repeat;
mod run_folder;
mod series;
mod subjects;
mod tensorboard;
pub mod train;

pub use compute::{Bytes, Compute};
pub use diffusion::sampler::Sampler;
pub use engine::{
    device::{DEVICE_VARIABLE, DeviceName},
    nn::Precision,
};
pub use error::{Error, Result};
pub use event::{Event, Events, Scored};
pub use lora::LoraFile;
pub use personalize::generate::Rng;
pub use subjects::AdapterFile;

/// The base model where none is named: the one inside the program.
pub const DEFAULT_BASE: &str = builtin::TOYBOX_NAME;

/// Version of the program, for the files it writes.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
