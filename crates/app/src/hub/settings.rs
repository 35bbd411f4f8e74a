use std::{env, fs, path::PathBuf};

use crate::{Error, Result};

/// Where the hub and its cache are, by the variables that `huggingface_hub`
/// reads too.
pub(super) struct Settings {
    /// `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub cache: PathBuf,
    /// `HF_TOKEN`, else the content of `HF_HOME/token`.
    pub token: Option<String>,
    /// `HF_ENDPOINT`, else the hub's own.
    pub endpoint: String,
    /// `HF_HUB_OFFLINE`: nothing is fetched.
    pub offline: bool,
}

const ENDPOINT: &str = "https://huggingface.co";

impl Settings {
    /// # Errors
    /// If neither the variables nor a home folder say where the cache is.
    pub fn from_env() -> Result<Self> {
        Self::new(|name| env::var(name).ok().filter(|value| !value.is_empty()), env::home_dir())
    }

    fn new(get: impl Fn(&str) -> Option<String>, user: Option<PathBuf>) -> Result<Self> {
        let folder = |name: &str| get(name).map(PathBuf::from);
        let caches = folder("XDG_CACHE_HOME").or(user.map(|user| user.join(".cache")));
        let home = folder("HF_HOME").or(caches.map(|caches| caches.join("huggingface")));
        let cache = folder("HF_HUB_CACHE").or(home.as_ref().map(|home| home.join("hub")));
        let token_file = home.map(|home| home.join("token"));
        let saved = || fs::read_to_string(token_file?).ok();
        let token = get("HF_TOKEN").or_else(saved).map(|token| token.trim().to_owned());
        let is_on = |value: String| matches!(&*value.to_uppercase(), "1" | "ON" | "YES" | "TRUE");
        Ok(Self {
            cache: cache.ok_or_else(|| {
                let advice = "there is no home folder for the cache of models: set HF_HOME";
                Error::Usage(advice.into())
            })?,
            token: token.filter(|token| !token.is_empty()),
            endpoint: get("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into()),
            offline: get("HF_HUB_OFFLINE").is_some_and(is_on),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&str, &str)]) -> Settings {
        let get = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::new(get, Some("/home/a".into())).unwrap()
    }

    #[test]
    fn variables_that_other_programs_read() {
        let plain = settings(&[]);
        assert_eq!(plain.cache, PathBuf::from("/home/a/.cache/huggingface/hub"));
        assert_eq!((plain.endpoint.as_str(), plain.offline), (ENDPOINT, false));
        assert_eq!(
            settings(&[("XDG_CACHE_HOME", "/c")]).cache,
            PathBuf::from("/c/huggingface/hub")
        );
        let both = [("HF_HOME", "/h"), ("HF_TOKEN", " secret\n"), ("HF_HUB_OFFLINE", "yes")];
        let both = settings(&both);
        assert_eq!((both.cache, both.offline), (PathBuf::from("/h/hub"), true));
        assert_eq!(both.token.as_deref(), Some("secret"));
        let cache = settings(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/k")]).cache;
        assert_eq!(cache, PathBuf::from("/k"));
    }
}
