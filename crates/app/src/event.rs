use std::path::{Path, PathBuf};

use images::Picture;
use personalize::trainer::Report;

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
