//! What can go wrong in learning and drawing.

use std::path::PathBuf;

/// What can go wrong while training and generating.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The base model.
    #[error(transparent)]
    Base(#[from] diffusion::Error),
    /// A file of weights.
    #[error(transparent)]
    File(#[from] formats::Error),
    /// A photo or picture.
    #[error(transparent)]
    Picture(#[from] images::Error),
    /// A recipe or generation setting makes no sense.
    #[error("{option} is {found}, expected {expected}")]
    Setting {
        /// The option as it is typed.
        option: String,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A prompt does not fit the adapter.
    #[error("{0}")]
    Prompt(String),
    /// A learned parameter does not fit the base model.
    #[error(
        "parameter {name} is {found}, expected {expected}: the adapter was trained on a base model of another architecture"
    )]
    Parameter {
        /// The parameter.
        name: String,
        /// What the file has.
        found: String,
        /// What the model wants.
        expected: String,
    },
    /// A file is not the adapter or checkpoint it should be.
    #[error("{path}: {what}")]
    Adapter {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A mask cannot be used.
    #[error("{path}: {what}")]
    Mask {
        /// The mask, or the photo or adapter that it belongs to.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A value that is not finite stopped the run.
    #[error("{tensor} is not finite at {place}: {advice}")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Step and image.
        place: String,
        /// What to change.
        advice: String,
    },
    /// The user stopped the run.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// True for a mistake in what was typed, as against a failure at work.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Setting { .. } | Self::Prompt(_))
            || matches!(self, Self::Base(e) if e.is_usage())
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
