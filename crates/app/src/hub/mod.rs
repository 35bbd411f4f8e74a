//! Models of the Hugging Face hub: found in the cache that other programs share,
//! or fetched into it, file by file, and only the files that are needed.

mod download;
mod id;
mod kind;
mod settings;

use std::{
    fs,
    path::{Path, PathBuf},
};

use hf_hub::{Cache, CacheRepo};

use crate::{Error, Events, Result, estimate::size_text};
use download::Hub;
use settings::Settings;

pub use id::Id;
pub(crate) use kind::{BASE, ENCODER, Kind};

/// Where a model of the hub lies: a folder, or the file that was named. It is
/// fetched unless the cache has all of it.
///
/// # Errors
/// If it is not in the cache and cannot be fetched; says why.
pub(crate) fn find(id: &Id, kind: &Kind, events: &mut dyn Events) -> Result<PathBuf> {
    let settings = Settings::from_env()?;
    match cached(id, kind, &settings) {
        Some(path) => Ok(path),
        None => fetch(id, Some(kind), &settings, events),
    }
}

/// `vico models pull`: fetches a model, or what changed of it.
///
/// # Errors
/// If it cannot be fetched.
pub fn pull(id: &Id, events: &mut dyn Events) -> Result<PathBuf> {
    let settings = Settings::from_env()?;
    let path = fetch(id, None, &settings, events)?;
    events.note(format!("{id} lies in {}", path.display()));
    Ok(path)
}

/// `vico models list`: the models in the cache, a line each.
///
/// # Errors
/// If the place of the cache is unknown.
pub fn list() -> Result<Vec<String>> {
    let settings = Settings::from_env()?;
    let entries = fs::read_dir(&settings.cache).into_iter().flatten().flatten();
    let mut models: Vec<Id> =
        entries.filter_map(|entry| Id::of_folder(entry.file_name().to_str()?)).collect();
    models.sort();
    let line = |id: &Id| {
        let repo = settings.cache.join(id.folder());
        let whole = [BASE, ENCODER].into_iter().find(|k| cached(id, k, &settings).is_some());
        let kind = whole.map_or("not all that a model needs", |kind| kind.name);
        format!("{id}  {}  {kind}", size_text(size(&repo.join("blobs"))))
    };
    let mut lines: Vec<String> = models.iter().map(line).collect();
    lines.push(format!("{} models in {}", models.len(), settings.cache.display()));
    Ok(lines)
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
}

/// A model all of whose needed files are in the cache.
fn cached(id: &Id, kind: &Kind, settings: &Settings) -> Option<PathBuf> {
    let repo = cache(id, settings);
    if let Some(file) = &id.file {
        return repo.get(file);
    }
    let first = kind.whole(|name| repo.get(name).is_some())?;
    Some(snapshot(first, &repo.get(first)?))
}

fn cache(id: &Id, settings: &Settings) -> CacheRepo {
    Cache::new(settings.cache.clone()).repo(id.repo())
}

/// The folder of a model, by where one of its files lies.
fn snapshot(name: &str, file: &Path) -> PathBuf {
    let depth = name.split('/').count();
    file.ancestors().nth(depth).expect("the file's path ends in its name").to_owned()
}

/// Fetches a model; without a kind, one of the kind that its files tell.
fn fetch(
    id: &Id,
    kind: Option<&Kind>,
    settings: &Settings,
    events: &mut dyn Events,
) -> Result<PathBuf> {
    if settings.offline {
        return Err(Error::Hub {
            model: id.to_string(),
            what: format!(
                "there is no folder of that name here, not all of it is in {}, and \
                 HF_HUB_OFFLINE is set: fetch it once without",
                settings.cache.display()
            ),
        });
    }
    let hub = Hub::new(id, settings)?;
    let files = match &id.file {
        Some(file) => vec![file.clone()],
        None => {
            let files = hub.files()?;
            kind.unwrap_or(&Kind::of(&files)).needed(id, &files)?
        }
    };
    let mut first = None;
    for file in &files {
        let path = hub.fetch(file, events)?;
        first.get_or_insert(path);
    }
    let first = first.expect("at least one file is needed");
    Ok(if id.file.is_some() { first } else { snapshot(&files[0], &first) })
}
