//! Replacing a file as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// Writes a file so that at every moment `path` holds either what it held before or all of
/// the new content, even if the process is killed or the power fails.
///
/// `write` fills a temporary file in the same folder, which is then brought to the disk and
/// renamed. A new file gets the rights that the user's umask grants, a replaced one keeps
/// those it had. A symbolic link is replaced, not followed.
///
/// # Errors
///
/// [`Error::Write`] if `write` fails, or if the file cannot be made, filled or renamed. The
/// old file is then untouched and no temporary file is left.
pub fn atomic_write(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    replace(path.as_ref(), |file| write(file))
}

/// As [`atomic_write`], for formats that are not written from front to back.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> io::Result<()>,
) -> Result<()> {
    fill_and_rename(path, write).map_err(Error::write(path))
}

fn fill_and_rename(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path)?;
    let file = beside(path, &folder)?;
    let mut buffered = BufWriter::with_capacity(1 << 20, file);
    write(&mut buffered)?;
    let file = buffered.into_inner()?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(&folder);
    Ok(())
}

/// The folder in which `path` is to be written.
fn folder_of(path: &Path) -> io::Result<PathBuf> {
    if path.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if !folder.is_dir() {
        let missing = format!("the folder {} does not exist", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, missing));
    }
    Ok(folder)
}

/// A hidden temporary file that removes itself unless it is renamed to `path`.
fn beside(path: &Path, folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".tmp-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder)?;
    if let Ok(old) = fs::metadata(path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    Ok(file)
}

/// Brings the new name to the disk, which POSIX leaves to the folder. The file is in place by
/// now, so that a file system on which folders cannot be synchronised is no failure.
fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}
