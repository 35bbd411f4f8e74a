//! Everything that can go wrong with a weight file, in sentences a user can act on.

use std::io;
use std::path::{Path, PathBuf};

use crate::DType;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// A weight file that could not be read, or could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: a missing file, missing rights, a failing disk.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },

    /// The path exists, but is a folder, a device or a socket.
    #[error("cannot read {}: it is {found}, a weight file was expected", path.display())]
    NotAFile {
        /// The path that was asked for.
        path: PathBuf,
        /// What is there instead.
        found: &'static str,
    },

    /// The content is none of the formats this crate reads.
    #[error(
        "{} is not a weight file: found {found}, expected safetensors or a PyTorch checkpoint \
         (.ckpt, .pt, .bin)",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What its first bytes look like.
        found: String,
    },

    /// The file contradicts itself: truncated, corrupt, or made to mislead.
    #[error("{} is damaged or not what it claims to be: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },

    /// The file is sound, but of a variety that is not read here.
    #[error("{} cannot be read here: {problem}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What was found and how to save the weights instead.
        problem: String,
    },

    /// The pickle asks for code to be called that has nothing to do with tensors.
    #[error(
        "{} is a pickle that asks for `{callable}` to be called. It was not run, and the file \
         is refused: a checkpoint needs no such call. If you trust its origin, have it saved \
         again as safetensors, or with nothing but tensors in it",
        path.display()
    )]
    UnsafePickle {
        /// The file.
        path: PathBuf,
        /// The dotted name of the callable, such as `posix.system`.
        callable: String,
    },

    /// The file holds no tensor of this name.
    #[error("{} holds no tensor named `{name}`{}", path.display(), did_you_mean(nearest))]
    NoSuchTensor {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The most similar names in the file, best first; empty if it holds no tensors.
        nearest: Vec<String>,
    },

    /// The tensor's elements are of a kind that the caller cannot use.
    #[error("`{name}` in {} holds {found}, expected {expected}", path.display())]
    UnsupportedDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The element type in the file.
        found: String,
        /// The element types that would do.
        expected: &'static str,
    },

    /// The tensor has another shape than the caller needs.
    #[error("`{name}` in {} has shape {found:?}, expected {expected:?}", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that was asked for.
        expected: Vec<usize>,
    },

    /// The file could not be written. Whatever was at the path before is untouched.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system said.
        reason: io::Error,
    },

    /// A tensor handed over for writing has another size than its shape says.
    #[error(
        "cannot write `{name}`: shape {shape:?} of {dtype} does not take the {bytes} bytes given"
    )]
    WrongSize {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Its element type.
        dtype: DType,
        /// How many bytes came with it.
        bytes: usize,
    },

    /// The format keeps this name for something else than tensors.
    #[error("a tensor cannot be called `{name}`: safetensors files keep their metadata there")]
    ReservedName {
        /// The name.
        name: &'static str,
    },
}

impl Error {
    /// An [`Error::Read`] for `path`, to be handed to `map_err`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Read { path: path.to_owned(), reason }
    }

    /// An [`Error::Write`] for `path`, to be handed to `map_err`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Write { path: path.to_owned(), reason }
    }
}

fn did_you_mean(nearest: &[String]) -> String {
    let nearest: Vec<String> = nearest.iter().map(|name| printable(name)).collect();
    match &nearest[..] {
        [] => "; it holds no tensors at all".to_owned(),
        [one] => format!("; the nearest name is `{one}`"),
        many => format!("; the nearest names are `{}`", many.join("`, `")),
    }
}

/// How much text from a file goes into an error.
const LONGEST: usize = 600;

/// Text from a file as it can be shown: a name in it may be made to fill the screen, or have
/// control characters that a terminal obeys.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() > LONGEST {
            shown.push_str("...");
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// What is wrong with a file's content, before the file's path is known.
///
/// The readers work on bytes; [`Fault::at`] turns what they say into an [`Error`].
#[derive(Debug)]
pub(crate) enum Fault {
    /// See [`Error::Malformed`].
    Malformed(String),
    /// See [`Error::Unsupported`].
    Unsupported(String),
    /// See [`Error::UnsafePickle`].
    UnsafePickle(String),
}

impl Fault {
    pub(crate) fn malformed<T>(problem: impl Into<String>) -> std::result::Result<T, Self> {
        Err(Self::Malformed(problem.into()))
    }

    pub(crate) fn unsupported<T>(problem: impl Into<String>) -> std::result::Result<T, Self> {
        Err(Self::Unsupported(problem.into()))
    }

    /// The error that tells the user which file has this fault.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Malformed(problem) => Error::Malformed { path, problem: printable(&problem) },
            Self::Unsupported(problem) => Error::Unsupported { path, problem: printable(&problem) },
            Self::UnsafePickle(callable) => {
                Error::UnsafePickle { path, callable: printable(&callable) }
            }
        }
    }
}
