//! A plan with everything found that it names.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use diffusion::Base;
use engine::rng::TorchRng;
use evaluate::prompts;
use images::list_photos;
use personalize::{PLACEHOLDER, Recipe};
use toml::{Table, Value};

use super::file::{ConceptRow, Drawing, Judging, Kind, PlanFile, PromptSource, Runs};
use crate::{
    DEFAULT_BASE, Error, LoraFile, Result, keys,
    series::slug,
    train::{self, Evaluation, EvaluationOptions, RecipeOptions},
};

/// The method that is none: the base draws the class word.
const BASE: &str = "base";

/// Concepts x methods, with how each is trained, drawn and judged.
pub(super) struct Plan {
    pub base: PathBuf,
    pub loras: Vec<LoraFile>,
    pub seed: u64,
    pub drawing: Drawing,
    pub judging: Judging,
    pub runs: Runs,
    pub concepts: Vec<Concept>,
    pub methods: Vec<Method>,
}

/// One thing to learn.
pub(super) struct Concept {
    pub name: String,
    /// Its folder of photos.
    pub folder: PathBuf,
    pub photos: Vec<PathBuf>,
    /// SHA-256 of each photo.
    pub digests: Vec<String>,
    pub word: String,
    /// What it is called in texts that pictures are compared with.
    pub class: String,
    /// With the placeholder in them.
    pub prompts: Vec<String>,
}

/// One way to learn.
pub(super) struct Method {
    pub name: String,
    /// As the plan has them, those for all methods included.
    pub keys: Table,
    pub options: RecipeOptions,
    /// How it is scored on the way, as far as the plan has it for this method.
    pub evaluation: EvaluationOptions,
    /// Nothing is learned.
    pub untrained: bool,
}

impl Plan {
    /// Finds photos and prompts.
    ///
    /// # Errors
    /// If something is missing, or two have the same name.
    pub fn new(file: PlanFile) -> Result<Self> {
        let PlanFile { base, loras, dataset, seed, drawing, judging, runs, .. } = file;
        if file.concepts.is_empty() || file.methods.is_empty() {
            let what = "the plan needs [[concepts]] and [[methods]], its own or those of a preset";
            return Err(Error::Usage(what.into()));
        }
        let source = file.prompts.ok_or_else(|| {
            let sets = prompts::SETS.map(|(set, _)| set).join(", ");
            Error::Usage(format!(
                "the plan has no prompts: name a file, a set ({sets}), or list them"
            ))
        })?;
        let find = |row| Concept::find(row, dataset.as_deref(), &source);
        let concepts = file.concepts.into_iter().map(find).collect::<Result<Vec<_>>>()?;
        let row = |row| Method::new(row, &file.training);
        let methods = file.methods.into_iter().map(row).collect::<Result<Vec<_>>>()?;
        distinct("concepts", concepts.iter().map(|concept| &concept.name))?;
        distinct("methods", methods.iter().map(|method| &method.name))?;
        Ok(Self { base, loras, seed, drawing, judging, runs, concepts, methods })
    }

    /// How a cell is trained, before its files are named.
    pub fn training(&self, concept: &Concept, method: &Method) -> train::Options {
        let mut recipe = method.options.clone();
        recipe.seed = recipe.seed.or(Some(self.seed_of(&format!("training/{}", concept.name))));
        train::Options {
            photos: Some(concept.folder.clone()),
            base: Some(self.base.clone()),
            loras: self.loras.clone(),
            init_word: Some(concept.word.clone()),
            recipe,
            checkpoint_every: self.runs.checkpoint_every,
            evaluation: self.evaluation_options(concept, method),
            untrained: method.untrained,
            ..train::Options::default()
        }
    }

    /// How a cell is scored on the way: by the plan's encoders and its guidance, with
    /// pictures that are not those of the table.
    fn evaluation_options(&self, concept: &Concept, method: &Method) -> EvaluationOptions {
        let own = method.evaluation.clone();
        if own.evaluate_every.is_none() {
            return own;
        }
        let Judging { clip, dino, convention } = self.judging.clone();
        let guidance = self.drawing.scales(method.method());
        EvaluationOptions {
            guidance: Some(guidance.text),
            reference_guidance: Some(guidance.reference),
            seed: Some(self.seed_of(&format!("evaluating/{}", concept.name))),
            clip,
            dino,
            convention: Some(convention),
            ..own
        }
    }

    /// The settings of that.
    ///
    /// # Errors
    /// If there is no encoder that could decide, or a key means nothing.
    pub fn evaluation(
        &self,
        concept: &Concept,
        method: &Method,
        recipe: &Recipe,
        base: &Base,
    ) -> Result<Option<Evaluation>> {
        let options = self.evaluation_options(concept, method);
        let inside = self.base == Path::new(DEFAULT_BASE);
        let guidance = self.drawing.scales(&recipe.method);
        let settled = options.settled(None, recipe, &base.schedule(), guidance, inside);
        settled.map_err(|e| named(concept, method, e))
    }

    /// The recipe of a cell.
    ///
    /// # Errors
    /// If it asks for something that its method or the base cannot do.
    pub fn recipe(&self, concept: &Concept, method: &Method, base: &Base) -> Result<Recipe> {
        let recipe = train::resolved(&self.training(concept, method), base);
        recipe.map_err(|e| named(concept, method, e))
    }

    /// A seed that belongs to a name, whatever else the plan holds.
    pub fn seed_of(&self, name: &str) -> u64 {
        TorchRng::derive(self.seed, name).next_u32().into()
    }
}

/// An error of a cell.
fn named(concept: &Concept, method: &Method, error: Error) -> Error {
    Error::Usage(format!("{} by {}: {error}", concept.name, method.name))
}

impl Concept {
    fn find(row: ConceptRow, dataset: Option<&Path>, source: &PromptSource) -> Result<Self> {
        let ConceptRow { name, photos, word, class, kind } = row;
        let folder = match (photos, dataset) {
            (Some(photos), Some(dataset)) if photos.is_relative() => dataset.join(photos),
            (Some(photos), _) => photos,
            (None, Some(dataset)) => dataset.join(&name),
            (None, None) => {
                let what = "has no photos: name their folder, or a dataset for all (--dataset DIR)";
                return Err(Error::Usage(format!("{name} {what}")));
            }
        };
        let photos = list_photos(&folder)?;
        if photos.is_empty() {
            return Err(Error::path(folder, format!("holds no photo of {name}")));
        }
        let digests = photos.iter().map(formats::sha256_of).collect::<formats::Result<_>>()?;
        let prompts = source.read(kind)?;
        let class = class.unwrap_or_else(|| word.clone());
        Ok(Self { name, folder, photos, digests, word, class, prompts })
    }
}

impl PromptSource {
    /// The prompts of a kind of thing.
    fn read(&self, kind: Kind) -> Result<Vec<String>> {
        match (self, kind) {
            (Self::Same(prompts), _) => prompts.read(PLACEHOLDER, "prompts"),
            (Self::Kinds { object, .. }, Kind::Object) => Ok(prompts::read(object, PLACEHOLDER)?),
            (Self::Kinds { live, .. }, Kind::Live) => Ok(prompts::read(live, PLACEHOLDER)?),
        }
    }
}

impl Method {
    fn new(mut row: Table, training: &Table) -> Result<Self> {
        let mut text =
            |key: &str| row.remove(key).and_then(|value| Some(value.as_str()?.to_owned()));
        let (name, method) = (text("name"), text("method"));
        let (Some(name), Some(method)) = (name, method) else {
            let what = "each of [[methods]] needs a name and a method, both texts";
            return Err(Error::Usage(what.into()));
        };
        let untrained = method == BASE;
        let mut keys = if untrained { Table::new() } else { training.clone() };
        keys::overlay(&mut keys, &row);
        if untrained && !keys.is_empty() {
            let what = format!("{name}: the base learns nothing, so it has no other keys");
            return Err(Error::Usage(what));
        }
        keys.insert("method".to_owned(), method.into());
        let wrong = |e: toml::de::Error| Error::Usage(format!("{name}: {}", e.message()));
        let (scored, recipe): (Table, Table) = keys
            .clone()
            .into_iter()
            .partition(|(key, _)| train::KEYS_OF_METHODS.contains(&key.as_str()));
        let evaluation = scored.try_into().map_err(wrong)?;
        let options = if untrained {
            RecipeOptions {
                method: Some("textual-inversion".into()),
                steps: Some(1),
                ..RecipeOptions::default()
            }
        } else {
            recipe.try_into().map_err(wrong)?
        };
        Ok(Self { name, keys, options, evaluation, untrained })
    }

    /// What it is called in a recipe.
    fn method(&self) -> &str {
        self.keys.get("method").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Checks that no two names stand for the same folder.
fn distinct<'a>(list: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen: Vec<(String, &String)> = Vec::new();
    for name in names {
        let slug = slug(name);
        if slug.is_empty() {
            return Err(Error::Usage(format!(
                "{list}: the name \"{name}\" has no letter or digit"
            )));
        }
        if let Some((_, other)) = seen.iter().find(|(known, _)| *known == slug) {
            let what =
                format!("{list}: \"{other}\" and \"{name}\" are too much alike for two names");
            return Err(Error::Usage(what));
        }
        seen.push((slug, name));
    }
    Ok(())
}

/// `i/n`: the cells of one of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

impl Shard {
    /// All cells.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether a cell, by its place in the plan, is one of this run.
    pub(super) fn has(self, cell: usize) -> bool {
        cell % self.of == self.number - 1
    }
}

impl std::str::FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('/').and_then(|(number, of)| {
            let shard = Self { number: number.parse().ok()?, of: of.parse().ok()? };
            (1..=shard.of).contains(&shard.number).then_some(shard)
        });
        let wrong = || format!("--shard is {text}, expected i/n with i from 1 to n, such as 2/4");
        parsed.ok_or_else(|| Error::Usage(wrong()))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_parts_of_a_whole() {
        let shard: Shard = "2/3".parse().unwrap();
        let cells: Vec<usize> = (0..7).filter(|&cell| shard.has(cell)).collect();
        assert_eq!(cells, [1, 4]);
        for wrong in ["0/2", "3/2", "1", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().unwrap_err().to_string().contains("2/4"), "{wrong}");
        }
    }

    #[test]
    fn names_must_make_folders() {
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            distinct("methods", names.iter()).map_err(|e| e.to_string())
        };
        check(&["ViCo", "ViCo, no mask"]).unwrap();
        assert!(check(&["ViCo", "vico!"]).unwrap_err().contains("alike"));
        assert!(check(&["*"]).unwrap_err().contains("no letter"));
    }
}
