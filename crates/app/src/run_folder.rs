//! The folder of a training: recipe, metrics, checkpoints, previews, log.
//!
//! ```text
//! recipe.toml                    everything that was decided
//! metrics.jsonl                  a line a step, and one an evaluation
//! events.out.tfevents.*          the same for TensorBoard
//! log.txt                        what was said, with seconds since the start
//! state.safetensors              the newest checkpoint with the optimizer
//! checkpoints/step-000100.safetensors   adapters
//! best.safetensors               the adapter that scored best
//! evaluations/step-000100.png    pictures that were scored
//! previews/step-000100.png       pictures of the preview prompts
//! masks/step-000100.png          the automatic masks over the first photo
//! class/picture-0001.png         pictures of the class that the base model drew
//! ```

use std::{
    fs::{self, File, TryLockError},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use personalize::{Recipe, generate::Job, trainer::Report};
use serde::{Deserialize, Serialize};

use crate::{
    Error, LoraFile, Result, Scored, generate::writable, tensorboard::EventFile, train::Evaluation,
};

/// `recipe.toml`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What decides the result.
    pub recipe: Recipe,
    /// What goes in.
    pub inputs: Inputs,
    /// What comes out, and when.
    pub outputs: Outputs,
    /// How it is scored on the way, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
}

/// Paths that go in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Folder of photos.
    pub photos: PathBuf,
    /// Folders of photos of the recipe's further concepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concepts: Vec<PathBuf>,
    /// Folders of pictures of the classes, for the thing and each concept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_photos: Vec<PathBuf>,
    /// Base model.
    pub base: PathBuf,
    /// LoRAs merged into it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<LoraFile>,
    /// Its fingerprint.
    pub base_fingerprint: String,
}

/// What a training writes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The adapter file.
    pub adapter: PathBuf,
    /// The photos' latents are left out of it.
    pub without_photos: bool,
    /// Steps between checkpoints; 0 for the end only.
    pub checkpoint_every: u64,
    /// Steps between previews; 0 for none.
    pub preview_every: u64,
    /// Prompts of the previews.
    pub preview_prompts: Vec<String>,
    /// Sampling steps of a preview.
    #[serde(default = "preview_steps")]
    pub preview_steps: usize,
}

/// What a run has that does not say it, and one whose user did not: as many steps as
/// `vico generate` takes.
pub(crate) fn preview_steps() -> usize {
    Job::new("", 0).steps
}

impl Outputs {
    /// Where a model is written that learned as a whole.
    pub fn model(&self) -> PathBuf {
        self.adapter.with_extension("model")
    }
}

const RECIPE: &str = "recipe.toml";
/// A line of values for each step.
pub(crate) const METRICS: &str = "metrics.jsonl";
const STATE: &str = "state.safetensors";
const BEST: &str = "best.safetensors";
/// Folder of the pictures that were scored.
const EVALUATIONS: &str = "evaluations";
const LOCK: &str = ".lock";
const FOLDERS: [&str; 3] = ["checkpoints", "previews", "masks"];

/// The most a `recipe.toml` may hold.
pub const RECIPE_LIMIT: u64 = 1 << 20;

/// A run folder that belongs to this process as long as it lives.
pub struct RunFolder {
    path: PathBuf,
    log: File,
    events: EventFile,
    start: Instant,
    _lock: File,
}

impl RunFolder {
    /// True if a run was begun in this folder.
    pub fn holds_run(path: &Path) -> bool {
        path.join(RECIPE).is_file()
    }

    /// Reads the recipe of a run.
    pub fn read(path: &Path) -> Result<Run> {
        let file = path.join(RECIPE);
        let wrong = |e: &dyn std::fmt::Display| Error::path(&file, e);
        let size = fs::metadata(&file).map_err(|e| wrong(&e))?.len();
        if size > RECIPE_LIMIT {
            return Err(wrong(&format!("{size} bytes long, expected a recipe")));
        }
        let text = fs::read_to_string(&file).map_err(|e| wrong(&e))?;
        toml::from_str(&text).map_err(|e| wrong(&e))
    }

    /// Takes a folder for a new run.
    ///
    /// # Errors
    /// If it cannot be written, holds a run already, or another process is at
    /// work in it.
    pub fn create(path: &Path, run: &Run) -> Result<Self> {
        writable(path)?;
        let folder = Self::lock(path, None)?;
        if Self::holds_run(path) {
            let what =
                "holds a run already: continue it with --resume, or choose another --run-dir";
            return Err(Error::path(path, what));
        }
        folder.write_recipe(run)?;
        Ok(folder)
    }

    /// Takes the folder of a run that goes on after `step`; lines of metrics
    /// beyond it are removed.
    pub fn reopen(path: &Path, run: &Run, step: u64) -> Result<Self> {
        writable(path)?;
        let folder = Self::lock(path, Some(step + 1))?;
        folder.write_recipe(run)?;
        folder.truncate_metrics(step)?;
        Ok(folder)
    }

    fn lock(path: &Path, resumed_at: Option<u64>) -> Result<Self> {
        let wrong = |e: std::io::Error| Error::path(path, e);
        let lock = File::create(path.join(LOCK)).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = "another run is at work in this folder: choose another --run-dir";
                return Err(Error::path(path, what));
            }
            Err(TryLockError::Error(e)) => return Err(wrong(e)),
        }
        for folder in FOLDERS {
            fs::create_dir_all(path.join(folder)).map_err(wrong)?;
        }
        let log = File::options().create(true).append(true).open(path.join("log.txt"));
        let log = log.map_err(wrong)?;
        let events = EventFile::create(path, resumed_at).map_err(wrong)?;
        Ok(Self { path: path.to_owned(), log, events, start: Instant::now(), _lock: lock })
    }

    fn write_recipe(&self, run: &Run) -> Result<()> {
        let text = toml::to_string(run).map_err(|e| Error::path(&self.path, e))?;
        Ok(formats::atomic_write(self.path.join(RECIPE), |w| w.write_all(text.as_bytes()))?)
    }

    /// Where the newest checkpoint with the optimizer lies.
    pub fn state(path: &Path) -> PathBuf {
        path.join(STATE)
    }

    /// Where the adapter lies that scored best.
    pub fn best(path: &Path) -> PathBuf {
        path.join(BEST)
    }

    /// Where the pictures of an evaluation go, in a folder that is made for it.
    pub fn evaluation(&self, step: u64) -> Result<PathBuf> {
        writable(&self.path.join(EVALUATIONS))?;
        Ok(self.at_step(EVALUATIONS, step, "png"))
    }

    /// `FOLDER/step-000100.EXTENSION`.
    pub fn at_step(&self, folder: &str, step: u64, extension: &str) -> PathBuf {
        self.path.join(folder).join(format!("step-{step:06}.{extension}"))
    }

    /// The folder for the pictures of a thing's class: `class`, `class-1`, ..
    pub fn class(&self, concept: usize) -> PathBuf {
        self.path.join(match concept {
            0 => "class".to_owned(),
            further => format!("class-{further}"),
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line to the log.
    pub fn log(&mut self, text: &str) -> Result<()> {
        let seconds = self.start.elapsed().as_secs_f64();
        writeln!(self.log, "{seconds:10.1} {text}").map_err(|e| Error::path(&self.path, e))
    }

    /// Adds a step to the metrics: a line of JSON, and TensorBoard's event.
    pub fn metrics(&mut self, report: &Report) -> Result<()> {
        self.line(report)?;
        let mut values = vec![("loss", report.loss), ("gradient_norm", report.gradient_norm)];
        values.extend(report.parts.iter().map(|(name, value)| (*name, *value)));
        self.scalars(report.step, &values)
    }

    /// Adds an evaluation to the same. The line is on the disk afterwards: a resumed run
    /// finds the best by it.
    pub fn scores(&mut self, scored: &Scored) -> Result<()> {
        let file = self.line(scored)?;
        file.sync_data().map_err(|e| Error::path(self.path.join(METRICS), e))?;
        let mut values = vec![("score", scored.score)];
        values.extend(scored.scores.iter().map(|(metric, mean)| (metric.name(), *mean)));
        self.scalars(scored.step, &values)
    }

    fn line(&self, values: &impl Serialize) -> Result<File> {
        let path = self.path.join(METRICS);
        let line = serde_json::to_string(values).map_err(|e| Error::path(&path, e))?;
        let file = File::options().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{line}").map(|()| file));
        written.map_err(|e| Error::path(&path, e))
    }

    fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        self.events.scalars(step, values).map_err(|e| Error::path(&self.path, e))
    }

    /// Steps and scores of the evaluations in the metrics, in order.
    pub fn scored(&self) -> Result<Vec<(u64, f64)>> {
        #[derive(Deserialize)]
        struct Line {
            step: u64,
            score: Option<f64>,
        }
        let path = self.path.join(METRICS);
        let Ok(file) = File::open(&path) else { return Ok(Vec::new()) };
        let lines = BufReader::new(file).lines();
        let of = |line: std::io::Result<String>| {
            let line = line.map_err(|e| Error::path(&path, e))?;
            let Line { step, score } =
                serde_json::from_str(&line).map_err(|e| Error::path(&path, e))?;
            Ok(score.map(|score| (step, score)))
        };
        lines.map(of).filter_map(Result::transpose).collect()
    }

    fn truncate_metrics(&self, step: u64) -> Result<()> {
        #[derive(Deserialize)]
        struct Line {
            step: u64,
        }
        let path = self.path.join(METRICS);
        let Ok(file) = File::open(&path) else { return Ok(()) };
        let kept: Vec<String> = BufReader::new(file)
            .lines()
            .map_while(|line| line.ok())
            .take_while(|l| serde_json::from_str::<Line>(l).is_ok_and(|l| l.step <= step))
            .collect();
        Ok(formats::atomic_write(path, |w| kept.iter().try_for_each(|line| writeln!(w, "{line}")))?)
    }
}
