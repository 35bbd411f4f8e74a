//! What was typed, and the recipe it amounts to.

use std::{path::PathBuf, str::FromStr};

use diffusion::Base;
use personalize::{
    Recipe,
    methods::{self, vico::variant::Variant},
    recipe::{Concept, DREAMBOOTH_LORA},
};
use serde::Deserialize;

use super::{EvaluationOptions, Injection, Placement, recipe_file::RecipeFile};
use crate::{
    Error, LoraFile, Result,
    recommended::Recommended,
    run_folder::{self, Outputs, Run},
};

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// File with a part of a recipe; what is typed wins.
    pub recipe_file: Option<PathBuf>,
    /// Folder of photos; may be left out when a run is resumed.
    pub photos: Option<PathBuf>,
    /// Base model; may be left out when a run is resumed.
    pub base: Option<PathBuf>,
    /// LoRAs to merge into it.
    pub loras: Vec<LoraFile>,
    /// Class word.
    pub init_word: Option<String>,
    /// Further things to learn at once.
    pub concepts: Vec<ConceptPhotos>,
    /// Folders of pictures of the classes, for the thing and each concept; the base draws
    /// its own where there are none.
    pub class_photos: Vec<PathBuf>,
    /// The adapter file.
    pub output: Option<PathBuf>,
    /// Run folder; beside the adapter if not given.
    pub run_dir: Option<PathBuf>,
    /// Go on from the newest checkpoint of the run folder.
    pub resume: bool,
    /// Parts of the recipe.
    pub recipe: RecipeOptions,
    /// Steps between checkpoints.
    pub checkpoint_every: Option<u64>,
    /// Steps between previews.
    pub preview_every: Option<u64>,
    /// Previews at the half and at the end, whatever the steps are.
    pub preview_at_halves: bool,
    /// Prompts of the previews.
    pub preview_prompts: Vec<String>,
    /// Sampling steps of a preview.
    pub preview_steps: Option<usize>,
    /// Scores on the way.
    pub evaluation: EvaluationOptions,
    /// Leave the photos' latents out of the adapter.
    pub without_photos: bool,
    /// Write the adapter before its first step: what the base itself makes of the class word.
    pub untrained: bool,
    /// Say what would be done, and stop.
    pub dry_run: bool,
}

/// Parts of the recipe that were typed, or that a base model recommends in its
/// `vico.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeOptions {
    /// Method.
    pub method: Option<String>,
    /// Optimizer steps.
    pub steps: Option<u64>,
    /// Samples a pass.
    pub batch: Option<usize>,
    /// Batches a step.
    pub accumulate: Option<usize>,
    /// Picture side, pixels.
    pub size: Option<usize>,
    /// Learning rate of the token.
    pub lr_token: Option<f64>,
    /// Learning rate of image attention.
    pub lr_attention: Option<f64>,
    /// Weight of the regulariser.
    pub reg_weight: Option<f64>,
    /// Learning rate of the base's weights, or of a LoRA on them.
    pub lr_weights: Option<f64>,
    /// Rank of a LoRA.
    pub lora_rank: Option<usize>,
    /// The text encoder learns too.
    pub train_text_encoder: Option<bool>,
    /// A word without much meaning.
    pub rare_word: Option<String>,
    /// The caption of every photo, with `{}` for the thing.
    pub caption: Option<String>,
    /// Half of the photos are seen mirrored.
    pub flips: Option<bool>,
    /// Weight of the loss on pictures of the class.
    pub prior_weight: Option<f64>,
    /// Pictures of the class that the base draws.
    pub prior_images: Option<usize>,
    /// Text that stands for the token.
    pub placeholder: Option<String>,
    /// Vectors of the token.
    pub vectors: Option<usize>,
    /// Seed.
    pub seed: Option<u64>,
    /// ViCo's switches.
    #[serde(default)]
    pub vico: VicoOptions,
}

/// ViCo's switches that were typed, see [`Variant`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VicoOptions {
    /// Only the object is read from the reference.
    pub mask: Option<bool>,
    /// How the reference enters.
    pub injection: Option<Injection>,
    /// Which transformers carry image attention.
    pub image_attention: Option<Placement>,
    /// No gradient through the reference stream, and so no regulariser.
    pub detach_reference: Option<bool>,
    /// Fresh image attention changes nothing.
    pub zero_init: Option<bool>,
    /// A photo is its own reference.
    pub same_reference: Option<bool>,
}

fn put<T: Clone>(typed: &Option<T>, into: &mut T) {
    if let Some(value) = typed {
        *into = value.clone();
    }
}

impl RecipeOptions {
    fn apply(&self, recipe: &mut Recipe) {
        put(&self.method, &mut recipe.method);
        put(&self.steps, &mut recipe.steps);
        put(&self.batch, &mut recipe.batch);
        put(&self.accumulate, &mut recipe.accumulate);
        put(&self.size, &mut recipe.size);
        put(&self.lr_token, &mut recipe.lr_token);
        put(&self.lr_attention, &mut recipe.lr_attention);
        put(&self.reg_weight, &mut recipe.reg_weight);
        put(&self.lr_weights, &mut recipe.lr_weights);
        put(&self.lora_rank, &mut recipe.lora_rank);
        put(&self.train_text_encoder, &mut recipe.train_text_encoder);
        put(&self.rare_word, &mut recipe.rare_word);
        put(&self.caption, &mut recipe.caption);
        put(&self.flips, &mut recipe.flips);
        put(&self.prior_weight, &mut recipe.prior_weight);
        put(&self.prior_images, &mut recipe.prior_images);
        put(&self.placeholder, &mut recipe.placeholder);
        put(&self.vectors, &mut recipe.vectors);
        put(&self.seed, &mut recipe.seed);
        self.vico.apply(&mut recipe.vico);
        if self.vico.detach_reference == Some(true) && self.reg_weight.is_none() {
            recipe.reg_weight = 0.0;
        }
    }
}

impl VicoOptions {
    fn apply(&self, variant: &mut Variant) {
        put(&self.mask, &mut variant.mask);
        put(&self.injection, &mut variant.injection);
        put(&self.image_attention, &mut variant.image_attention);
        put(&self.detach_reference, &mut variant.detach_reference);
        put(&self.zero_init, &mut variant.zero_init);
        put(&self.same_reference, &mut variant.same_reference);
    }
}

/// `PHOTOS:PLACEHOLDER:WORD`: a further thing to learn.
#[derive(Clone, Debug, PartialEq)]
pub struct ConceptPhotos {
    /// Folder of its photos.
    pub photos: PathBuf,
    /// What it is.
    pub concept: Concept,
}

impl FromStr for ConceptPhotos {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.rsplit_once(':').and_then(|(rest, word)| {
            let (photos, placeholder) = rest.rsplit_once(':')?;
            let whole = ![photos, placeholder, word].contains(&"");
            whole.then(|| Self {
                photos: photos.into(),
                concept: Concept { placeholder: placeholder.into(), init_word: word.into() },
            })
        });
        let wrong = || format!("--concept is {text}, expected PHOTOS:PLACEHOLDER:WORD");
        parts.ok_or_else(|| Error::Usage(wrong()))
    }
}

/// Steps between checkpoints where nothing was typed.
const CHECKPOINT_EVERY: u64 = 100;

/// Values that are learned above which a checkpoint is written at the end only, unless
/// another wish was typed: one of all of Stable Diffusion's takes ten gigabytes.
const HEAVY: usize = 200_000_000;

/// The run folder that was named, or `NAME.run` beside the adapter.
pub(super) fn run_dir(options: &Options) -> Result<PathBuf> {
    let beside = || options.output.as_ref().map(|output| output.with_extension("run"));
    options.run_dir.clone().or_else(beside).ok_or_else(|| {
        let which = if options.resume { "--resume RUN_DIR" } else { "--output" };
        Error::Usage(format!("{which} is missing"))
    })
}

/// The recipe that options without a file amount to on a base model.
///
/// # Errors
/// If it asks for something that its method or the base cannot do.
pub(crate) fn resolved(options: &Options, base: &Base) -> Result<Recipe> {
    recipe(options, None, None, base)
}

/// The recipe: the paper's with the file's values, or the resumed run's, with
/// what was typed.
pub(super) fn recipe(
    options: &Options,
    file: Option<&RecipeFile>,
    old: Option<&Run>,
    base: &Base,
) -> Result<Recipe> {
    let mut recipe = match (old, &options.init_word) {
        (Some(run), _) => run.recipe.clone(),
        (None, Some(word)) => {
            let own = fresh(options, word, base)?;
            let recipe = file.map_or_else(|| Ok(own.clone()), |file| file.over(&own))?;
            let concepts = match &options.concepts[..] {
                [] => recipe.concepts,
                typed => typed.iter().map(|typed| typed.concept.clone()).collect(),
            };
            Recipe { init_word: word.clone(), concepts, ..recipe }
        }
        (None, None) => {
            let advice = "--init-word is missing: a single class word such as toy, dog or teapot";
            return Err(Error::Usage(advice.into()));
        }
    };
    options.recipe.apply(&mut recipe);
    recipe.check()?;
    meaningful(&recipe)?;
    base.check_size(recipe.size, recipe.size)?;
    let tokenizer = base.tokenizer()?;
    tokenizer.single(&recipe.init_word)?;
    if recipe.method == "custom-diffusion" {
        methods::rare_id(&tokenizer, &recipe.rare_word)?;
    }
    if let Some(run) = old {
        let same = Recipe { steps: recipe.steps, ..run.recipe.clone() };
        let word = options.init_word.as_ref().unwrap_or(&recipe.init_word);
        let given = !(options.concepts.is_empty() && options.class_photos.is_empty());
        if given || recipe != same || *word != recipe.init_word {
            return Err(Error::Usage(
                "a resumed run keeps its recipe; only --steps may change: leave the other options \
                 out, or start a new run in another --run-dir"
                    .into(),
            ));
        }
    }
    Ok(recipe)
}

/// The method's default recipe, with what the base model's maker recommends.
fn fresh(options: &Options, word: &str, base: &Base) -> Result<Recipe> {
    let method = options.recipe.method.as_deref().unwrap_or(methods::NAMES[0]);
    let lora = options.recipe.lora_rank.is_some_and(|rank| rank > 0);
    let kind = if method == "dreambooth" && lora { DREAMBOOTH_LORA } else { method };
    let mut recipe = Recipe::of(kind, word, base.default_size())?;
    let mut own = Recommended::of(base)?.recipes;
    own.remove(kind).unwrap_or_default().apply(&mut recipe);
    let RecipeOptions { lr_attention, reg_weight, lr_token, lr_weights, vectors, .. } =
        &options.recipe;
    let typed = [
        ("--lr-attention", lr_attention.is_some() && recipe.lr_attention == 0.0),
        ("--reg-weight", reg_weight.is_some() && recipe.reg_weight == 0.0),
        ("--lr-token", lr_token.is_some() && recipe.lr_token == 0.0),
        ("--vectors", vectors.is_some() && recipe.lr_token == 0.0),
        ("--lr-weights", lr_weights.is_some() && recipe.lr_weights == 0.0),
    ];
    match typed.into_iter().find(|(_, wrong)| *wrong) {
        Some((option, _)) => Err(Error::Usage(format!("{option} means nothing to {method}"))),
        None => Ok(recipe),
    }
}

/// Checks that a recipe asks its method for nothing that it does not do.
fn meaningful(recipe: &Recipe) -> Result<()> {
    let method = recipe.method.as_str();
    let wishes = [
        ("--lora-rank", recipe.lora_rank > 0, "dreambooth"),
        ("--train-text-encoder", recipe.train_text_encoder, "dreambooth"),
        ("--concept", !recipe.concepts.is_empty(), "custom-diffusion"),
    ];
    match wishes.into_iter().find(|(_, wished, of)| *wished && *of != method) {
        Some((option, _, of)) => {
            Err(Error::Usage(format!("{option} is for --method {of}, this is {method}")))
        }
        None => Ok(()),
    }
}

pub(super) fn outputs(
    options: &Options,
    old: Option<&Run>,
    adapter: PathBuf,
    recipe: &Recipe,
    learned: usize,
) -> Outputs {
    let old = old.map(|run| &run.outputs);
    let default_prompt = || vec![format!("a photo of {} on the beach", recipe.placeholder)];
    let prompts = match (options.preview_prompts.is_empty(), old) {
        (false, _) => options.preview_prompts.clone(),
        (true, Some(old)) => old.preview_prompts.clone(),
        (true, None) => default_prompt(),
    };
    let checkpoint_every = options.checkpoint_every.or(old.map(|o| o.checkpoint_every));
    let preview_every = options.preview_every.or(old.map(|o| o.preview_every));
    let halves = options.preview_at_halves.then(|| recipe.steps.div_ceil(2));
    let preview_every = preview_every.or(halves);
    let preview_steps = options.preview_steps.or(old.map(|o| o.preview_steps));
    Outputs {
        adapter,
        without_photos: options.without_photos || old.is_some_and(|o| o.without_photos),
        checkpoint_every: checkpoint_every.unwrap_or(if learned > HEAVY {
            0
        } else {
            CHECKPOINT_EVERY
        }),
        preview_every: preview_every.unwrap_or(0),
        preview_prompts: prompts,
        preview_steps: preview_steps.unwrap_or_else(run_folder::preview_steps),
    }
}
