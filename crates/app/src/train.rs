//! `vico train`.

mod class;
mod encoding;
mod evaluation;
mod options;
mod preview;
mod recipe_file;
mod scoring;
mod steps;

use std::path::{Path, PathBuf};

use diffusion::Base;
use engine::{Device, optim::AdamW};
use images::{read_folder, read_mask};
use personalize::{
    Adapter, Recipe, checkpoint,
    methods::{self, Frozen, parameter_count},
    trainer::Trainer,
};

use crate::{
    Compute, DEFAULT_BASE, Error, Event, Events, Result,
    estimate::Memory,
    generate::writable,
    lora::open_base,
    recommended,
    run_folder::{Inputs, Run, RunFolder},
};
use encoding::{Encoding, Photos};
use options::{outputs, recipe, run_dir};
use preview::Preview;
use scoring::{Judge, Scoring};
use steps::Parts;

pub(crate) use evaluation::KEYS_OF_METHODS;
pub use evaluation::{Evaluation, EvaluationOptions};
pub(crate) use options::resolved;
pub use options::{ConceptPhotos, Options, RecipeOptions, VicoOptions};
pub use personalize::methods::vico::variant::{Injection, Placement};
pub use recipe_file::RecipeFile;
pub(crate) use recipe_file::recipe_keys;
pub(crate) use steps::{pass_seconds, passes};

/// A training that was checked and can begin.
struct Plan {
    run: Run,
    base: Base,
    run_dir: PathBuf,
    /// Adapter and optimizer of a resumed run.
    resumed: Option<(Adapter, AdamW)>,
    photos: Photos,
    /// Of the recipe's further concepts.
    concepts: Vec<Photos>,
    /// Pictures of the classes, if the user has some.
    class_photos: Vec<Photos>,
    /// If it is scored on the way.
    judge: Option<Judge>,
    /// No step is taken.
    untrained: bool,
    /// There is memory for tapes that stay.
    tapes: bool,
}

/// Trains an adapter.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let plan = Plan::new(options, compute, events)?;
    if options.dry_run {
        plan.say_time(compute.device(), events)?;
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
    let advice = "lower --batch (and raise --accumulate) or --size; what was saved last is kept in \
                  the run folder";
    let result = compute.guarded(advice, || plan.train(compute.device(), &mut logged));
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
            Event::Training { .. }
            | Event::Step(_)
            | Event::Drawing { .. }
            | Event::Judging { .. }
            | Event::Cell { .. }
            | Event::Fetching { .. }
            | Event::Preview { .. } => None,
            Event::Scored(scored) => Some(scored.to_string()),
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
        let mut options = options.clone();
        let file = options.recipe_file.as_deref().map(RecipeFile::read).transpose()?;
        if let (Some(file), false) = (&file, options.resume) {
            file.fill(&mut options);
        }
        let options = &options;
        if options.resume && file.is_some() {
            return Err(Error::Usage("a resumed run keeps its recipe: leave --recipe out".into()));
        }
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
        let old_base = old_inputs.map(|i| &i.base);
        let base_path =
            options.base.as_ref().or(old_base).cloned().unwrap_or_else(|| DEFAULT_BASE.into());
        let photos_path =
            given(&options.photos, old_inputs.map(|i| &i.photos), "PHOTOS (the folder of photos)")?;
        let adapter = given(
            &options.output,
            old.as_ref().map(|run| &run.outputs.adapter),
            "--output (the adapter file to write)",
        )?;
        let loras = match (&options.loras[..], old_inputs) {
            ([], Some(inputs)) => inputs.loras.clone(),
            (typed, _) => typed.to_vec(),
        };
        let base = open_base(compute, &base_path, &loras, events)?;
        let recipe = recipe(options, file.as_ref(), old.as_ref(), &base)?;
        let evaluation = options.evaluation.settled(
            old.as_ref().and_then(|run| run.evaluation.as_ref()),
            &recipe,
            &base.schedule(),
            recommended::guidance(&base, Some(&recipe.method))?,
            base_path == Path::new(DEFAULT_BASE),
        )?;
        if methods::is_whole_model(&recipe) {
            base.check_folder()?;
        }
        let learned = parameter_count(&recipe, &base);
        let need = |way: &Compute| Memory::of_training(way, &base, learned, &recipe);
        let total = |way: &Compute| need(way).total();
        let way = match &old {
            Some(run) => compute.resumed(run.recipe.frozen_weights, total, events)?,
            None => compute.recorded(recipe.frozen_weights, events)?.fitted(total, events)?,
        };
        let memory = need(&way).with_tapes(&way, &base, &recipe);
        let base = way.keep(base);
        let recipe = Recipe { frozen_weights: way.weights(), ..recipe };
        let concept_paths = match (&options.concepts[..], old_inputs) {
            ([], Some(inputs)) => inputs.concepts.clone(),
            (typed, _) => typed.iter().map(|concept| concept.photos.clone()).collect(),
        };
        let class_paths = match (&options.class_photos[..], old_inputs) {
            ([], Some(inputs)) => inputs.class_photos.clone(),
            (typed, _) => typed.to_vec(),
        };
        class::check(&class_paths, &recipe)?;
        let photos = read_photos(&photos_path, events)?;
        if photos.len() == 1 {
            let warning = "there is only one photo: it is its own reference, and ViCo learns less \
                           than from four to seven";
            events.warning(warning);
        }
        let mut read = |paths: &[PathBuf]| -> Result<Vec<Photos>> {
            paths.iter().map(|path| read_photos(path, events)).collect()
        };
        let (concepts, class_photos) = (read(&concept_paths)?, read(&class_paths)?);
        let fingerprint = base.fingerprint()?;
        let inputs = Inputs {
            photos: photos_path,
            concepts: concept_paths,
            class_photos: class_paths,
            base: base_path,
            loras,
            base_fingerprint: fingerprint,
        };
        let outputs = outputs(options, old.as_ref(), adapter, &recipe, learned);
        Error::unless_within("--preview-steps", outputs.preview_steps, base.schedule().len())?;
        let mut run = Run { recipe, inputs, outputs, evaluation };
        let judge = Judge::of(&mut run, &photos, &way, events)?;
        let resumed =
            old.is_some().then(|| resume(&run_dir, &run, compute.device())).transpose()?;
        let untrained = options.untrained;
        let tapes = memory.tapes > 0;
        let plan = Self {
            run,
            base,
            run_dir,
            resumed,
            photos,
            concepts,
            class_photos,
            judge,
            untrained,
            tapes,
        };
        plan.announce(&memory, compute, events)?;
        Ok(plan)
    }

    /// Says what will be done and what it takes; refuses what cannot be.
    fn announce(&self, memory: &Memory, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        let recipe = &self.run.recipe;
        if let Some(parent) = self.run.outputs.adapter.parent() {
            let here = parent.as_os_str().is_empty();
            writable(if here { Path::new(".") } else { parent })?;
        }
        if self.run.outputs.adapter.is_dir() {
            return Err(Error::path(&self.run.outputs.adapter, "is a folder: name a file"));
        }
        let learned = parameter_count(recipe, &self.base);
        events.note(format!(
            "{} photos, {} steps of {} samples at {}x{} pixels; {} values are learned ({:.2} % of \
             the U-Net's {})",
            self.photos.len() + self.concepts.iter().map(Vec::len).sum::<usize>(),
            recipe.steps,
            recipe.samples(),
            recipe.size,
            recipe.size,
            learned,
            100.0 * learned as f64 / self.base.parameters().unet.all as f64,
            self.base.parameters().unet.all
        ));
        if let Some(folder) = self.model_folder() {
            events.note(format!("the whole model will be written to {}", folder.display()));
        }
        let differences = recipe.vico.differences();
        if !differences.is_empty() {
            events.note(format!("unlike the paper: {}", differences.join(", ")));
        }
        events.note(memory.sentence());
        let whole = methods::is_whole_model(recipe) && memory.learned > memory.activations;
        let advice = if whole {
            "learn a LoRA instead (--lora-rank 4), or another --method"
        } else {
            "lower --batch (and raise --accumulate), or lower --size"
        };
        memory.check(compute, advice)
    }

    /// Loads the U-Net to say how long the training would take.
    fn say_time(&self, device: &Device, events: &mut dyn Events) -> Result<()> {
        events.stage("timing a pass of the U-Net");
        let unet = self.base.unet()?.with_tapes(self.tapes);
        let taken = self.resumed.as_ref().map_or(0, |(_, optimizer)| optimizer.steps());
        let drawn = self.class_pictures();
        events.note(steps::time(&self.base, &unet, &self.run, taken, drawn, device));
        Ok(())
    }

    /// Pictures of the classes that the base draws at most.
    fn class_pictures(&self) -> usize {
        let recipe = &self.run.recipe;
        let draws = recipe.prior_weight > 0.0 && self.class_photos.is_empty();
        if draws { recipe.prior_images * (1 + recipe.concepts.len()) } else { 0 }
    }

    /// Where a model is written that learned as a whole: `NAME.model` beside the adapter.
    fn model_folder(&self) -> Option<PathBuf> {
        let whole = methods::is_whole_model(&self.run.recipe);
        whole.then(|| self.run.outputs.model())
    }

    fn train(self, device: &Device, logged: &mut Logged) -> Result<()> {
        let Self {
            run,
            base,
            resumed,
            photos,
            concepts,
            class_photos,
            judge,
            untrained,
            tapes,
            ..
        } = self;
        let recipe = &run.recipe;
        (logged as &mut dyn Events).stage("encoding the photos");
        let mut dataset = Encoding::new(&base, recipe, device)?.dataset(&photos, &concepts)?;
        let drawn = dataset.photos.iter().filter(|photo| photo.mask().is_some()).count();
        if drawn > 0 {
            let events = logged as &mut dyn Events;
            events.note(format!("{drawn} of {} photos have a drawn mask", dataset.photos.len()));
            if !recipe.vico.mask {
                events.warning("they are not used: --no-mask leaves nothing out");
            }
        }
        // The VAE's buffers are larger than any of the training's, and done with.
        engine::release_buffers();
        let first_photo = photos.into_iter().next().expect("a folder has a photo").1;

        (logged as &mut dyn Events).stage("loading the text encoder and the U-Net");
        let tokenizer = base.tokenizer()?;
        let (text, schedule) = (base.text_encoder()?, base.schedule());
        let unet = base.unet()?.with_tapes(tapes);
        let parts = Parts {
            run: &run,
            base: &base,
            tokenizer: &tokenizer,
            text: &text,
            unet: &unet,
            schedule: &schedule,
        };
        if recipe.prior_weight > 0.0 {
            let pictures = match &class_photos[..] {
                [] => class::pictures(&parts, logged)?,
                own => own.to_vec(),
            };
            (logged as &mut dyn Events).stage("encoding pictures of the class");
            let encoding = Encoding::new(&base, recipe, device)?;
            let encode = |pictures| encoding.encode(pictures);
            dataset.classes = pictures.iter().map(encode).collect::<Result<_>>()?;
            engine::release_buffers();
        }
        let (method, optimizer) = parts.method(resumed)?;
        let frozen = Frozen { text: &text, unet: &unet, schedule: &schedule };
        let mut trainer = Trainer::new(frozen, &tokenizer, &dataset, recipe, method);
        if let Some(optimizer) = optimizer {
            trainer.optimizer = optimizer;
        }
        if untrained {
            return parts.finish(&trainer, &dataset, logged);
        }
        let time = steps::time(&base, &unet, &run, trainer.steps(), 0, device);
        (logged as &mut dyn Events).note(time);
        let preview = Preview::new(&parts, first_photo)?;
        let method = trainer.method.as_ref();
        let mut scoring = Scoring::of(&parts, method, judge.as_ref(), &logged.folder)?;
        parts.steps(&mut trainer, &dataset, &preview, &mut scoring, logged)
    }
}

/// The photos of a folder, whose drawn masks can be read; what else lies there is said.
fn read_photos(path: &Path, events: &mut dyn Events) -> Result<Photos> {
    let folder = read_folder(path)?;
    for (path, reason) in &folder.skipped {
        events.note(format!("skipped {}: {reason}", path.display()));
    }
    for (path, photo) in &folder.photos {
        // Found out now, and read again when the photo is encoded.
        read_mask(path, (photo.width(), photo.height()))?;
    }
    Ok(folder.photos)
}

/// The state of a run, after it was found to belong to the same base model, kept
/// the same way.
fn resume(run_dir: &Path, run: &Run, device: &Device) -> Result<(Adapter, AdamW)> {
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
    let (was, is) = (adapter.info.recipe.frozen_weights, run.recipe.frozen_weights);
    if was != is {
        let what = format!(
            "was trained with {}, recipe.toml says {}: put back what was written there",
            was.description(),
            is.description()
        );
        return Err(Error::path(state, what));
    }
    Ok((adapter, optimizer))
}
