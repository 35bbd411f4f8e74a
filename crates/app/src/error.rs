use std::path::PathBuf;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Learning or drawing.
    #[error(transparent)]
    Run(#[from] personalize::Error),
    /// The base model.
    #[error(transparent)]
    Base(#[from] diffusion::Error),
    /// Judging pictures.
    #[error(transparent)]
    Judging(#[from] evaluate::Error),
    /// A file of weights.
    #[error(transparent)]
    File(#[from] formats::Error),
    /// A photo or picture.
    #[error(transparent)]
    Picture(#[from] images::Error),
    /// What was typed does not make sense together.
    #[error("{0}")]
    Usage(String),
    /// A path that cannot be used.
    #[error("{path}: {what}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A model of the hub that cannot be had.
    #[error("{model}: {what}")]
    Hub {
        /// Its id.
        model: String,
        /// Why, and what to do.
        what: String,
    },
    /// A device that fails, or computes otherwise than the processor.
    #[error("{0}")]
    Device(String),
    /// The machine has too little memory for the run.
    #[error("{0}")]
    Memory(String),
}

impl Error {
    pub(crate) fn path(path: impl Into<PathBuf>, what: impl ToString) -> Self {
        Self::Path { path: path.into(), what: what.to_string() }
    }

    /// Refuses a number of something that is not from 1 to `most`.
    pub(crate) fn unless_within(option: &str, found: usize, most: usize) -> Result<()> {
        if (1..=most).contains(&found) {
            return Ok(());
        }
        Err(Self::Usage(format!("{option} is {found}, expected a number from 1 to {most}")))
    }

    /// The user stopped the run; whatever was finished is on disk.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Run(personalize::Error::Stopped))
    }

    /// Exit code: 2 for a mistake in what was typed, 130 for a run that was
    /// stopped by Ctrl-C, 1 for any failure.
    pub fn exit_code(&self) -> u8 {
        let usage = match self {
            Self::Usage(_) => true,
            Self::Run(e) => e.is_usage(),
            Self::Base(e) => e.is_usage(),
            Self::Judging(e) => e.is_usage(),
            _ => false,
        };
        match () {
            () if self.is_stop() => 130,
            () if usage => 2,
            () => 1,
        }
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
