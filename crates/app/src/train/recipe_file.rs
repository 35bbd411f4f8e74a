//! Recipes that a user writes: any part of what a run folder's `recipe.toml`
//! holds, which is itself one.

use std::{fs, path::Path};

use personalize::{Recipe, methods::vico::variant::Variant, recipe::Concept};
use serde::Deserialize;
use toml::{Table, Value};

use super::{Evaluation, EvaluationOptions, Options, options::ConceptPhotos};
use crate::{
    Error, LoraFile, Result,
    evaluate::Convention,
    keys,
    run_folder::{Inputs, Outputs, RECIPE_LIMIT, Run},
};

/// A recipe file. What was typed beside it wins.
pub struct RecipeFile {
    path: std::path::PathBuf,
    /// Parts of [`Recipe`].
    recipe: Table,
    inputs: PartOfInputs,
    outputs: PartOfOutputs,
    evaluation: EvaluationOptions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PartOfInputs {
    photos: Option<std::path::PathBuf>,
    concepts: Vec<std::path::PathBuf>,
    class_photos: Vec<std::path::PathBuf>,
    base: Option<std::path::PathBuf>,
    loras: Vec<LoraFile>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PartOfOutputs {
    adapter: Option<std::path::PathBuf>,
    without_photos: bool,
    checkpoint_every: Option<u64>,
    preview_every: Option<u64>,
    preview_prompts: Vec<String>,
    preview_steps: Option<usize>,
}

impl RecipeFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is no TOML, or has a key that no recipe has; the nearest is named.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| Error::path(path, e);
        let size = fs::metadata(path).map_err(|e| wrong(&e))?.len();
        if size > RECIPE_LIMIT {
            return Err(wrong(&format!("{size} bytes long, expected a recipe")));
        }
        let text = fs::read_to_string(path).map_err(|e| wrong(&e))?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; its path is for errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| Error::path(path, e);
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| wrong(&e))?;
        keys::check(&table, &keys::names(&example(), "")).map_err(|what| wrong(&what))?;
        let mut section = |name: &str| table.remove(name).unwrap_or(Value::Table(Table::new()));
        let [recipe, inputs, outputs, evaluation] =
            ["recipe", "inputs", "outputs", "evaluation"].map(&mut section);
        let Value::Table(recipe) = recipe else { return Err(wrong(&"recipe is no section")) };
        Ok(Self {
            path: path.to_owned(),
            recipe,
            inputs: inputs.try_into().map_err(|e| wrong(&format!("inputs: {e}")))?,
            outputs: outputs.try_into().map_err(|e| wrong(&format!("outputs: {e}")))?,
            evaluation: evaluation.try_into().map_err(|e| wrong(&format!("evaluation: {e}")))?,
        })
    }

    /// Fills in what was not typed, besides the recipe's own part.
    pub(super) fn fill(&self, options: &mut Options) {
        let Self { inputs, outputs, evaluation, .. } = self;
        options.evaluation.fill(evaluation);
        let text = |name: &str| self.recipe.get(name).and_then(Value::as_str).map(str::to_owned);
        options.photos = options.photos.take().or_else(|| inputs.photos.clone());
        options.base = options.base.take().or_else(|| inputs.base.clone());
        options.init_word = options.init_word.take().or_else(|| text("init_word"));
        options.output = options.output.take().or_else(|| outputs.adapter.clone());
        options.checkpoint_every = options.checkpoint_every.or(outputs.checkpoint_every);
        options.preview_every = options.preview_every.or(outputs.preview_every);
        options.preview_steps = options.preview_steps.or(outputs.preview_steps);
        options.without_photos |= outputs.without_photos;
        if options.concepts.is_empty() {
            let concepts = self.recipe.get("concepts").cloned();
            let concepts: Vec<Concept> =
                concepts.and_then(|list| list.try_into().ok()).unwrap_or_default();
            let both = inputs.concepts.iter().cloned().zip(concepts);
            options.concepts =
                both.map(|(photos, concept)| ConceptPhotos { photos, concept }).collect();
        }
        if options.class_photos.is_empty() {
            options.class_photos.clone_from(&inputs.class_photos);
        }
        if options.loras.is_empty() {
            options.loras.clone_from(&inputs.loras);
        }
        if options.preview_prompts.is_empty() {
            options.preview_prompts.clone_from(&outputs.preview_prompts);
        }
    }

    /// A recipe with the file's values in place of its own.
    ///
    /// # Errors
    /// If a value is of the wrong kind.
    pub(super) fn over(&self, recipe: &Recipe) -> Result<Recipe> {
        let wrong = |e: &dyn std::fmt::Display| Error::path(&self.path, e);
        let mut table = Table::try_from(recipe).map_err(|e| wrong(&e))?;
        keys::overlay(&mut table, &self.recipe);
        table.try_into().map_err(|e: toml::de::Error| wrong(&format!("recipe: {e}")))
    }
}

/// Every key that a recipe may have, with some value.
fn example() -> Table {
    let concept = Concept { placeholder: "<b>".into(), init_word: "dog".into() };
    let run = Run {
        // A recipe without switches or concepts does not write them down.
        recipe: Recipe {
            concepts: vec![concept],
            vico: Variant { zero_init: true, ..Variant::default() },
            ..Recipe::vico("toy", 512)
        },
        inputs: Inputs {
            photos: "photos".into(),
            concepts: vec!["concept".into()],
            class_photos: vec!["class".into()],
            base: "model".into(),
            loras: vec![LoraFile { path: "lora".into(), weight: 1.0 }],
            base_fingerprint: String::new(),
        },
        outputs: Outputs {
            adapter: "adapter.safetensors".into(),
            without_photos: false,
            checkpoint_every: 0,
            preview_every: 0,
            preview_prompts: Vec::new(),
            preview_steps: 1,
        },
        evaluation: Some(Evaluation {
            evaluate_every: 0,
            stop_when_no_better: 0,
            prompts: Vec::new(),
            samples: 1,
            sampling_steps: 1,
            guidance: 1.0,
            reference_guidance: 2.0,
            sampler: String::new(),
            seed: 0,
            clip: Some("clip".into()),
            dino: Some("dino".into()),
            convention: Convention::Omit,
            encoders: Vec::new(),
        }),
    };
    Table::try_from(run).expect("a run is plain data")
}

/// The dotted names of all keys that a recipe's own part may have.
pub(crate) fn recipe_keys() -> Vec<String> {
    match &example()["recipe"] {
        Value::Table(recipe) => keys::names(recipe, ""),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RecipeFile> {
        RecipeFile::parse(Path::new("r.toml"), text)
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest() {
        for (text, unknown, nearest) in [
            ("[recipe]\nstepps = 3", "recipe.stepps", "recipe.steps"),
            ("lr_tokens = 3", "lr_tokens", "recipe.lr_token"),
            ("[recipes]", "recipes", "recipe"),
            ("[outputs]\npreview_prompt = []", "outputs.preview_prompt", "outputs.preview_prompts"),
            ("[inputs]\nlora = []", "inputs.lora", "inputs.loras"),
            (
                "[outputs]\nevaluate_every = 9",
                "outputs.evaluate_every",
                "evaluation.evaluate_every",
            ),
            ("[recipe.vico]\nmasks = true", "recipe.vico.masks", "recipe.vico.mask"),
        ] {
            let refused = parse(text).err().unwrap().to_string();
            let expected = format!("r.toml: unknown key {unknown}; the nearest is {nearest}");
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn a_run_folders_recipe_is_one() {
        let whole = toml::to_string(&example()).unwrap();
        let mut options = Options::default();
        let file = parse(&whole).unwrap();
        file.fill(&mut options);
        assert_eq!(options.init_word.as_deref(), Some("toy"));
        assert_eq!(options.loras.len(), 1);
        let mut recipe = file.over(&Recipe::vico("dog", 64)).unwrap();
        assert_eq!(std::mem::take(&mut recipe.concepts).len(), 1);
        assert!(std::mem::take(&mut recipe.vico).zero_init);
        assert_eq!(recipe, Recipe::vico("toy", 512));
    }

    #[test]
    fn wrong_kinds_of_values_are_named() {
        let base = Recipe::vico("toy", 64);
        let refused = |text: &str| match parse(text).and_then(|file| file.over(&base)) {
            Ok(_) => panic!("{text}"),
            Err(error) => error.to_string(),
        };
        assert!(refused("[recipe]\nsteps = \"many\"").contains("steps"));
        assert!(refused("recipe = 3").contains("no section"));
        assert!(refused("[inputs]\nbase = 3").contains("base"));
        assert!(refused("[evaluation]\nsamples = 'x'").contains("samples"));
        assert!(refused("[recipe\n").contains("r.toml"));
    }
}
