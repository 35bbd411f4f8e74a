//! Seconds and memory of a cell.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, estimate::peak_memory};

const FILE: &str = "costs.json";

/// What a cell took so far. The seconds of a part that was killed are not in it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Costs {
    /// Of the training, pictures of the class included.
    pub training_seconds: f64,
    /// The most memory of the process in it, if the system tells.
    pub training_bytes: Option<u64>,
    /// Of drawing.
    pub drawing_seconds: f64,
    /// The most memory of the process in it.
    pub drawing_bytes: Option<u64>,
    /// Pictures that were drawn.
    pub pictures: usize,
}

/// A part of the work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Training,
    Drawing,
}

impl Costs {
    /// Reads those of a cell's folder; none if it has no file of them.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = fs::read(&path).map_err(|e| Error::path(&path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| Error::path(&path, e))
    }

    /// Writes them there.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::path(&path, e))?;
        Ok(formats::atomic_write(path, |file| file.write_all(&json))?)
    }

    /// Adds a part's seconds, and its peak of memory if that began anew with it.
    pub fn add(&mut self, part: Part, seconds: f64, peak_is_its: bool) {
        let (all, most) = match part {
            Part::Training => (&mut self.training_seconds, &mut self.training_bytes),
            Part::Drawing => (&mut self.drawing_seconds, &mut self.drawing_bytes),
        };
        *all += seconds;
        *most = peak_memory().filter(|_| peak_is_its).max(*most);
    }
}
