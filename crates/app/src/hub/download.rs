//! Fetching files, and finding out whether they arrived whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hf_hub::{
    Cache, CacheRepo,
    api::{
        Progress,
        sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata},
    },
};

use super::{Id, Settings};
use crate::{Error, Event, Events, Result, VERSION};

/// How often a download that was cut off is taken up again.
const RETRIES: usize = 3;

/// The digits of a SHA-256, which the hub gives as the tag of large files.
const SHA256: usize = 64;

/// A model at the hub.
pub(super) struct Hub {
    id: Id,
    endpoint: String,
    with_token: bool,
    remote: ApiRepo,
    api: Api,
    cache: CacheRepo,
}

impl Hub {
    pub fn new(id: &Id, settings: &Settings) -> Result<Self> {
        let api = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .with_retries(RETRIES)
            .with_progress(false)
            .with_user_agent("vico", VERSION)
            .build()
            .map_err(|e| Error::Hub { model: id.to_string(), what: e.to_string() })?;
        Ok(Self {
            id: id.clone(),
            endpoint: settings.endpoint.clone(),
            with_token: settings.token.is_some(),
            remote: api.repo(id.repo()),
            api,
            cache: Cache::new(settings.cache.clone()).repo(id.repo()),
        })
    }

    /// The names of all files of the model.
    pub fn files(&self) -> Result<Vec<String>> {
        let info = self.remote.info().map_err(|e| self.explain(&e))?;
        Ok(info.siblings.into_iter().map(|file| file.rfilename).collect())
    }

    /// Where a file lies in the cache, after it was fetched if need be.
    pub fn fetch(&self, file: &str, events: &mut dyn Events) -> Result<PathBuf> {
        if events.stopped() {
            return Err(personalize::Error::Stopped.into());
        }
        let url = self.remote.url(file);
        let remote = self.api.metadata(&url).map_err(|e| self.explain(&e))?;
        let blob = self.blob(&remote)?;
        let own = self.cache.pointer_path(remote.commit_hash()).join(file);
        if own.is_file() && arrived(&blob, &remote).is_ok() {
            self.cache.create_ref(remote.commit_hash()).map_err(|e| Error::path(&own, e))?;
            return Ok(own);
        }
        let watch = Watch { events, file: file.to_owned(), done: 0, total: 0 };
        let path = match self.remote.download_with_progress(file, watch) {
            Ok(path) => path,
            Err(error) => {
                if matches!(error, ApiError::InvalidResume) {
                    remove(&blob.with_extension("part"));
                }
                return Err(self.explain(&error));
            }
        };
        if let Err(what) = arrived(&blob, &remote) {
            remove(&path);
            remove(&blob);
            let what = format!("{file} arrived damaged ({what}) and was removed: try again");
            return Err(self.failure(what));
        }
        Ok(path)
    }

    /// Where the content of a file lies. Its name comes from the hub, so that
    /// it must be one.
    fn blob(&self, remote: &Metadata) -> Result<PathBuf> {
        let is_name = |text: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !text.is_empty() && text.chars().all(letter)
        };
        if is_name(remote.etag()) && is_name(remote.commit_hash()) {
            return Ok(self.cache.blob_path(remote.etag()));
        }
        let what = format!("{} does not answer as a hub does", self.endpoint);
        Err(self.failure(what))
    }

    fn failure(&self, what: String) -> Error {
        Error::Hub { model: self.id.to_string(), what }
    }

    fn explain(&self, error: &ApiError) -> Error {
        let Self { id, endpoint, .. } = self;
        let mut error = error;
        while let ApiError::TooManyRetries(inner) = error {
            error = inner;
        }
        let what = match error {
            ApiError::RequestError(request) => match **request {
                ureq::Error::StatusCode(401 | 403) if self.with_token => format!(
                    "{endpoint} refuses it to your HF_TOKEN: accept the model's terms there, or \
                     use another token"
                ),
                ureq::Error::StatusCode(401 | 403) => format!(
                    "{endpoint} refuses it: it is private, wants its terms accepted, or does not \
                     exist; set HF_TOKEN, or use another model"
                ),
                ureq::Error::StatusCode(404) => {
                    format!("{endpoint} has none of this name, and there is no folder {id} here")
                }
                ref other => format!(
                    "there is no folder {id} here, and {endpoint} cannot be reached ({other}): \
                     what was fetched is kept, try again; HF_HUB_OFFLINE=1 uses only that"
                ),
            },
            ApiError::IoError(error) => {
                format!("the download was cut off ({error}): what was fetched is kept, try again")
            }
            other => other.to_string(),
        };
        self.failure(what)
    }
}

/// Whether a file has the size and, where the hub tells, the SHA-256 it should.
fn arrived(blob: &Path, remote: &Metadata) -> std::result::Result<(), String> {
    let size = fs::metadata(blob).map_err(|e| e.to_string())?.len();
    if size != remote.size() as u64 {
        return Err(format!("{size} of {} bytes", remote.size()));
    }
    let tag = remote.etag();
    if tag.len() == SHA256 && tag.bytes().all(|b| b.is_ascii_hexdigit()) {
        let found = formats::sha256_of(blob).map_err(|e| e.to_string())?;
        if found != tag {
            return Err(format!("SHA-256 {found}, expected {tag}"));
        }
    }
    Ok(())
}

/// Removes a damaged file. If that fails, the next attempt finds it and says
/// what is wrong with it.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

/// A download as events.
struct Watch<'a> {
    events: &'a mut dyn Events,
    file: String,
    done: u64,
    total: u64,
}

impl Watch<'_> {
    fn show(&mut self) {
        let (file, done, total) = (self.file.clone(), self.done.min(self.total), self.total);
        self.events.event(&Event::Fetching { file, done, total });
    }
}

impl Progress for Watch<'_> {
    /// Each attempt begins so, with what is there as its first update.
    fn init(&mut self, size: usize, _filename: &str) {
        (self.done, self.total) = (0, size as u64);
        self.show();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.show();
    }

    fn finish(&mut self) {
        self.done = self.total;
        self.show();
    }
}
