use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use evaluate::scores::Metric;
use images::Picture;
use personalize::trainer::Report;
use serde::Serialize;

/// What happens in a run, in order.
#[derive(Clone, Debug)]
pub enum Event {
    /// Work that takes a while begins.
    Stage(String),
    /// Something worth knowing.
    Note(String),
    /// Something is probably not as intended.
    Warning(String),
    /// Training begins after `done` steps.
    Training {
        /// Steps taken before.
        done: u64,
        /// Steps of the recipe.
        total: u64,
    },
    /// An optimizer step was taken.
    Step(Report),
    /// Drawing went on: sampling steps over all pictures.
    Drawing {
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// The preview prompts were drawn after so many steps, one picture each.
    Preview {
        /// Steps taken.
        step: u64,
        /// A picture for each prompt.
        pictures: Vec<Picture>,
    },
    /// What is learned was scored on the way.
    Scored(Scored),
    /// Judging went on: pictures that an encoder has seen.
    Judging {
        /// Pictures done.
        done: usize,
        /// Pictures in all.
        total: usize,
    },
    /// A cell of a benchmark begins.
    Cell {
        /// `CONCEPT by METHOD`.
        name: String,
        /// Which of those that are left, from 1.
        number: usize,
        /// How many are left.
        total: usize,
        /// How long all of them take, in words.
        left: String,
    },
    /// A file of a model is being fetched.
    Fetching {
        /// Its name.
        file: String,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A file was written.
    Wrote(PathBuf),
}

/// What is learned after some steps, as encoders judge a few pictures of it; also a line of
/// `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// Steps taken.
    pub step: u64,
    /// Means over the pictures.
    #[serde(flatten)]
    pub scores: BTreeMap<Metric, f64>,
    /// The one number that decides which is best, see [`evaluate::scores::balance`].
    pub score: f64,
    /// It is the best so far.
    pub best: bool,
    /// The steps of the best so far.
    #[serde(skip)]
    pub best_step: u64,
    /// Evaluations in a row, this one included, that found none better.
    #[serde(skip)]
    pub without: u64,
}

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { step, scores, score, best, best_step, without } = self;
        write!(f, "step {step}: ")?;
        for metric in [Metric::DinoImage, Metric::ClipImage, Metric::ClipText] {
            if let Some(mean) = scores.get(&metric) {
                write!(f, "{} {mean:.4}, ", metric.name())?;
            }
        }
        match best {
            true => write!(f, "score {score:.4}, the best so far"),
            false => write!(
                f,
                "score {score:.4}, no better than that of step {best_step} ({without} in a row)"
            ),
        }
    }
}

/// Whoever follows a run.
pub trait Events {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// True once the user wants the run to end; it ends after the step at
    /// hand, with everything saved.
    fn stopped(&self) -> bool;
}

/// Short forms for those who report.
impl dyn Events + '_ {
    pub(crate) fn stage(&mut self, text: impl Into<String>) {
        self.event(&Event::Stage(text.into()));
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.event(&Event::Note(text.into()));
    }

    pub(crate) fn warning(&mut self, text: impl Into<String>) {
        self.event(&Event::Warning(text.into()));
    }

    pub(crate) fn wrote(&mut self, path: &Path) {
        self.event(&Event::Wrote(path.to_owned()));
    }
}

/// Passes on progress and warnings alone, of work that is a part of something larger.
pub(crate) struct Quiet<'a>(pub &'a mut dyn Events);

impl Events for Quiet<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Stage(_) | Event::Note(_) | Event::Scored(_) | Event::Wrote(_) => {}
            other => self.0.event(other),
        }
    }

    fn stopped(&self) -> bool {
        self.0.stopped()
    }
}
