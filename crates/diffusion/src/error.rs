//! What can go wrong with a base model.

use std::path::PathBuf;

/// What can go wrong while a base model is loaded or asked for a prompt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of weights could not be read or is not what it should be.
    #[error(transparent)]
    Weights(#[from] formats::Error),
    /// A configuration value makes no sense.
    #[error("{path}: {key} is {found}, expected {expected}")]
    Config {
        /// The JSON file, or the checkpoint whose configuration was derived.
        path: PathBuf,
        /// The key in question.
        key: String,
        /// Its value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// The model is of a kind this program does not run.
    #[error("{path}: {what}")]
    Unsupported {
        /// Folder or file.
        path: PathBuf,
        /// Which model it is and what to use instead.
        what: String,
    },
    /// A model's folder cannot be read or written.
    #[error("{path}: {reason}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// The CLIP vocabulary could not be used.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A word that should be one token is several.
    #[error(
        "the init word \"{word}\" is {count} tokens of CLIP's vocabulary, expected one: choose a plain class word such as \"toy\", \"dog\" or \"teapot\""
    )]
    NotOneToken {
        /// The word.
        word: String,
        /// Its number of tokens.
        count: usize,
    },
    /// A weight in a prompt that is none.
    #[error(
        "the weight {0} in a prompt is no number: write one as in (word:1.3), or \\( for a bracket that means nothing"
    )]
    Weight(String),
    /// A prompt that is too long for good.
    #[error(
        "the prompt takes {chunks} chunks, at most {most_chunks} are possible: shorten it to {most} tokens, or leave a BREAK out"
    )]
    PromptLength {
        /// Chunks it takes.
        chunks: usize,
        /// The most there may be.
        most_chunks: usize,
        /// Tokens that fit into those.
        most: usize,
    },
    /// A learned word that no prompt has room for.
    #[error("an embedding of {vectors} vectors does not fit into a prompt's {room} places")]
    Vectors {
        /// Its vectors.
        vectors: usize,
        /// Places between start and end.
        room: usize,
    },
    /// A size the U-Net and VAE cannot work at.
    #[error(
        "size {width}x{height}: width and height must be multiples of {multiple} and at least {multiple}"
    )]
    Size {
        /// Pixels.
        width: usize,
        /// Pixels.
        height: usize,
        /// Pixels a latent stands for.
        multiple: usize,
    },
    /// A format of embeddings that is not known.
    #[error("unknown embedding format \"{0}\": choose from diffusers, kohya, a1111")]
    Format(String),
    /// An embedding is to be written to a file of an unknown kind.
    #[error("{path}: the name decides the kind of file: end it in .safetensors, .pt or .bin")]
    Extension {
        /// The path.
        path: PathBuf,
    },
    /// A tensor of a LoRA that cannot be merged.
    #[error("{path}: `{key}`: {what}")]
    Lora {
        /// The file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// Sampling settings that make no sense.
    #[error("{0}")]
    Sampling(String),
    /// A value that is not finite appeared.
    #[error("non-finite values in {tensor} at {place}: {advice}")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Step and image.
        place: String,
        /// What to try.
        advice: String,
    },
}

impl Error {
    /// True for a mistake in what was typed, as against a failure at work.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotOneToken { .. } | Self::Size { .. } | Self::Sampling(_))
            || matches!(self, Self::Format(_) | Self::Extension { .. })
            || matches!(self, Self::Weight(_) | Self::PromptLength { .. })
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
