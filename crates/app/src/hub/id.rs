use std::{fmt, path::Path, str::FromStr};

use hf_hub::{Repo, RepoType};

use crate::{Error, Result};

/// A model at the hub: `OWNER/NAME`, at another revision than `main`
/// `OWNER/NAME@REVISION`, or one file of it `OWNER/NAME/FILE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    owner: String,
    name: String,
    revision: Option<String>,
    /// One file in place of a whole model.
    pub(super) file: Option<String>,
}

/// What begins the names of models in the cache.
const MODELS: &str = "models--";

impl Id {
    /// What was typed as a base model, if it is no path that exists.
    pub(crate) fn of_base(path: &Path) -> Option<Self> {
        if path.exists() { None } else { path.to_str()?.parse().ok() }
    }

    /// `models--OWNER--NAME`, as the cache calls it.
    pub(super) fn folder(&self) -> String {
        self.repo().folder_name()
    }

    pub(super) fn of_folder(folder: &str) -> Option<Self> {
        folder.strip_prefix(MODELS)?.replacen("--", "/", 1).parse().ok()
    }

    pub(super) fn repo(&self) -> Repo {
        let id = format!("{}/{}", self.owner, self.name);
        let revision = self.revision.clone().unwrap_or_else(|| "main".into());
        Repo::with_revision(id, RepoType::Model, revision)
    }

    /// The name of the model without its owner.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))?;
        self.file.iter().try_for_each(|file| write!(f, "/{file}"))
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::Usage(format!(
                "\"{text}\" is no model of the hub: expected OWNER/NAME, such as \
                 stable-diffusion-v1-5/stable-diffusion-v1-5"
            ))
        };
        // Letters that the hub allows; names of paths such as `./x` and `../x` are none.
        let word = |word: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let first = word.chars().next();
            first.is_some_and(|c| c.is_ascii_alphanumeric()) && word.chars().all(letter)
        };
        let (owner, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (name, file) = match rest.split_once('/') {
            Some((name, file)) => (name, Some(file)),
            None => (rest, None),
        };
        let (name, revision) = match name.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (name, None),
        };
        let inside = file.into_iter().flat_map(|file| file.split('/'));
        if ![owner, name].into_iter().chain(revision).chain(inside).all(word) {
            return Err(wrong());
        }
        Ok(Self {
            owner: owner.into(),
            name: name.into(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_they_are_typed() {
        for text in [
            "CompVis/stable-diffusion-v1-4",
            "stable-diffusion-v1-5/stable-diffusion-v1-5@fp16",
            "owner/name/v1-5-pruned.safetensors",
            "owner/name@main/folder/v1-5.ckpt",
        ] {
            let id: Id = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
        let id: Id = "CompVis/stable-diffusion-v1-4".parse().unwrap();
        assert_eq!(id.folder(), "models--CompVis--stable-diffusion-v1-4");
        assert_eq!(Id::of_folder(&id.folder()), Some(id));
        for wrong in
            ["model", "./model/x", "../x", "/a/b", "a/../b", "a//b", "a/b/../../c", "a/b@", "~/x"]
        {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
