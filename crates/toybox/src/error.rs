use std::path::PathBuf;

/// Why a command of the training program ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The world's pictures.
    #[error(transparent)]
    World(#[from] toyworld::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] diffusion::Error),
    /// A file of weights.
    #[error(transparent)]
    File(#[from] formats::Error),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] images::Error),
    /// Learning from photos, or drawing.
    #[error(transparent)]
    Run(#[from] app::Error),
    /// An adapter.
    #[error(transparent)]
    Adapter(#[from] personalize::Error),
    /// An encoder, or a text for it.
    #[error(transparent)]
    Encoder(#[from] evaluate::Error),
    /// A path that cannot be used.
    #[error("{path}: {what}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A loss or gradient that is no number.
    #[error("step {step}: the {what} is not finite; the last checkpoint is kept")]
    NotFinite {
        /// The training step.
        step: u64,
        /// The tensor.
        what: String,
    },
    /// Ctrl-C.
    #[error("stopped; run the same command again to go on")]
    Stopped,
}

impl Error {
    /// An error about a path.
    pub fn path(path: impl Into<PathBuf>, what: impl ToString) -> Self {
        Self::Path { path: path.into(), what: what.to_string() }
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
