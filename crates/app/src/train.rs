//! `vico train`.

use std::path::PathBuf;

use diffusion::{Base, Placeholder, Schedule, Tokenizer, text::TextEncoder, unet::UNet};
use engine::Device;
use images::{Filter, Picture, read_folder, resize};
use personalize::{
    Adapter, Error as RunError, Recipe,
    adapter::{Info, Photo},
    checkpoint,
    dataset::{Dataset, Encoded},
    draw::Draw,
    methods::{Frozen, Method, vico},
    trainer::Trainer,
};

use crate::{
    Compute, Error, Event, Events, Result, VERSION, adapter_file,
    estimate::Memory,
    generate::writable,
    run_folder::{Inputs, Outputs, Run, RunFolder},
};

mod preview;

use preview::Preview;

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Folder of photos; may be left out when a run is resumed.
    pub photos: Option<PathBuf>,
    /// Base model; may be left out when a run is resumed.
    pub base: Option<PathBuf>,
    /// Class word.
    pub init_word: Option<String>,
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
    /// Prompts of the previews.
    pub preview_prompts: Vec<String>,
    /// Leave the photos' latents out of the adapter.
    pub without_photos: bool,
    /// Say what would be done, and stop.
    pub dry_run: bool,
}

/// Parts of the recipe that were typed.
#[derive(Clone, Debug, Default)]
pub struct RecipeOptions {
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
    /// Text that stands for the token.
    pub placeholder: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
}

impl RecipeOptions {
    fn apply(&self, recipe: &mut Recipe) {
        fn put<T: Clone>(typed: &Option<T>, into: &mut T) {
            if let Some(value) = typed {
                *into = value.clone();
            }
        }
        put(&self.steps, &mut recipe.steps);
        put(&self.batch, &mut recipe.batch);
        put(&self.accumulate, &mut recipe.accumulate);
        put(&self.size, &mut recipe.size);
        put(&self.lr_token, &mut recipe.lr_token);
        put(&self.lr_attention, &mut recipe.lr_attention);
        put(&self.reg_weight, &mut recipe.reg_weight);
        put(&self.placeholder, &mut recipe.placeholder);
        put(&self.seed, &mut recipe.seed);
    }
}

const CHECKPOINT_EVERY: u64 = 100;

/// A training that was checked and can begin.
struct Plan {
    run: Run,
    base: Base,
    run_dir: PathBuf,
    /// Adapter and optimizer of a resumed run.
    resumed: Option<(Adapter, engine::optim::AdamW)>,
    photos: Vec<(PathBuf, Picture)>,
}

/// Trains an adapter.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let plan = Plan::new(options, compute, events)?;
    if options.dry_run {
        let text = toml::to_string(&plan.run).map_err(|e| Error::Usage(e.to_string()))?;
        events.note(text);
        return Ok(());
    }
    let done = plan.resumed.as_ref().map(|(_, optimizer)| optimizer.steps());
    let folder = match done {
        Some(step) => RunFolder::reopen(&plan.run_dir, &plan.run, step)?,
        None => RunFolder::create(&plan.run_dir, &plan.run)?,
    };
    let mut logged = Logged { events, folder };
    let result = plan.train(compute.device(), &mut logged);
    if let Err(error) = &result {
        logged.folder.log(&format!("ended: {error}"))?;
    }
    result
}

/// Passes events on and writes them to the log.
struct Logged<'a> {
    events: &'a mut dyn Events,
    folder: RunFolder,
}

impl Events for Logged<'_> {
    fn event(&mut self, event: &Event) {
        let text = match event {
            Event::Stage(text) | Event::Note(text) => Some(text.clone()),
            Event::Warning(text) => Some(format!("warning: {text}")),
            Event::Wrote(path) => Some(format!("wrote {}", path.display())),
            Event::Training { .. } | Event::Step(_) | Event::Drawing { .. } => None,
        };
        // The run goes on even if its log cannot be written any more; the next
        // file that matters says so.
        if let Some(text) = text
            && let Err(error) = self.folder.log(&text)
        {
            self.events.warning(error.to_string());
        }
        self.events.event(event);
    }

    fn stopped(&self) -> bool {
        self.events.stopped()
    }
}

impl Plan {
    fn new(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Self> {
        let run_dir = run_dir(options)?;
        let old = match (options.resume, RunFolder::holds_run(&run_dir)) {
            (true, true) => Some(RunFolder::read(&run_dir)?),
            (true, false) => {
                let what = "holds no run to resume: start one without --resume";
                return Err(Error::path(run_dir, what));
            }
            (false, _) => None,
        };
        let given = |typed: &Option<PathBuf>, old: Option<&PathBuf>, what: &str| {
            let path = typed.as_ref().or(old).cloned();
            path.ok_or_else(|| Error::Usage(format!("{what} is missing")))
        };
        let old_inputs = old.as_ref().map(|run| &run.inputs);
        let base_path =
            given(&options.base, old_inputs.map(|i| &i.base), "--base (the Stable Diffusion model)")?;
        let photos_path =
            given(&options.photos, old_inputs.map(|i| &i.photos), "PHOTOS (the folder of photos)")?;
        let adapter = given(
            &options.output,
            old.as_ref().map(|run| &run.outputs.adapter),
            "--output (the adapter file to write)",
        )?;
        let base = compute.base(&base_path)?;
        let recipe = recipe(options, old.as_ref(), &base)?;
        let folder = read_folder(&photos_path)?;
        for (path, reason) in &folder.skipped {
            events.note(format!("skipped {}: {reason}", path.display()));
        }
        if folder.photos.len() == 1 {
            let warning = "there is only one photo: it is its own reference, and ViCo learns less \
                           than from four to seven";
            events.warning(warning);
        }
        let fingerprint = base.fingerprint()?;
        let inputs = Inputs { photos: photos_path, base: base_path, base_fingerprint: fingerprint };
        let outputs = outputs(options, old.as_ref(), adapter, &recipe);
        let run = Run { recipe, inputs, outputs };
        let resumed = old.is_some().then(|| resume(&run_dir, &run, compute.device())).transpose()?;
        let plan = Self { run, base, run_dir, resumed, photos: folder.photos };
        plan.announce(compute, events)?;
        Ok(plan)
    }

    /// Says what will be done and what it takes; refuses what cannot be.
    fn announce(&self, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        let recipe = &self.run.recipe;
        if let Some(parent) = self.run.outputs.adapter.parent() {
            let here = parent.as_os_str().is_empty();
            writable(if here { std::path::Path::new(".") } else { parent })?;
        }
        if self.run.outputs.adapter.is_dir() {
            return Err(Error::path(&self.run.outputs.adapter, "is a folder: name a file"));
        }
        let learned = vico::parameter_count(&self.base.configs().unet)
            + self.base.configs().text.hidden_size;
        events.note(format!(
            "{} photos, {} steps of {} samples at {}x{} pixels; {} values are learned ({:.2} % of \
             the U-Net's {})",
            self.photos.len(),
            recipe.steps,
            recipe.batch * recipe.accumulate,
            recipe.size,
            recipe.size,
            learned,
            100.0 * learned as f64 / self.base.parameters().unet as f64,
            self.base.parameters().unet
        ));
        let memory = Memory::of_training(compute, &self.base, learned, recipe.batch, recipe.size);
        events.note(memory.sentence());
        memory.check("lower --batch (and raise --accumulate), or lower --size")
    }

    fn train(self, device: &Device, logged: &mut Logged) -> Result<()> {
        let Self { run, base, resumed, photos, .. } = self;
        let recipe = &run.recipe;
        (logged as &mut dyn Events).stage("encoding the photos");
        let size = (recipe.size, recipe.size);
        let dataset = {
            let vae = base.vae_encoder()?;
            let scale = base.configs().vae.scaling_factor;
            let encode = |(path, photo): &(PathBuf, Picture)| {
                Encoded::new(path, photo, size, &vae, scale, device)
            };
            Dataset { photos: photos.iter().map(encode).collect() }
        };
        check_finite(&dataset)?;
        let first_photo = resize(&photos[0].1, size.0, size.1, Filter::Bilinear);
        drop(photos);

        (logged as &mut dyn Events).stage("loading the text encoder and the U-Net");
        let tokenizer = base.tokenizer()?;
        let (text, unet, schedule) = (base.text_encoder()?, base.unet()?, base.schedule());
        let parts = Parts { run: &run, base: &base, tokenizer: &tokenizer, text: &text, unet: &unet, schedule: &schedule };
        let (method, optimizer) = parts.method(resumed, device)?;
        let frozen = Frozen { text: &text, unet: &unet, schedule: &schedule };
        let mut trainer = Trainer::new(frozen, &tokenizer, &dataset, recipe, method);
        if let Some(optimizer) = optimizer {
            trainer.optimizer = optimizer;
        }
        parts.say_time(&dataset, &trainer, logged);
        let preview = Preview::new(&parts, first_photo)?;
        parts.steps(&mut trainer, &dataset, &preview, logged)
    }
}

/// Everything frozen that a training holds.
struct Parts<'a> {
    run: &'a Run,
    base: &'a Base,
    tokenizer: &'a Tokenizer,
    text: &'a TextEncoder,
    unet: &'a UNet,
    schedule: &'a Schedule,
}

/// Passes of the U-Net that a training step of one sample amounts to: two
/// streams forward, both again and backward in the replay.
const PASSES_PER_STEP: f64 = 6.5;

impl Parts<'_> {
    fn method(
        &self,
        resumed: Option<(Adapter, engine::optim::AdamW)>,
        device: &Device,
    ) -> Result<(Box<dyn Method>, Option<engine::optim::AdamW>)> {
        if let Some((adapter, optimizer)) = resumed {
            let method = adapter_file::method(&adapter, self.unet.sites(), self.text.width())?;
            return Ok((method, Some(optimizer)));
        }
        let recipe = &self.run.recipe;
        let token = self.text.token_embedding(self.tokenizer.single(&recipe.init_word)?);
        let draw = Draw::new(recipe.seed);
        let fresh = vico::Vico::new(self.unet.sites(), token, recipe.rates(), &draw, device);
        Ok((Box::new(fresh), None))
    }

    /// Times one pass of the U-Net and says how long the training will take.
    fn say_time(&self, dataset: &Dataset, trainer: &Trainer, logged: &mut Logged) {
        let latents = dataset.photos[0].mode();
        let width = self.text.width();
        let positions = self.base.configs().text.max_position_embeddings;
        let context = engine::tensor(
            vec![0.0; positions * width],
            [1, positions, width],
            &latents.device(),
        );
        let start = std::time::Instant::now();
        let out = self.unet.forward(latents, &[0.0], &context, &mut diffusion::unet::Plain);
        engine::values(out);
        let recipe = &self.run.recipe;
        let samples = (recipe.batch * recipe.accumulate) as f64;
        let step = start.elapsed().as_secs_f64() * PASSES_PER_STEP * samples;
        let left = recipe.steps.saturating_sub(trainer.steps()) as f64;
        (logged as &mut dyn Events).note(format!(
            "about {} a step, {} in all",
            crate::estimate::time_text(step),
            crate::estimate::time_text(step * left)
        ));
    }

    fn steps(
        &self,
        trainer: &mut Trainer,
        dataset: &Dataset,
        preview: &Preview,
        logged: &mut Logged,
    ) -> Result<()> {
        let (recipe, outputs) = (&self.run.recipe, &self.run.outputs);
        let total = recipe.steps;
        logged.event(&Event::Training { done: trainer.steps(), total });
        let due = |every: u64, step: u64| every > 0 && step % every == 0;
        let mut saved = trainer.steps();
        while trainer.steps() < total {
            if logged.stopped() {
                self.checkpoint(trainer, dataset, logged)?;
                return Err(RunError::Stopped.into());
            }
            let report = trainer.advance()?;
            logged.folder.metrics(&report)?;
            let step = report.step;
            logged.event(&Event::Step(report));
            if due(outputs.checkpoint_every, step) {
                self.checkpoint(trainer, dataset, logged)?;
                preview.masks(self, trainer, dataset, logged)?;
                saved = step;
            }
            if due(outputs.preview_every, step) {
                preview.pictures(self, trainer, dataset, logged)?;
            }
        }
        if saved < total || total == 0 {
            self.checkpoint(trainer, dataset, logged)?;
            preview.masks(self, trainer, dataset, logged)?;
        }
        let adapter = self.adapter(trainer, dataset);
        adapter.save(&outputs.adapter)?;
        logged.event(&Event::Wrote(outputs.adapter.clone()));
        Ok(())
    }

    /// An adapter of what is learned so far.
    fn adapter(&self, trainer: &Trainer, dataset: &Dataset) -> Adapter {
        let recipe = &self.run.recipe;
        let info = Info {
            method: recipe.method.clone(),
            placeholder: recipe.placeholder.clone(),
            init_word: recipe.init_word.clone(),
            base_name: self.base.name(),
            base_fingerprint: self.run.inputs.base_fingerprint.clone(),
            recipe: recipe.clone(),
            step: trainer.steps(),
            version: VERSION.into(),
        };
        let photos = if self.run.outputs.without_photos {
            Vec::new()
        } else {
            dataset.photos.iter().map(Photo::new).collect()
        };
        Adapter { info, params: trainer.method.params().clone(), photos }
    }

    /// The adapter as it is, and the state to resume from.
    fn checkpoint(&self, trainer: &Trainer, dataset: &Dataset, logged: &mut Logged) -> Result<()> {
        if trainer.steps() == 0 {
            return Ok(());
        }
        let adapter = self.adapter(trainer, dataset);
        let path = logged.folder.at_step("checkpoints", trainer.steps(), "safetensors");
        adapter.save(&path)?;
        logged.event(&Event::Wrote(path));
        let state = RunFolder::state(logged.folder.path());
        Ok(checkpoint::save(&state, &adapter, &trainer.optimizer)?)
    }

    fn placeholder(&self, method: &dyn Method) -> Placeholder<'_> {
        Placeholder { text: &self.run.recipe.placeholder, vectors: method.token_vectors() }
    }
}

/// The run folder that was named, or `NAME.run` beside the adapter.
fn run_dir(options: &Options) -> Result<PathBuf> {
    let beside = || options.output.as_ref().map(|output| output.with_extension("run"));
    options.run_dir.clone().or_else(beside).ok_or_else(|| {
        let which = if options.resume { "--resume RUN_DIR" } else { "--output" };
        Error::Usage(format!("{which} is missing"))
    })
}

/// The recipe: the paper's, or the resumed run's, with what was typed.
fn recipe(options: &Options, old: Option<&Run>, base: &Base) -> Result<Recipe> {
    let mut recipe = match (old, &options.init_word) {
        (Some(run), _) => run.recipe.clone(),
        (None, Some(word)) => Recipe::vico(word, base.default_size()),
        (None, None) => {
            let advice = "--init-word is missing: a single class word such as toy, dog or teapot";
            return Err(Error::Usage(advice.into()));
        }
    };
    options.recipe.apply(&mut recipe);
    recipe.check()?;
    base.check_size(recipe.size, recipe.size)?;
    let tokenizer = base.tokenizer()?;
    tokenizer.single(&recipe.init_word)?;
    if let Some(run) = old {
        let same = Recipe { steps: recipe.steps, ..run.recipe.clone() };
        let word = options.init_word.as_ref().unwrap_or(&recipe.init_word);
        if recipe != same || *word != recipe.init_word {
            return Err(Error::Usage(
                "a resumed run keeps its recipe; only --steps may change: leave the other options \
                 out, or start a new run in another --run-dir"
                    .into(),
            ));
        }
    }
    Ok(recipe)
}

fn outputs(
    options: &Options,
    old: Option<&Run>,
    adapter: PathBuf,
    recipe: &Recipe,
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
    Outputs {
        adapter,
        without_photos: options.without_photos || old.is_some_and(|o| o.without_photos),
        checkpoint_every: checkpoint_every.unwrap_or(CHECKPOINT_EVERY),
        preview_every: preview_every.unwrap_or(0),
        preview_prompts: prompts,
    }
}

/// The state of a run, after it was found to belong to the same base model.
fn resume(
    run_dir: &std::path::Path,
    run: &Run,
    device: &Device,
) -> Result<(Adapter, engine::optim::AdamW)> {
    let state = RunFolder::state(run_dir);
    if !state.is_file() {
        let what = "the run was stopped before its first checkpoint: start it anew in another \
                    --run-dir, or remove this one";
        return Err(Error::path(run_dir, what));
    }
    let (adapter, optimizer) = checkpoint::load(&state, device)?;
    let (was, is) = (&adapter.info.base_fingerprint, &run.inputs.base_fingerprint);
    if was != is {
        let what = format!("was trained on another base model ({was}) than --base ({is})");
        return Err(Error::path(state, what));
    }
    Ok((adapter, optimizer))
}

fn check_finite(dataset: &Dataset) -> Result<()> {
    for photo in &dataset.photos {
        if !engine::values(photo.mode()).iter().all(|v| v.is_finite()) {
            return Err(Error::from(RunError::NotFinite {
                tensor: "the latents".into(),
                place: photo.path.display().to_string(),
                advice: "the base model's VAE is damaged".into(),
            }));
        }
    }
    Ok(())
}
