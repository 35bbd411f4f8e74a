//! Pictures of several prompts that are drawn to be judged: prompt by prompt, never one twice.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use personalize::{generate::Guidance, methods};

use crate::{Compute, Error, Event, Events, Result, generate, pictures::numbered, repeat};

/// What is drawn with one adapter, and what of it is not there.
pub(crate) struct Series {
    /// How the pictures of each prompt are drawn, and where; the first seed is that of all.
    jobs: Vec<generate::Options>,
    /// The runs of pictures of each prompt that are not there.
    missing: Vec<Vec<Range<usize>>>,
    /// Pictures of each prompt.
    samples: usize,
}

impl Series {
    /// Finds out which pictures are not there.
    ///
    /// # Errors
    /// If the adapter cannot be read, or a picture is there that was drawn otherwise.
    pub fn new(jobs: Vec<generate::Options>, samples: usize) -> Result<Self> {
        let adapter = jobs.first().and_then(|job| job.adapter.as_deref());
        let adapter = adapter.map(formats::sha256_of).transpose()?;
        let missing = jobs.iter().map(|job| missing_of(job, samples, adapter.as_ref()));
        let missing = missing.collect::<Result<_>>()?;
        Ok(Self { jobs, missing, samples })
    }

    /// Number of pictures that are not there.
    pub fn left(&self) -> usize {
        self.missing.iter().flatten().map(Range::len).sum()
    }

    /// The files of each prompt.
    pub fn files(&self) -> Vec<Vec<PathBuf>> {
        self.jobs.iter().map(|job| files(&job.output, self.samples)).collect()
    }

    /// Draws what is missing.
    pub fn draw(self, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        let left = self.left();
        let all = self.jobs.len() * self.samples;
        events.note(format!("{} of {all} pictures are there, {left} are drawn", all - left));
        let mut part = Part::of(left, events);
        for (job, runs) in self.jobs.into_iter().zip(self.missing) {
            for run in runs {
                let seed = job.seed.wrapping_add(run.start as u64);
                let job = generate::Options { seed, count: Some(run.len()), ..job.clone() };
                part.begin(run.len());
                generate::run(&job, compute, &mut part)?;
            }
        }
        Ok(())
    }
}

/// The files of a prompt's pictures in their folder.
pub(crate) fn files(folder: &Path, samples: usize) -> Vec<PathBuf> {
    (0..samples).map(|i| numbered(folder, generate::NAME, i)).collect()
}

/// The runs of pictures of a prompt that are not there yet.
///
/// # Errors
/// If one is there that was drawn otherwise.
fn missing_of(
    job: &generate::Options,
    count: usize,
    adapter: Option<&String>,
) -> Result<Vec<Range<usize>>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in 0..count {
        let path = numbered(&job.output, generate::NAME, i);
        if path.exists() {
            check(&path, job, job.seed.wrapping_add(i as u64), adapter)?;
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == i => last.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    Ok(runs)
}

/// Finds out whether a picture is the one that would be drawn.
fn check(path: &Path, job: &generate::Options, seed: u64, adapter: Option<&String>) -> Result<()> {
    let was = repeat::options(path)?;
    let files = was.recorded.as_ref().map(|recorded| &recorded.files);
    let same_adapter = files.zip(was.adapter.as_ref()).and_then(|(f, a)| f.get(a)) == adapter;
    // What changes nothing in a picture, or is compared otherwise.
    let bare = |options: &generate::Options| generate::Options {
        adapter: None,
        output: PathBuf::new(),
        save_latents: None,
        recorded: None,
        count: None,
        batch: 1,
        init_row: 0,
        seed,
        ..options.clone()
    };
    if same_adapter && was.seed == seed && bare(&was) == bare(job) {
        return Ok(());
    }
    let what = "it was drawn with another adapter, base model or settings than are asked for: \
                name another --output, or remove it";
    Err(Error::path(path, what))
}

/// One job of several as a part of the whole.
pub(crate) struct Part<'a> {
    events: &'a mut dyn Events,
    /// Pictures drawn in the jobs before.
    before: usize,
    /// Pictures of this job.
    now: usize,
    /// Pictures of all jobs.
    left: usize,
}

impl<'a> Part<'a> {
    /// Before the first job, of so many pictures in all.
    pub fn of(pictures: usize, events: &'a mut dyn Events) -> Self {
        Self { events, before: 0, now: 0, left: pictures }
    }

    /// The next job begins, which has so many pictures.
    pub fn begin(&mut self, pictures: usize) {
        self.before += self.now;
        self.now = pictures;
    }
}

impl Events for Part<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Drawing { done, total } => {
                let steps = total / self.now;
                let (done, total) = (self.before * steps + done, self.left * steps);
                self.events.event(&Event::Drawing { done, total });
            }
            // What the first job said holds for the others.
            Event::Stage(_) | Event::Note(_) | Event::Warning(_) if self.before > 0 => {}
            Event::Wrote(_) => {}
            other => self.events.event(other),
        }
    }

    fn stopped(&self) -> bool {
        self.events.stopped()
    }
}

/// Passes of the U-Net for one sample that so many steps of sampling amount to, with a
/// method's guidance.
pub(crate) fn passes(method: &str, guidance: Guidance, steps: usize) -> f64 {
    let streams = match methods::looks_at_references(method) {
        true => guidance.predictions() as f64 + REFERENCE,
        false => GUIDED,
    };
    streams * steps as f64
}

/// Passes of a drawing step with guidance.
const GUIDED: f64 = 2.0;
/// Passes of a reference beside them.
const REFERENCE: f64 = 1.0;

/// A name as one of a folder: `photos of a cat` is `photos-of-a-cat`.
pub(crate) fn slug(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let plain: String = name.chars().map(letter).collect();
    plain.split_whitespace().collect::<Vec<_>>().join("-")
}
