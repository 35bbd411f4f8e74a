use diffusion::base::folder::{CONFIGS, OPTIONAL, WEIGHTS};
use evaluate::encoder;

use super::Id;
use crate::{Error, Result};

/// The files that a kind of model consists of.
pub(crate) struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// Files without which it is none; the first tells where the model lies.
    configs: &'static [&'static str],
    /// Files that are read where there are any.
    optional: &'static [&'static str],
    /// The names that the weights of each part may have, the best first.
    weights: &'static [&'static [&'static str]],
}

/// Stable Diffusion.
pub(crate) const BASE: Kind = Kind {
    name: "a base model",
    configs: &CONFIGS,
    optional: &OPTIONAL,
    weights: &[&WEIGHTS[0], &WEIGHTS[1], &WEIGHTS[2]],
};

/// CLIP or DINO.
pub(crate) const ENCODER: Kind = Kind {
    name: "an encoder",
    configs: &[encoder::CONFIG],
    optional: &encoder::OPTIONAL,
    weights: &[&encoder::WEIGHTS],
};

impl Kind {
    /// The kind that a model with these files is of: an encoder has its configuration
    /// where a base model has none.
    pub fn of(files: &[String]) -> Self {
        let encoder = files.iter().any(|file| file == encoder::CONFIG)
            && !files.iter().any(|file| file == CONFIGS[0]);
        if encoder { ENCODER } else { BASE }
    }

    /// The first of its files, if `have` has all that are needed.
    pub fn whole(&self, have: impl Fn(&str) -> bool) -> Option<&'static str> {
        let all = self.configs.iter().all(|name| have(name))
            && self.weights.iter().all(|names| names.iter().any(|name| have(name)));
        all.then_some(self.configs[0])
    }

    /// The files of a repository that are needed, the first of all first.
    pub fn needed(&self, id: &Id, files: &[String]) -> Result<Vec<String>> {
        let has = |name: &str| files.iter().any(|file| file == name);
        let missing = |name: &str| {
            let single = files.iter().find(|file| {
                !file.contains('/') && (file.ends_with(".safetensors") || file.ends_with(".ckpt"))
            });
            let advice = match single {
                Some(file) => format!("; it has {file}: name it as {id}/{file}"),
                None => String::new(),
            };
            let what = format!("it does not hold all of {}: no {name}{advice}", self.name);
            Error::Hub { model: id.to_string(), what }
        };
        let mut needed = Vec::new();
        for name in self.configs {
            has(name).then(|| needed.push((*name).to_owned())).ok_or_else(|| missing(name))?;
        }
        let optional = self.optional.iter().filter(|name| has(name));
        needed.extend(optional.map(|name| (*name).to_owned()));
        for names in self.weights {
            let best = names.iter().find(|name| has(name)).ok_or_else(|| missing(names[0]))?;
            needed.push((*best).to_owned());
        }
        Ok(needed)
    }
}
