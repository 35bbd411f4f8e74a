//! `vico evaluate`: how good pictures are.

mod draw;
mod encoders;
mod folder;
mod prompts;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use evaluate::{
    Study,
    report::{self, Report},
    scores,
    study::{Concept, Sample},
};
use images::list_photos;

use crate::{
    Compute, Error, Events, Result, VERSION,
    generate::{self, writable},
    series,
};

pub use draw::Drawing;
use draw::Plan;
pub(crate) use encoders::Encoders;
use encoders::look;
pub use evaluate::prompts::Convention;
pub use prompts::Prompts;

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the photos that the object was learned from.
    pub photos: PathBuf,
    /// The pictures to judge.
    pub pictures: Pictures,
    /// CLIP: a folder, a file, an id at the hub, or the name of the one inside the program
    /// ([`DEFAULT_BASE`](crate::DEFAULT_BASE)). Without any encoder, those inside judge
    /// pictures that the base model inside drew.
    pub clip: Option<PathBuf>,
    /// DINO or DINOv2, the same.
    pub dino: Option<PathBuf>,
    /// What of a prompt a picture is compared with.
    pub convention: Convention,
    /// What kind of thing it is, if the pictures do not tell.
    pub class_word: Option<String>,
    /// Name of the thing; that of the folder of photos if not given.
    pub name: Option<String>,
    /// Folder for the report.
    pub output: PathBuf,
}

/// The pictures to judge.
#[derive(Clone, Debug)]
pub enum Pictures {
    /// Those of a folder, drawn before.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The prompt of all of them, if they do not tell.
        prompt: Option<String>,
        /// The text that stands for the object in prompts, if they do not tell.
        placeholder: Option<String>,
    },
    /// Drawn first.
    Drawn(Box<Drawing>),
}

/// A study of one concept, as the pictures tell it.
struct Judged {
    methods: Vec<String>,
    prompts: Vec<String>,
    samples: Vec<Sample>,
    placeholder: String,
    class_word: Option<String>,
    /// Every picture is of the base model inside the program.
    inside: bool,
    /// How the pictures came about, for the report.
    recipe: Vec<(String, String)>,
}

/// Scores pictures and writes a report; the answer is a table.
///
/// # Errors
/// If there is no encoder, or something cannot be read, drawn or written.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Vec<String>> {
    let photos = list_photos(&options.photos)?;
    if photos.is_empty() {
        return Err(Error::path(&options.photos, "it holds no photo to compare with"));
    }
    let (judged, plan) = match &options.pictures {
        Pictures::Folder { folder, prompt, placeholder } => {
            (folder::read(folder, prompt.as_deref(), placeholder.as_deref(), events)?, None)
        }
        Pictures::Drawn(drawing) => {
            let plan = Plan::new(drawing, &options.output, compute, events)?;
            (plan.judged(), Some(plan))
        }
    };
    let encoders =
        Encoders::find(options.clip.as_deref(), options.dino.as_deref(), judged.inside, events)?;
    writable(&options.output)?;
    let recipe = judged.recipe.clone();
    let study = study(options, photos, judged);
    let mut seconds = BTreeMap::new();
    if let Some(plan) = plan {
        // What would be refused after it is refused before.
        scores::texts(&study, options.convention)?;
        encoders.check(compute)?;
        let started = Instant::now();
        plan.draw(compute, events)?;
        seconds.insert("drawing".to_owned(), started.elapsed().as_secs_f64());
    }
    let convention = options.convention;
    let scores = encoders.score(&study, convention, &look, &mut seconds, compute, events)?;
    let lines = report::lines(&scores);
    let title = format!("Scores of {}", study.concepts[0].name);
    let own = [
        ("photos", options.photos.display().to_string()),
        ("prompts compared", format!("{} (--convention)", options.convention.name())),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let recipe = recipe.into_iter().chain(own).collect();
    let report =
        Report { title, version: VERSION.into(), recipe, seconds, study, scores, runs: Vec::new() };
    report.write(&options.output)?;
    let files = [report::JSON, report::CSV, report::HTML];
    files.iter().for_each(|name| events.wrote(&options.output.join(name)));
    Ok(lines)
}

/// The study of the one concept.
fn study(options: &Options, photos: Vec<PathBuf>, judged: Judged) -> Study {
    let Judged { methods, samples, prompts, placeholder, class_word, .. } = judged;
    let class_word = options.class_word.clone().or(class_word);
    let name = options.name.clone().unwrap_or_else(|| folder_name(&options.photos));
    let concept = Concept { name, photos, prompts, placeholder, class_word };
    Study { concepts: vec![concept], methods, samples }
}

fn folder_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.file_name().map_or_else(|| "the object".to_owned(), |n| n.to_string_lossy().into_owned())
}

/// Where the pictures of a prompt are kept: its number and what can be read of it.
fn prompt_folder(number: usize, prompt: &str) -> String {
    let mut name = format!("{number:03}-{}", series::slug(prompt));
    name.truncate(LONGEST_NAME);
    name
}

/// Bytes of a folder's name.
const LONGEST_NAME: usize = 60;

/// The settings that pictures of one prompt are drawn with.
fn settings(options: &generate::Options) -> Vec<(String, String)> {
    let size = |side: Option<usize>| side.map_or("the training's".to_owned(), |s| s.to_string());
    let rows = [
        ("adapter", options.adapter.iter().map(|path| path.display().to_string()).collect()),
        ("base model", options.base.display().to_string()),
        ("sampler", format!("{}, {} steps", options.sampler, options.steps)),
        ("guidance", options.guidance.iter().map(f64::to_string).collect()),
        ("reference guidance", options.reference_guidance.iter().map(f64::to_string).collect()),
        ("size", format!("{} x {}", size(options.width), size(options.height))),
        ("first seed", options.seed.to_string()),
    ];
    rows.map(|(name, value)| (name.to_owned(), value)).into()
}
