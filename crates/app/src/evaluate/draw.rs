//! Pictures that are drawn to be judged: prompt by prompt, never one twice.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use evaluate::{prompts, study::Sample};
use formats::TensorFile;
use personalize::adapter::Info;

use super::{Judged, settings, slug};
use crate::{
    Compute, DEFAULT_BASE, Error, Event, Events, Result, generate, pictures::numbered, repeat,
};

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// How; prompt, count and output are filled in.
    pub options: generate::Options,
    /// A set of prompts of ours, or a file of them.
    pub prompts: PathBuf,
    /// Pictures of each prompt; picture i has the first seed + i.
    pub samples: usize,
}

/// Where the pictures go, in the folder of the report.
const FOLDER: &str = "pictures";

/// The most pictures of a prompt.
const MOST: usize = 10_000;

/// What is drawn, and what of it is there.
pub(super) struct Plan {
    info: Info,
    prompts: Vec<String>,
    /// How the pictures of each prompt are drawn, the first seed being that of all.
    jobs: Vec<generate::Options>,
    /// The runs of pictures of each prompt that are not there.
    missing: Vec<Vec<Range<usize>>>,
    samples: usize,
    /// The base model is the one inside the program.
    inside: bool,
    recipe: Vec<(String, String)>,
}

impl Plan {
    /// Finds out what is to be drawn into the folder of a report.
    ///
    /// # Errors
    /// If the adapter or the prompts cannot be read, or a picture is there that was drawn
    /// otherwise.
    pub fn new(drawing: &Drawing, output: &Path) -> Result<Self> {
        let Drawing { options, samples, .. } = drawing;
        let samples = *samples;
        if !(1..=MOST).contains(&samples) {
            let what = format!("--samples is {samples}, expected a number from 1 to {MOST}");
            return Err(Error::Usage(what));
        }
        let info = Info::from_metadata(&TensorFile::open(&options.adapter)?)?;
        let prompts = prompts::read(&drawing.prompts, &info.placeholder)?;
        let job = |(number, prompt): (usize, &String)| generate::Options {
            prompt: prompt.clone(),
            output: output.join(FOLDER).join(slug(number, prompt)),
            ..options.clone()
        };
        let jobs: Vec<generate::Options> = prompts.iter().enumerate().map(job).collect();
        let adapter = formats::sha256_of(&options.adapter)?;
        let missing = jobs.iter().map(|job| missing_of(job, samples, &adapter));
        let missing = missing.collect::<Result<_>>()?;
        let inside = options.base == Path::new(DEFAULT_BASE);
        Ok(Self { info, prompts, jobs, missing, samples, inside, recipe: settings(options) })
    }

    /// What is judged once all is drawn.
    pub fn judged(&self) -> Judged {
        let place = |(prompt, job): (usize, &generate::Options)| {
            let folder = job.output.clone();
            (0..self.samples).map(move |i| {
                let file = numbered(&folder, generate::NAME, i);
                Sample { concept: 0, method: 0, prompt, file }
            })
        };
        Judged {
            methods: vec![self.info.method.clone()],
            samples: self.jobs.iter().enumerate().flat_map(place).collect(),
            prompts: self.prompts.clone(),
            placeholder: self.info.placeholder.clone(),
            class_word: Some(self.info.init_word.clone()).filter(|word| !word.is_empty()),
            inside: self.inside,
            recipe: self.recipe.clone(),
        }
    }

    /// Draws what is missing.
    pub fn draw(self, compute: &Compute, events: &mut dyn Events) -> Result<()> {
        let left: usize = self.missing.iter().flatten().map(Range::len).sum();
        let all = self.jobs.len() * self.samples;
        events.note(format!("{} of {all} pictures are there, {left} are drawn", all - left));
        let mut part = Part { events, before: 0, now: 0, left };
        for (job, runs) in self.jobs.into_iter().zip(self.missing) {
            for run in runs {
                let seed = job.seed.wrapping_add(run.start as u64);
                let job = generate::Options { seed, count: Some(run.len()), ..job.clone() };
                part.now = run.len();
                generate::run(&job, compute, &mut part)?;
                part.before += run.len();
            }
        }
        Ok(())
    }
}

/// The runs of pictures of a prompt that are not there yet.
///
/// # Errors
/// If one is there that was drawn otherwise.
fn missing_of(job: &generate::Options, count: usize, adapter: &str) -> Result<Vec<Range<usize>>> {
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
fn check(path: &Path, job: &generate::Options, seed: u64, adapter: &str) -> Result<()> {
    let was = repeat::options(path)?;
    let recorded = was.recorded.as_ref().and_then(|r| r.files.get(&was.adapter));
    let same_adapter = recorded.is_some_and(|hash| hash == adapter);
    // What changes nothing in a picture, or is compared otherwise.
    let bare = |options: &generate::Options| generate::Options {
        adapter: PathBuf::new(),
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
struct Part<'a> {
    events: &'a mut dyn Events,
    /// Pictures drawn in the jobs before.
    before: usize,
    /// Pictures of this job.
    now: usize,
    /// Pictures of all jobs.
    left: usize,
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
