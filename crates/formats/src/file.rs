//! Opening a weight file of any known format, and reading its tensors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::contents::Contents;
use crate::error::{Error, Fault, Result};
use crate::view::{Info, View};
use crate::{digest, dtype, safetensors, torch};

/// How many names an error offers for one that does not exist.
const SUGGESTIONS: usize = 3;

/// A weight file: named tensors that are read when they are asked for.
///
/// The file is mapped into memory, so that opening reads only its description, and threads
/// may read tensors at the same time. Whoever replaces the file by renaming, as
/// [`atomic_write`](crate::atomic_write) does, does not disturb its readers; whoever
/// overwrites it in place changes what they read.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Bytes,
    contents: Contents,
}

/// Where a file's bytes are.
#[derive(Debug)]
enum Bytes {
    Mapped { file: File, map: Mmap },
    Inside(&'static [u8]),
}

impl TensorFile {
    /// Opens a safetensors file or a PyTorch checkpoint, told apart by their content.
    ///
    /// In a checkpoint, tensors get the dotted path through the dictionaries and lists around
    /// them as names: `{"state_dict": {"a.b": tensor}}` holds `state_dict.a.b`. Values
    /// without tensors, such as a step count, are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::NotAFile`] if there is nothing to read at `path`;
    /// [`Error::UnknownFormat`], [`Error::Malformed`], [`Error::Unsupported`] and
    /// [`Error::UnsafePickle`] if the content is not as it should be.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let file = open_regular(&path)?;
        // SAFETY: the map is only read, as bytes, for which any value is valid. The bytes may
        // change or vanish only if another program overwrites or truncates the file in place;
        // `mapped` looks for the latter before each use.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::read(&path))?;
        let contents = parse(&map, &path)?;
        Ok(Self { path, bytes: Bytes::Mapped { file, map }, contents })
    }

    /// The same for a file that is part of the program; `path` is its name in errors.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), without those of reading.
    pub fn inside(path: impl AsRef<Path>, bytes: &'static [u8]) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let contents = parse(bytes, &path)?;
        Ok(Self { path, bytes: Bytes::Inside(bytes), contents })
    }

    /// The path under which the file was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.contents.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.contents.tensors.contains_key(name)
    }

    /// The element type and shape of a tensor.
    pub fn get(&self, name: &str) -> Option<&Info> {
        self.contents.tensors.get(name).map(|view| &view.info)
    }

    /// Type and shape of a tensor that must be there.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTensor`] with the nearest names.
    pub fn info(&self, name: &str) -> Result<&Info> {
        Ok(&self.view(name)?.info)
    }

    /// The texts that a safetensors file carries beside its tensors.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.contents.metadata
    }

    /// The elements of a tensor as `f32`, row-major.
    ///
    /// Halves, integers and truth values are widened; `f64` and integers beyond 2^24 are
    /// rounded.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes).
    pub fn f32(&self, name: &str) -> Result<Vec<f32>> {
        let view = self.view(name)?;
        let values = dtype::to_f32(view.info.dtype, &self.elements(name, view)?);
        self.forget(view);
        Ok(values)
    }

    /// The elements of an integer or truth value tensor as `i64`, row-major.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and [`Error::UnsupportedDtype`] if the elements are
    /// fractions or exceed the range of `i64`.
    pub fn i64(&self, name: &str) -> Result<Vec<i64>> {
        let view = self.view(name)?;
        dtype::to_i64(view.info.dtype, &self.elements(name, view)?).ok_or_else(|| {
            let found = view.info.dtype.to_string();
            self.unsupported_dtype(name, found, "integers within the range of I64")
        })
    }

    /// The elements of a tensor as they are stored, little-endian and row-major. They are
    /// borrowed from the file if they lie there in that order.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchTensor`]; [`Error::UnsupportedDtype`] if the tensor is sparse, quantized
    /// or of an exotic type; [`Error::Malformed`] if its checksum is wrong;
    /// [`Error::Read`] if the file has been truncated since it was opened.
    pub fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        self.elements(name, self.view(name)?)
    }

    /// Checks that a tensor has this shape.
    ///
    /// # Errors
    ///
    /// [`Error::WrongShape`] if it has another, and those of looking it up.
    pub fn expect_shape(&self, name: &str, expected: &[usize]) -> Result<()> {
        let found = &self.view(name)?.info.shape;
        if found == expected {
            return Ok(());
        }
        Err(Error::WrongShape {
            path: self.path.clone(),
            name: name.to_owned(),
            found: found.clone(),
            expected: expected.to_vec(),
        })
    }

    /// The SHA-256 of the whole file, in lower-case hexadecimal.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file has been truncated since it was opened.
    pub fn sha256(&self) -> Result<String> {
        self.mapped().map(digest::sha256)
    }

    /// Lets the system take back the pages of a tensor whose values were copied. Whoever reads
    /// a model of gigabytes would otherwise hold it twice until the file is closed.
    fn forget(&self, view: &View) {
        #[cfg(unix)]
        if let Bytes::Mapped { map, .. } = &self.bytes {
            let span = view.span();
            // SAFETY: the map is of a file and only ever read, so pages that are touched again
            // are read from the file again and hold the same bytes. A refusal changes nothing.
            let _ = unsafe {
                let advice = memmap2::UncheckedAdvice::DontNeed;
                map.unchecked_advise_range(advice, span.start, span.len())
            };
        }
    }

    /// The bytes of the file. Touching the map of a file that has become shorter would end
    /// the process, hence the look at its length.
    fn mapped(&self) -> Result<&[u8]> {
        let (file, map) = match &self.bytes {
            Bytes::Mapped { file, map } => (file, map),
            Bytes::Inside(bytes) => return Ok(bytes),
        };
        let length = file.metadata().map_err(Error::read(&self.path))?.len();
        if length < map.len() as u64 {
            let shrunk = std::io::Error::other(format!(
                "it had {} bytes when it was opened and has {length} now",
                map.len()
            ));
            return Err(Error::read(&self.path)(shrunk));
        }
        Ok(map)
    }

    fn elements(&self, name: &str, view: &View) -> Result<Cow<'_, [u8]>> {
        view.read(self.mapped()?)
            .map_err(|problem| Fault::Malformed(format!("`{name}`: {problem}")).at(&self.path))
    }

    fn view(&self, name: &str) -> Result<&View> {
        if let Some(view) = self.contents.tensors.get(name) {
            return Ok(view);
        }
        Err(match self.contents.unreadable.get(name) {
            Some(kind) => self.unsupported_dtype(
                name,
                kind.clone(),
                "a dense tensor of F64, F32, F16, BF16, integers or BOOL",
            ),
            None => Error::NoSuchTensor {
                path: self.path.clone(),
                name: name.to_owned(),
                nearest: self.nearest(name),
            },
        })
    }

    fn unsupported_dtype(&self, name: &str, found: String, expected: &'static str) -> Error {
        Error::UnsupportedDtype { path: self.path.clone(), name: name.to_owned(), found, expected }
    }

    /// The most similar names. One that ends alike comes first: a prefix such as
    /// `state_dict.` is what differs most often.
    fn nearest(&self, name: &str) -> Vec<String> {
        let mut names: Vec<&str> = self.names().collect();
        names.sort_by_cached_key(|known| {
            let ends_alike = known.ends_with(name) || name.ends_with(known);
            (!ends_alike, strsim::levenshtein(known, name))
        });
        names.into_iter().take(SUGGESTIONS).map(str::to_owned).collect()
    }
}

/// Opens a file, but not a folder, nor a pipe on which it would wait for ever.
fn open_regular(path: &Path) -> Result<File> {
    let kind = fs::metadata(path).map_err(Error::read(path))?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() { "a folder" } else { "a device, pipe or socket" };
        return Err(Error::NotAFile { path: path.to_owned(), found });
    }
    File::open(path).map_err(Error::read(path))
}

fn parse(bytes: &[u8], path: &Path) -> Result<Contents> {
    let parsed = if torch::is_archive(bytes) {
        torch::read_archive(bytes)
    } else if safetensors::is_safetensors(bytes) {
        safetensors::read(bytes)
    } else if torch::is_stream(bytes) {
        torch::read_stream(bytes)
    } else if let Some(callable) = torch::calls(bytes) {
        Err(Fault::UnsafePickle(callable))
    } else {
        return Err(Error::UnknownFormat { path: path.to_owned(), found: describe(bytes) });
    };
    parsed.map_err(|fault| fault.at(path))
}

/// What a file seems to be that is none of ours. The first two are what a failed download of
/// weights leaves behind.
fn describe(bytes: &[u8]) -> String {
    let known = match bytes {
        [] => "an empty file",
        [b'<', ..] => "a web page or XML",
        _ if bytes.starts_with(b"version https://git-lfs") => {
            "a Git LFS pointer (fetch the file itself with `git lfs pull`)"
        }
        _ if bytes.starts_with(b"GGUF") => "a GGUF model",
        _ if bytes.starts_with(b"\x89HDF") => "an HDF5 file",
        _ if bytes.get(257..262) == Some(b"ustar") => {
            "a tar archive (PyTorch wrote such before 2017: load it and save it again)"
        }
        _ => {
            let start = &bytes[..bytes.len().min(8)];
            return format!("a file that starts with {}", start.escape_ascii());
        }
    };
    known.to_owned()
}
