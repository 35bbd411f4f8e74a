//! Everything that can go wrong with a photo, in sentences a user can act on.

use std::io;
use std::path::{Path, PathBuf};

use crate::limits::{MAX_FILE_BYTES, MAX_FOLDER_PHOTOS, MAX_FOLDER_PIXELS, MAX_PIXELS, MIN_SIDE};
use crate::photo::Format;

/// The result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// A photo or folder that could not be read, or a picture that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: a missing file, missing rights, a failing disk.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file or folder that was asked for.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        reason: io::Error,
    },

    /// The path exists, but is something else than was asked for.
    #[error("cannot read {}: it is {found}, {expected} was expected", path.display())]
    WrongKind {
        /// The path that was asked for.
        path: PathBuf,
        /// What is there, such as "a folder".
        found: &'static str,
        /// What should be there, such as "a photo".
        expected: &'static str,
    },

    /// The file has no bytes.
    #[error(
        "{} is empty (0 bytes): copy the photo again, or remove the file", path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// The file is longer than any photo within the limits has to be.
    #[error(
        "{} has {} MiB, photos of at most {} MiB are read: save it as a JPEG",
        path.display(), bytes >> 20, MAX_FILE_BYTES >> 20
    )]
    FileTooBig {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
    },

    /// The content is in none of the formats that are read.
    #[error(
        "{} is not a photo that can be read: found {found}, expected JPEG, PNG or WebP{}",
        path.display(), advice(found)
    )]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// The name of the format found, or what its first bytes look like.
        found: String,
    },

    /// The picture has more pixels than is allowed. It was not decoded.
    #[error(
        "{} has {width}x{height} pixels ({} megapixels), the limit is {} megapixels: scale it down",
        path.display(), megapixels(u64::from(*width) * u64::from(*height)), megapixels(MAX_PIXELS)
    )]
    TooManyPixels {
        /// The file.
        path: PathBuf,
        /// The width that its header gives.
        width: u32,
        /// The height that its header gives.
        height: u32,
    },

    /// The picture has too few pixels to be a photo of something.
    #[error(
        "{} has only {width}x{height} pixels, at least {MIN_SIDE} a side are needed: is it an icon \
         or a thumbnail? Use the original photo",
        path.display()
    )]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// The width that its header gives.
        width: u32,
        /// The height that its header gives.
        height: u32,
    },

    /// The file begins as a photo does, but ends before the picture does.
    #[error(
        "{} is a {format} cut short: the file ends in the middle of the picture. Copy or download \
         it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The format, such as "JPEG".
        format: &'static str,
    },

    /// The content is damaged, or of a variety that the decoder does not know.
    #[error(
        "{} is a {format} that cannot be decoded ({problem}): open it in a picture viewer and save \
         it again as PNG or JPEG, or leave it out",
        path.display()
    )]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// The format, such as "JPEG".
        format: &'static str,
        /// What the decoder found.
        problem: String,
    },

    /// The folder has nothing in it.
    #[error("the folder {} is empty: put JPEG, PNG or WebP photos in it", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },

    /// The folder holds files, but no photo.
    #[error(
        "the folder {} holds no photo (skipped: {}): put JPEG, PNG or WebP photos in it",
        path.display(), skipped_list(skipped)
    )]
    NoPhotos {
        /// The folder.
        path: PathBuf,
        /// What it holds, with the reasons why it was passed over.
        skipped: Vec<(PathBuf, String)>,
    },

    /// The folder holds more photos than are read at once.
    #[error(
        "the folder {} holds {count} photos, at most {MAX_FOLDER_PHOTOS} are read: choose the best",
        path.display()
    )]
    TooManyPhotos {
        /// The folder.
        path: PathBuf,
        /// How many files in it look like photos.
        count: usize,
    },

    /// The photos of a folder are, taken together, larger than is held in memory at once.
    #[error(
        "the photos in {} have together more than {} megapixels, the limit for a folder: use fewer \
         photos, or scale them down",
        path.display(), megapixels(MAX_FOLDER_PIXELS)
    )]
    FolderTooBig {
        /// The folder.
        path: PathBuf,
    },

    /// A mask is not of its photo's size.
    #[error(
        "{} has {}x{} pixels, its photo {}x{} (upright): draw the mask at the photo's size",
        path.display(), found.0, found.1, expected.0, expected.1
    )]
    MaskSize {
        /// The mask.
        path: PathBuf,
        /// Its width and height.
        found: (usize, usize),
        /// Those of the photo.
        expected: (usize, usize),
    },

    /// A mask leaves nothing.
    #[error("{} has no white: paint the object white and the rest black", path.display())]
    EmptyMask {
        /// The mask.
        path: PathBuf,
    },

    /// A mask lies beside no photo.
    #[error(
        "{} is a mask, but there is no photo of that name beside it (toy.mask.png belongs to \
         toy.jpg): rename it",
        path.display()
    )]
    MaskWithoutPhoto {
        /// The mask.
        path: PathBuf,
    },

    /// The file could not be written. Whatever was at the path before is untouched.
    #[error(transparent)]
    Write(#[from] formats::Error),

    /// A PNG cannot hold this text.
    #[error("the text `{keyword}` cannot be stored in a PNG: {problem}")]
    BadText {
        /// The keyword that was to be written.
        keyword: String,
        /// Which rule of the format it breaks.
        problem: &'static str,
    },
}

impl Error {
    /// An [`Error::Read`] for `path`, to be handed to `map_err`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self::Read { path: path.to_owned(), reason }
    }

    /// An [`Error::Undecodable`] for the photo at `path`.
    pub(crate) fn undecodable(path: &Path, format: Format, problem: impl ToString) -> Self {
        let problem = problem.to_string();
        Self::Undecodable { path: path.to_owned(), format: format.name(), problem }
    }
}

/// How to get from a format that is not read to one that is.
fn advice(found: &str) -> &'static str {
    match found {
        "HEIC" => {
            ". Convert it, for example with `heif-convert photo.heic photo.jpg`, or set an iPhone \
             to Settings > Camera > Formats > Most Compatible"
        }
        "AVIF" => ". Convert it, for example with `avifdec photo.avif photo.png`",
        "no known format" => "",
        _ => ". Save it as one of these in a picture program",
    }
}

fn megapixels(pixels: u64) -> String {
    let tenths = pixels.div_ceil(100_000);
    if tenths.is_multiple_of(10) {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

fn skipped_list(skipped: &[(PathBuf, String)]) -> String {
    const SHOWN: usize = 5;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let shown = skipped.iter().take(SHOWN).map(|(path, why)| format!("{}, {why}", name(path)));
    let mut list = shown.collect::<Vec<_>>().join("; ");
    if skipped.len() > SHOWN {
        list += &format!("; and {} more", skipped.len() - SHOWN);
    }
    list
}
