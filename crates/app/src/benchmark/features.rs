//! What encoders saw in the pictures of the cells, kept beside them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use evaluate::Encoder;
use formats::{Array, TensorFile, write_safetensors};
use images::read_photo;

use super::cell::Cell;
use crate::{Error, Event, Events, Result};

/// Rows of features.
type Rows = Vec<Vec<f32>>;

const ROWS: &str = "features";
const PICTURES: &str = "pictures";

/// Pictures that are read and encoded at once.
const AT_ONCE: usize = 16;

/// The features of each cell's pictures, prompt by prompt; those that were seen before
/// are read.
///
/// # Errors
/// If a picture cannot be read, features cannot be written, or the run is to stop; what
/// was seen is kept.
pub(super) fn of_cells(
    cells: &[&Cell],
    encoder: &Encoder,
    events: &mut dyn Events,
) -> Result<Vec<Rows>> {
    let total = cells.iter().map(|cell| cell.pictures().iter().flatten().count()).sum();
    let mut progress = Progress { done: 0, total, events };
    cells.iter().map(|cell| of_cell(cell, encoder, &mut progress)).collect()
}

/// The features of a cell's pictures, as they were kept, or seen now and kept.
fn of_cell(cell: &Cell, encoder: &Encoder, progress: &mut Progress) -> Result<Rows> {
    let files: Vec<PathBuf> = cell.pictures().into_iter().flatten().collect();
    let digest = digest(&files)?;
    let path = path(cell, encoder);
    if let Some(rows) = kept(&path, &digest, files.len())? {
        progress.add(files.len())?;
        return Ok(rows);
    }
    let mut rows = Rows::with_capacity(files.len());
    for files in files.chunks(AT_ONCE) {
        let pictures = files.iter().map(read_photo).collect::<images::Result<Vec<_>>>()?;
        rows.extend(encoder.pictures(&pictures));
        progress.add(files.len())?;
    }
    keep(&path, &rows, digest)?;
    Ok(rows)
}

/// How many of all pictures were looked at.
struct Progress<'a> {
    done: usize,
    total: usize,
    events: &'a mut dyn Events,
}

impl Progress<'_> {
    fn add(&mut self, count: usize) -> Result<()> {
        self.done += count;
        self.events.event(&Event::Judging { done: self.done, total: self.total });
        match self.events.stopped() {
            true => Err(Error::from(personalize::Error::Stopped)),
            false => Ok(()),
        }
    }
}

/// The file of a cell and an encoder.
fn path(cell: &Cell, encoder: &Encoder) -> PathBuf {
    let sha256 = &encoder.description().sha256;
    let short = sha256.get(..12).unwrap_or(sha256);
    cell.folder.join(format!("features-{short}.safetensors"))
}

/// Says which pictures they are.
fn digest(files: &[PathBuf]) -> Result<String> {
    let digests = files.iter().map(formats::sha256_of).collect::<formats::Result<Vec<_>>>()?;
    Ok(digests.join(" "))
}

/// The features in a file, if they are those of the pictures.
fn kept(path: &Path, digest: &str, count: usize) -> Result<Option<Rows>> {
    if !path.exists() {
        return Ok(None);
    }
    let file = TensorFile::open(path)?;
    if file.metadata().get(PICTURES).is_none_or(|kept| kept != digest) {
        return Ok(None);
    }
    let values = file.f32(ROWS)?;
    let width = values.len() / count.max(1);
    Ok(Some(values.chunks(width.max(1)).map(<[f32]>::to_vec).collect()))
}

fn keep(path: &Path, rows: &[Vec<f32>], digest: String) -> Result<()> {
    let width = rows.first().map_or(0, Vec::len);
    let values: Vec<f32> = rows.concat();
    let arrays = BTreeMap::from([(ROWS.to_owned(), Array::f32(&[rows.len(), width], &values))]);
    let metadata = BTreeMap::from([(PICTURES.to_owned(), digest)]);
    Ok(write_safetensors(path, &arrays, &metadata)?)
}
