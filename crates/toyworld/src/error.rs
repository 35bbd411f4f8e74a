//! What can go wrong with the pictures of the objects, in sentences a user can act on.

use std::io;
use std::path::PathBuf;

use crate::sprite::SIDE;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// The pictures of the world's objects could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder does not exist or is something else.
    #[error("{} is not a folder with the pictures of the objects: {}", path.display(), HINT)]
    NoFolder {
        /// The path that was given.
        path: PathBuf,
    },

    /// The folder lacks a picture.
    #[error(
        "the picture of the {object}, {file}, is missing in {}: {}", folder.display(), HINT
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file that was looked for.
        file: String,
        /// What it shows.
        object: String,
    },

    /// The operating system refused to read a picture.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        reason: io::Error,
    },

    /// A picture is no WebP file, or a damaged one.
    #[error("{} cannot be decoded as WebP ({reason}): unpack the package again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        #[source]
        reason: image::ImageError,
    },

    /// A picture has another size than those of the package.
    #[error(
        "{} has {width}x{height} pixels, {SIDE}x{SIDE} were expected: {}", path.display(), HINT
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },

    /// A picture shows nothing.
    #[error("{} is transparent everywhere: unpack the package again", path.display())]
    Blank {
        /// The file.
        path: PathBuf,
    },

    /// There is no object of this name in the list.
    #[error("the world has no object called `{name}`: see the list in assets/objects.toml")]
    UnknownObject {
        /// The name that was asked for.
        name: String,
    },
}

/// Where the pictures come from.
const HINT: &str = "get the pictures with `npm pack @lobehub/fluent-emoji-3d@1.1.0`, unpack the \
                    archive, and give its folder package/assets";
