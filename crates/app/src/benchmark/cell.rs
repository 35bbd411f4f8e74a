//! A cell: one concept learned by one method, and what is drawn with it.
//!
//! ```text
//! cells/CONCEPT/METHOD/
//!   run/                      the run folder of the training
//!   adapter.safetensors       written last: the training has ended
//!   pictures/PROMPT/          picture-0000.png, ..
//!   costs.json                seconds and memory
//!   features-CLIP.safetensors what an encoder saw in the pictures
//! ```

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Instant,
};

use formats::TensorFile;
use personalize::{Recipe, adapter::Info};

use super::{
    costs::{Costs, Part},
    plan::{Concept, Method, Plan},
};
use crate::{
    Compute, Error, Events, Result,
    estimate::reset_peak_memory,
    generate,
    run_folder::RunFolder,
    series::{self, Series, slug},
    train::{self, Evaluation},
};

/// Where the cells lie in the folder of a benchmark.
const CELLS: &str = "cells";

/// One concept by one method.
pub(super) struct Cell<'a> {
    pub plan: &'a Plan,
    /// Indices in the plan.
    pub at: (usize, usize),
    pub recipe: Recipe,
    /// How it is scored on the way, if it is.
    pub evaluation: Option<Evaluation>,
    pub folder: PathBuf,
}

impl<'a> Cell<'a> {
    /// A cell in the folder of a benchmark.
    ///
    /// # Errors
    /// If it was trained with another recipe.
    pub fn new(
        plan: &'a Plan,
        (concept, method): (usize, usize),
        (recipe, evaluation): (Recipe, Option<Evaluation>),
        output: &Path,
    ) -> Result<Self> {
        let names = [&plan.concepts[concept].name, &plan.methods[method].name].map(|n| slug(n));
        let folder = names.iter().fold(output.join(CELLS), |folder, name| folder.join(name));
        let cell = Self { plan, at: (concept, method), recipe, evaluation, folder };
        if cell.is_trained() {
            let info = Info::from_metadata(&TensorFile::open(cell.adapter())?)?;
            cell.check(&info.recipe, &cell.adapter())?;
        } else if RunFolder::holds_run(&cell.run_dir()) {
            cell.check(&RunFolder::read(&cell.run_dir())?.recipe, &cell.run_dir())?;
        }
        Ok(cell)
    }

    /// Compares a recipe with the plan's, but for how weights are kept in memory.
    fn check(&self, found: &Recipe, path: &Path) -> Result<()> {
        let expected = Recipe { frozen_weights: found.frozen_weights, ..self.recipe.clone() };
        if *found == expected {
            return Ok(());
        }
        let what = "was trained with another recipe than the plan's: the plan, the base model's own \
                    recipe or the program changed; put it back, or remove the cell's folder";
        Err(Error::path(path, what))
    }

    pub fn concept(&self) -> &Concept {
        &self.plan.concepts[self.at.0]
    }

    pub fn method(&self) -> &Method {
        &self.plan.methods[self.at.1]
    }

    /// `CONCEPT by METHOD`.
    pub fn name(&self) -> String {
        format!("{} by {}", self.concept().name, self.method().name)
    }

    /// How it was trained, in a line.
    pub fn recipe_text(&self) -> String {
        if self.method().untrained {
            return "the base with the class word, untrained".into();
        }
        let Recipe { method, steps, batch, accumulate, size, .. } = &self.recipe;
        let keys = self.method().keys.iter().filter(|(key, _)| *key != "method");
        let typed = keys.map(|(key, value)| format!(", {key} = {value}")).collect::<String>();
        let times = if *accumulate > 1 { format!(" x {accumulate}") } else { String::new() };
        format!("{method}, {steps} steps of {batch}{times} samples at {size} pixels{typed}")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn adapter(&self) -> PathBuf {
        self.folder.join("adapter.safetensors")
    }

    pub fn is_trained(&self) -> bool {
        self.adapter().is_file()
    }

    /// True if steps are left. The base takes none.
    pub fn is_to_train(&self) -> bool {
        !self.method().untrained && !self.is_trained()
    }

    /// The pictures by prompt.
    pub fn pictures(&self) -> Vec<Vec<PathBuf>> {
        let samples = self.plan.drawing.samples;
        let of = |prompt: &String| series::files(&self.pictures_of(prompt), samples);
        self.concept().prompts.iter().map(of).collect()
    }

    /// The folder of a prompt's pictures. Its name has a digest of the whole prompt.
    fn pictures_of(&self, prompt: &str) -> PathBuf {
        let mut name = slug(prompt);
        name.truncate(LONGEST_NAME);
        let digest = engine::rng::TorchRng::derive(0, prompt).next_u32();
        self.folder.join("pictures").join(format!("{name}-{digest:08x}"))
    }

    /// Pictures that are not there.
    pub fn missing(&self) -> usize {
        self.pictures().iter().flatten().filter(|file| !file.exists()).count()
    }

    pub fn is_done(&self) -> bool {
        self.is_trained() && self.missing() == 0
    }

    /// Trains and draws what is not there yet. `false` if another process is at it.
    ///
    /// # Errors
    /// As training and drawing have them; a stopped one goes on when this is called again.
    pub fn work(&self, compute: &Compute, events: &mut dyn Events) -> Result<bool> {
        let wrong = |e: std::io::Error| Error::path(&self.folder, e);
        fs::create_dir_all(&self.folder).map_err(wrong)?;
        let lock = File::create(self.folder.join(".lock")).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(e)) => return Err(wrong(e)),
        }
        if !self.is_trained() {
            self.measured(Part::Training, || self.train(compute, events))?;
        }
        self.tidy()?;
        if self.missing() > 0 {
            self.measured(Part::Drawing, || self.draw(compute, events))?;
        }
        Ok(true)
    }

    fn train(&self, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        let run_dir = self.run_dir();
        let resume = RunFolder::state(&run_dir).is_file();
        if !resume {
            clear(&run_dir)?;
        }
        let options = train::Options {
            output: Some(self.adapter()),
            run_dir: Some(run_dir),
            resume,
            ..self.plan.training(self.concept(), self.method())
        };
        train::run(&options, compute, events)
    }

    /// Removes what is only needed to go on with a training that has ended.
    fn tidy(&self) -> Result<()> {
        if self.plan.runs.keep_checkpoints {
            return Ok(());
        }
        for file in [RunFolder::state(&self.run_dir()), RunFolder::best(&self.run_dir())] {
            if file.exists() {
                fs::remove_file(&file).map_err(|e| Error::path(&file, e))?;
            }
        }
        let checkpoints = self.run_dir().join("checkpoints");
        match checkpoints.exists() {
            true => fs::remove_dir_all(&checkpoints).map_err(|e| Error::path(&checkpoints, e)),
            false => Ok(()),
        }
    }

    fn draw(&self, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        Series::new(self.jobs(), self.plan.drawing.samples)?.draw(compute, events)
    }

    /// How the pictures of each prompt are drawn.
    fn jobs(&self) -> Vec<generate::Options> {
        let drawing = &self.plan.drawing;
        let guidance = drawing.scales(&self.recipe.method);
        let job = |prompt: &String| generate::Options {
            base: self.plan.base.clone(),
            loras: self.plan.loras.clone(),
            adapter: Some(self.adapter()),
            prompt: prompt.clone(),
            negative: drawing.negative.clone(),
            steps: drawing.steps,
            guidance: Some(guidance.text),
            reference_guidance: Some(guidance.reference),
            sampler: drawing.sampler.clone(),
            width: drawing.size,
            height: drawing.size,
            seed: self.plan.seed_of(&format!("drawing/{}/{prompt}", self.concept().name)),
            batch: drawing.batch,
            output: self.pictures_of(prompt),
            ..generate::Options::default()
        };
        self.concept().prompts.iter().map(job).collect()
    }

    /// What the cell took so far.
    pub fn costs(&self) -> Result<Costs> {
        Costs::read(&self.folder)
    }

    /// Does a part of the work and adds what it took, even if it was stopped.
    fn measured(&self, part: Part, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let before = self.missing();
        let resettable = reset_peak_memory();
        let started = Instant::now();
        let result = work();
        let mut costs = self.costs()?;
        costs.add(part, started.elapsed().as_secs_f64(), resettable);
        if part == Part::Drawing {
            costs.pictures += before - self.missing();
        }
        costs.write(&self.folder)?;
        result
    }
}

/// Bytes of the readable part of a folder's name.
const LONGEST_NAME: usize = 48;

/// Empties the folder of a run that was ended before its first checkpoint, but for the
/// pictures of the class that it drew.
fn clear(run_dir: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(run_dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_class = entry.file_name().to_string_lossy().starts_with("class");
        let removed = match path.is_dir() {
            true if is_class => Ok(()),
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.map_err(|e| Error::path(path, e))?;
    }
    Ok(())
}
