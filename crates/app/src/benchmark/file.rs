//! The plan as a user writes it, or a preset does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use evaluate::prompts;
use personalize::generate::{Guidance, Job, SCALES};
use serde::Deserialize;
use toml::{Table, Value};

use crate::{
    DEFAULT_BASE, Error, LoraFile, Result,
    evaluate::{Convention, Prompts},
    keys,
    run_folder::RECIPE_LIMIT,
    train::{KEYS_OF_METHODS, recipe_keys},
};

/// The presets by name.
pub(super) const PRESETS: [(&str, &str); 3] = [
    ("vico", include_str!("presets/vico.toml")),
    ("dreambench", include_str!("presets/dreambench.toml")),
    ("ablation", include_str!("presets/ablation.toml")),
];

/// A plan file. What it leaves out is the preset's, or the default.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PlanFile {
    /// Base model.
    #[serde(default = "default_base")]
    pub base: PathBuf,
    /// LoRAs merged into it.
    #[serde(default)]
    pub loras: Vec<LoraFile>,
    /// Folder in which each concept has a folder of photos.
    pub dataset: Option<PathBuf>,
    /// Seed of everything.
    #[serde(default)]
    pub seed: u64,
    /// What is drawn.
    pub prompts: Option<PromptSource>,
    /// Keys of a recipe, for all methods.
    #[serde(default)]
    pub training: Table,
    /// How pictures are drawn.
    #[serde(default)]
    pub drawing: Drawing,
    /// How they are judged.
    #[serde(default)]
    pub judging: Judging,
    /// What is kept on the way.
    #[serde(default)]
    pub runs: Runs,
    /// What is learned.
    #[serde(default)]
    pub concepts: Vec<ConceptRow>,
    /// How.
    #[serde(default)]
    pub methods: Vec<Table>,
}

fn default_base() -> PathBuf {
    DEFAULT_BASE.into()
}

/// Where prompts come from; `{}` or `*` stands for the object.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub(super) enum PromptSource {
    /// The same for all.
    Same(Prompts),
    /// A set or file for each kind of thing.
    Kinds { object: PathBuf, live: PathBuf },
}

/// How pictures are drawn.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct Drawing {
    /// Pictures of each prompt.
    pub samples: usize,
    /// Sampling steps.
    pub steps: usize,
    /// Guidance scale.
    pub guidance: f64,
    /// Guidance scale of the references, for methods that look at some.
    pub reference_guidance: f64,
    /// Sampler.
    pub sampler: String,
    /// Negative prompt.
    pub negative: String,
    /// Width and height, pixels; the training's if not given.
    pub size: Option<usize>,
    /// Pictures in one pass; it changes none.
    pub batch: usize,
}

impl Default for Drawing {
    fn default() -> Self {
        let Job { steps, guidance, reference_guidance, sampler, negative, batch, .. } =
            Job::new("", 0);
        let size = None;
        Self { samples: 4, steps, guidance, reference_guidance, sampler, negative, size, batch }
    }
}

impl Drawing {
    /// The scales of guidance for a method.
    pub fn scales(&self, method: &str) -> Guidance {
        Guidance { text: self.guidance, reference: self.reference_guidance }.of(method)
    }

    fn check(&self) -> std::result::Result<(), String> {
        let counts = [("samples", self.samples), ("batch", self.batch), ("steps", self.steps)];
        if let Some((key, value)) = counts.into_iter().find(|(_, n)| !(1..=MOST).contains(n)) {
            return Err(format!("drawing.{key} is {value}, expected a number from 1 to {MOST}"));
        }
        let scales = [("guidance", self.guidance), ("reference_guidance", self.reference_guidance)];
        match scales.into_iter().find(|(_, scale)| !SCALES.contains(scale)) {
            Some((key, scale)) => {
                Err(format!("drawing.{key} is {scale}, expected a number from 0 to 100"))
            }
            None => Ok(()),
        }
    }

    /// In a line for reports.
    pub fn text(&self) -> String {
        let Self { samples, steps, guidance, reference_guidance, sampler, .. } = self;
        let reference = match reference_guidance {
            1.0 => String::new(),
            scale => format!(", {scale} of references"),
        };
        format!("{samples} samples, {sampler}, {steps} steps, guidance {guidance}{reference}")
    }
}

/// How pictures are judged.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Judging {
    /// CLIP.
    pub clip: Option<PathBuf>,
    /// DINO.
    pub dino: Option<PathBuf>,
    /// What of a prompt a picture is compared with.
    pub convention: Convention,
}

/// What is kept of trainings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Runs {
    /// Steps between checkpoints.
    pub checkpoint_every: Option<u64>,
    /// Checkpoints and the optimizer's state stay after a training has ended.
    pub keep_checkpoints: bool,
}

/// One thing to learn.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ConceptRow {
    /// Its name, which is also that of its folder in the data set.
    pub name: String,
    /// Folder of its photos, if it is another.
    pub photos: Option<PathBuf>,
    /// Class word: one token.
    pub word: String,
    /// What it is called in texts that pictures are compared with, if not by its word.
    pub class: Option<String>,
    /// Which set of prompts it has.
    #[serde(default)]
    pub kind: Kind,
}

/// Which set of prompts a thing has.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// That of things.
    #[default]
    Object,
    /// That of animals.
    Live,
}

/// Keys of a plan, beside those of recipes.
const KEYS: [&str; 27] = [
    "preset",
    "base",
    "loras",
    "dataset",
    "seed",
    "prompts",
    "prompts.object",
    "prompts.live",
    "training",
    "drawing",
    "drawing.samples",
    "drawing.steps",
    "drawing.guidance",
    "drawing.reference_guidance",
    "drawing.sampler",
    "drawing.negative",
    "drawing.size",
    "drawing.batch",
    "judging",
    "judging.clip",
    "judging.dino",
    "judging.convention",
    "runs",
    "runs.checkpoint_every",
    "runs.keep_checkpoints",
    "concepts",
    "methods",
];

/// Keys of a concept.
const CONCEPT_KEYS: [&str; 5] = ["name", "photos", "word", "class", "kind"];

/// Keys of a recipe that a plan decides otherwise: the word is the concept's, and one
/// placeholder stands in all prompts.
const NOT_OF_METHODS: [&str; 5] =
    ["init_word", "placeholder", "concepts", "weight_decay", "frozen_weights"];

impl PlanFile {
    /// Reads a plan; paths that exist beside it are taken from there.
    ///
    /// # Errors
    /// If it is no TOML, names no preset of ours, has a key that no plan has (the nearest
    /// is named), or a value of the wrong kind.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |e: &dyn std::fmt::Display| Error::path(path, e);
        let size = fs::metadata(path).map_err(|e| wrong(&e))?.len();
        if size > RECIPE_LIMIT {
            return Err(wrong(&format!("{size} bytes long, expected a plan")));
        }
        let text = fs::read_to_string(path).map_err(|e| wrong(&e))?;
        let mut plan = Self::parse(&text).map_err(|what| wrong(&what))?;
        plan.place(path.parent().unwrap_or(Path::new("")));
        Ok(plan)
    }

    /// Reads the text of a plan.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let own: Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        check_keys(&own)?;
        let mut table = preset(&own)?;
        keys::overlay(&mut table, &own);
        table.remove("preset");
        let plan: Self = table.try_into().map_err(|e: toml::de::Error| e.to_string())?;
        plan.drawing.check()?;
        Ok(plan)
    }

    /// Takes paths that exist beside the plan from there, but for names of the program's own.
    fn place(&mut self, folder: &Path) {
        let own = |path: &Path| {
            let sets = prompts::SETS.map(|(set, _)| set);
            sets.into_iter().chain([DEFAULT_BASE]).any(|name| Path::new(name) == path)
        };
        let beside = |path: &mut PathBuf| {
            if own(path) {
                return;
            }
            let there = folder.join(&*path);
            if let Ok(there) = there.canonicalize()
                && path.is_relative()
            {
                *path = there;
            }
        };
        beside(&mut self.base);
        self.loras.iter_mut().for_each(|lora| beside(&mut lora.path));
        let Judging { clip, dino, .. } = &mut self.judging;
        let photos = self.concepts.iter_mut().map(|concept| &mut concept.photos);
        let optional = [clip, dino, &mut self.dataset].into_iter().chain(photos);
        optional.flatten().for_each(beside);
        match &mut self.prompts {
            Some(PromptSource::Same(Prompts::Set(set))) => beside(set),
            Some(PromptSource::Kinds { object, live }) => {
                [object, live].into_iter().for_each(beside)
            }
            Some(PromptSource::Same(Prompts::List(_))) | None => {}
        }
    }
}

/// The most samples, and steps.
const MOST: usize = 10_000;

/// The preset that a plan names, or nothing.
fn preset(plan: &Table) -> std::result::Result<Table, String> {
    let Some(name) = plan.get("preset") else { return Ok(Table::new()) };
    let found = PRESETS.iter().find(|(preset, _)| Some(*preset) == name.as_str());
    let all = PRESETS.map(|(preset, _)| preset).join(", ");
    let (_, text) = found.ok_or_else(|| format!("preset is {name}, expected one of {all}"))?;
    Ok(text.parse().expect("a preset is a plan"))
}

/// Checks that every key is one that a plan has.
fn check_keys(plan: &Table) -> std::result::Result<(), String> {
    let recipe = method_keys();
    let training = recipe.iter().map(|key| format!("training.{key}"));
    let known: Vec<String> = KEYS.map(str::to_owned).into_iter().chain(training).collect();
    let mut plan = plan.clone();
    let own = CONCEPT_KEYS.map(str::to_owned).to_vec();
    check_rows(plan.remove("concepts"), "concepts", own)?;
    let own = ["name".to_owned()].into_iter().chain(recipe).collect();
    check_rows(plan.remove("methods"), "methods", own)?;
    keys::check(&plan, &known)
}

/// Checks the keys of `[[ROWS]]`.
fn check_rows(
    rows: Option<Value>,
    name: &str,
    known: Vec<String>,
) -> std::result::Result<(), String> {
    let rows = match rows {
        None => return Ok(()),
        Some(Value::Array(rows)) => rows,
        Some(_) => return Err(format!("{name} is no list: write each as [[{name}]]")),
    };
    let inside = |key: String| format!("{name}.{key}");
    let known: Vec<String> =
        [name.to_owned()].into_iter().chain(known.into_iter().map(inside)).collect();
    for row in rows {
        let table = Table::from_iter([(name.to_owned(), row)]);
        keys::check(&table, &known)?;
    }
    Ok(())
}

/// Keys of a recipe that a method may have, and those of scores on the way.
fn method_keys() -> Vec<String> {
    let part = |key: &str| key.split('.').next().unwrap_or(key).to_owned();
    let own = |key: &String| !NOT_OF_METHODS.contains(&part(key).as_str());
    let scored = KEYS_OF_METHODS.map(str::to_owned);
    recipe_keys().into_iter().filter(own).chain(scored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_the_studies_of_the_papers() {
        let sizes = PRESETS.map(|(name, _)| {
            let plan = PlanFile::parse(&format!("preset = \"{name}\"")).unwrap();
            let live = plan.concepts.iter().filter(|c| c.kind == Kind::Live).count();
            (name, plan.concepts.len(), live, plan.methods.len(), plan.drawing.samples)
        });
        let expected =
            [("vico", 8, 1, 4, 8), ("dreambench", 30, 9, 4, 4), ("ablation", 0, 0, 13, 8)];
        assert_eq!(sizes, expected);
    }

    #[test]
    fn a_plan_overrides_its_preset() {
        let text = "preset = \"dreambench\"\nbase = \"x\"\nprompts = [\"a {}\"]\n[drawing]\nsteps = 9\n\
                    [[methods]]\nname = \"mine\"\nmethod = \"base\"\n";
        let plan = PlanFile::parse(text).unwrap();
        assert_eq!((plan.drawing.steps, plan.drawing.samples), (9, 4));
        assert_eq!(plan.judging.convention, Convention::Class);
        assert_eq!((plan.methods.len(), plan.concepts.len()), (1, 30));
        let list = PromptSource::Same(Prompts::List(vec!["a {}".into()]));
        assert_eq!(plan.prompts, Some(list));
    }

    #[test]
    fn references_guide_methods_that_look_at_some() {
        let text = "[drawing]\nguidance = 3.0\nreference_guidance = 2.0\n";
        let drawing = PlanFile::parse(text).unwrap().drawing;
        let scales = |method: &str| {
            let Guidance { text, reference } = drawing.scales(method);
            (text, reference)
        };
        assert_eq!(scales("vico"), (3.0, 2.0));
        assert_eq!(scales("textual-inversion"), (3.0, 1.0));
        assert_eq!(drawing.text(), "4 samples, ddim, 50 steps, guidance 3, 2 of references");
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest() {
        for (text, what) in [
            ("sed = 1", "unknown key sed; the nearest is seed"),
            ("[drawing]\nsampels = 1", "drawing.sampels; the nearest is drawing.samples"),
            ("[training]\nstep = 1", "training.step; the nearest is training.steps"),
            ("[[methods]]\nnam = 1", "methods.nam; the nearest is methods.name"),
            ("[[concepts]]\nfoto = 1", "unknown key concepts.foto; the nearest is concepts."),
            ("[[methods]]\ninit_word = 'x'", "unknown key methods.init_word"),
            ("methods = 3", "[[methods]]"),
            ("preset = 'dream'", "dreambench"),
            ("[drawing]\nsamples = 0", "drawing.samples is 0"),
            ("[drawing]\nguidance = nan", "drawing.guidance is NaN"),
            ("[drawing]\nreference_guidance = 101", "drawing.reference_guidance is 101"),
            ("[drawing]\nsteps = 'x'", "steps"),
            ("[", "TOML"),
        ] {
            let refused = PlanFile::parse(text).unwrap_err();
            assert!(refused.contains(what), "{what} in {refused}");
        }
    }
}
