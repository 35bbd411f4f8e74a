//! What can go wrong in judging pictures.

use std::path::PathBuf;

/// What can go wrong while encoders are loaded, pictures scored and reports written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of weights.
    #[error(transparent)]
    File(#[from] formats::Error),
    /// The text tower or its tokenizer.
    #[error(transparent)]
    Text(#[from] diffusion::Error),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] images::Error),
    /// A file that is no encoder of a known kind.
    #[error("{path}: {what}")]
    Encoder {
        /// Folder or file.
        path: PathBuf,
        /// What was found, what is known, and what to do.
        what: String,
    },
    /// What was typed does not make sense together.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    pub(crate) fn encoder(path: impl Into<PathBuf>, what: impl ToString) -> Self {
        Self::Encoder { path: path.into(), what: what.to_string() }
    }

    /// True for a mistake in what was typed, as against a failure at work.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_))
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
