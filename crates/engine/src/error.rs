use rayon::ThreadPoolBuildError;

/// What can go wrong while the engine is set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment names vector instructions that do not exist.
    #[error(transparent)]
    Instructions(kernels::UnknownLevel),
    /// The number of threads cannot be set any more, or the system refuses so many.
    #[error(
        "could not set up {threads} threads ({source}): set their number once, before anything \
         is computed, and to no more than the system allows"
    )]
    Threads {
        /// The number asked for.
        threads: usize,
        /// What rayon says.
        source: ThreadPoolBuildError,
    },
}

/// A result with the engine's error.
pub type Result<T> = std::result::Result<T, Error>;
