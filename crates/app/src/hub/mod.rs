//! Models of the Hugging Face hub: found in the cache that other programs share,
//! or fetched into it, file by file, and only the files that are needed.

mod download;
mod id;
mod settings;

use std::{
    fs,
    path::{Path, PathBuf},
};

use diffusion::base::folder::{CONFIGS, OPTIONAL, WEIGHTS};
use hf_hub::{Cache, CacheRepo};

use crate::{Error, Events, Result, estimate::size_text};
use download::Hub;
use settings::Settings;

pub use id::Id;

/// Where a model of the hub lies: a folder, or the file that was named. It is
/// fetched unless the cache has all of it.
///
/// # Errors
/// If it is not in the cache and cannot be fetched; says why.
pub(crate) fn find(id: &Id, events: &mut dyn Events) -> Result<PathBuf> {
    let settings = Settings::from_env()?;
    match cached(id, &settings) {
        Some(path) => Ok(path),
        None => fetch(id, &settings, events),
    }
}

/// `vico models pull`: fetches a model, or what changed of it.
///
/// # Errors
/// If it cannot be fetched.
pub fn pull(id: &Id, events: &mut dyn Events) -> Result<PathBuf> {
    let settings = Settings::from_env()?;
    let path = fetch(id, &settings, events)?;
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
        let kind = match cached(id, &settings) {
            Some(_) => "a base model",
            None => "not all that a base model needs",
        };
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
fn cached(id: &Id, settings: &Settings) -> Option<PathBuf> {
    let repo = cache(id, settings);
    if let Some(file) = &id.file {
        return repo.get(file);
    }
    let have = |name: &&str| repo.get(name).is_some();
    let whole = CONFIGS.iter().all(&have) && WEIGHTS.iter().all(|names| names.iter().any(&have));
    let config = repo.get(CONFIGS[0]).filter(|_| whole)?;
    snapshot(&config)
}

fn cache(id: &Id, settings: &Settings) -> CacheRepo {
    Cache::new(settings.cache.clone()).repo(id.repo())
}

/// The folder of a model, by its `unet/config.json`.
fn snapshot(config: &Path) -> Option<PathBuf> {
    config.parent()?.parent().map(Path::to_owned)
}

fn fetch(id: &Id, settings: &Settings, events: &mut dyn Events) -> Result<PathBuf> {
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
        None => needed(id, &hub.files()?)?,
    };
    let mut first = None;
    for file in &files {
        let path = hub.fetch(file, events)?;
        first.get_or_insert(path);
    }
    let first = first.expect("at least one file is needed");
    Ok(if id.file.is_some() { first } else { snapshot(&first).expect("it lies two deep") })
}

/// The files of a repository that are needed, `unet/config.json` first.
fn needed(id: &Id, files: &[String]) -> Result<Vec<String>> {
    let has = |name: &str| files.iter().any(|file| file == name);
    let missing = |name: &str| {
        let single = files.iter().find(|file| {
            !file.contains('/') && (file.ends_with(".safetensors") || file.ends_with(".ckpt"))
        });
        let advice = match single {
            Some(file) => format!("; it has {file}: name it as {id}/{file}"),
            None => String::new(),
        };
        let what = format!("it is no Stable Diffusion model for diffusers: no {name}{advice}");
        Error::Hub { model: id.to_string(), what }
    };
    let mut needed = Vec::new();
    for name in CONFIGS {
        has(name).then(|| needed.push(name.to_owned())).ok_or_else(|| missing(name))?;
    }
    needed.extend(OPTIONAL.iter().filter(|name| has(name)).map(|name| (*name).to_owned()));
    for names in WEIGHTS {
        let best = names.iter().find(|name| has(name)).ok_or_else(|| missing(names[0]))?;
        needed.push((*best).to_owned());
    }
    Ok(needed)
}
