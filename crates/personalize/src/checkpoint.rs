//! Checkpoints of a training: an adapter file that also holds the optimizer's
//! state, so that a resumed run continues to the same bits.

use std::{collections::BTreeMap, path::Path};

use engine::{
    Device,
    optim::{AdamW, Moments},
};
use formats::TensorFile;

use crate::{Adapter, Error, Result, trainer::optimizer_config};

/// What begins the names of the optimizer's tensors.
pub(crate) const OPTIMIZER: &str = "optimizer.";
const FIRST: &str = ".first";
const SECOND: &str = ".second";

/// Writes a checkpoint, whole or not at all.
pub fn save(path: &Path, adapter: &Adapter, optimizer: &AdamW) -> Result<()> {
    let mut more = BTreeMap::new();
    for (name, moments) in optimizer.moments() {
        more.insert(format!("{OPTIMIZER}{name}{FIRST}"), moments.first.as_slice());
        more.insert(format!("{OPTIMIZER}{name}{SECOND}"), moments.second.as_slice());
    }
    let kind = ("vico.checkpoint".to_owned(), "training".to_owned());
    adapter.save_with(path, &more, &BTreeMap::from([kind]))
}

/// Reads a checkpoint: the adapter as it was, and the optimizer.
///
/// # Errors
/// If the file is no checkpoint, or its parts do not fit together.
pub fn load(path: &Path, device: &Device) -> Result<(Adapter, AdamW)> {
    let adapter = Adapter::load(path, device)?;
    let file = TensorFile::open(path)?;
    let mut moments = BTreeMap::new();
    for (name, param) in adapter.params.iter() {
        let read = |which: &str| -> Result<Vec<f32>> {
            let name = format!("{OPTIMIZER}{name}{which}");
            file.expect_shape(&name, &[param.len()])?;
            Ok(file.f32(&name)?)
        };
        let one = Moments { first: read(FIRST)?, second: read(SECOND)? };
        moments.insert(name.to_owned(), one);
    }
    if moments.is_empty() {
        let what = "it holds nothing that was learned".into();
        return Err(Error::Adapter { path: path.to_owned(), what });
    }
    let config = optimizer_config(&adapter.info.recipe);
    let optimizer = AdamW::resume(config, adapter.info.step, moments);
    Ok((adapter, optimizer))
}
