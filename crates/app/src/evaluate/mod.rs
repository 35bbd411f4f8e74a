//! `vico evaluate`: how good pictures are.

mod draw;
mod folder;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use evaluate::{
    Encoder, Features, Study,
    encoder::Description,
    report::{self, Report},
    scores::{self, Space},
    study::{Concept, Sample},
};
use images::list_photos;

use crate::{
    Compute, Error, Event, Events, Result, VERSION,
    generate::{self, writable},
    hub::{self, ENCODER, Id},
};

pub use draw::Drawing;
pub use evaluate::prompts::Convention;

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the photos that the object was learned from.
    pub photos: PathBuf,
    /// The pictures to judge.
    pub pictures: Pictures,
    /// CLIP: a folder, a file, or an id at the hub.
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

/// Seed of the bootstrap.
const SEED: u64 = 0;

/// A study of one concept, as the pictures tell it.
struct Judged {
    methods: Vec<String>,
    prompts: Vec<String>,
    samples: Vec<Sample>,
    placeholder: String,
    class_word: Option<String>,
    /// How the pictures came about, for the report.
    recipe: Vec<(String, String)>,
}

/// Scores pictures and writes a report; the answer is a table.
///
/// # Errors
/// If there is no encoder, or something cannot be read, drawn or written.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Vec<String>> {
    let (clip, dino) = encoders(options, events)?;
    let photos = list_photos(&options.photos)?;
    if photos.is_empty() {
        return Err(Error::path(&options.photos, "it holds no photo to compare with"));
    }
    writable(&options.output)?;
    let mut seconds = BTreeMap::new();
    let started = Instant::now();
    let judged = match &options.pictures {
        Pictures::Folder { folder, prompt, placeholder } => {
            folder::read(folder, prompt.as_deref(), placeholder.as_deref(), events)?
        }
        Pictures::Drawn(drawing) => {
            let judged = draw::draw(drawing, &options.output, compute, events)?;
            seconds.insert("drawing".to_owned(), started.elapsed().as_secs_f64());
            judged
        }
    };
    let Judged { methods, samples, prompts, recipe, placeholder, class_word } = judged;
    let class_word = options.class_word.clone().or(class_word);
    let name = options.name.clone().unwrap_or_else(|| folder_name(&options.photos));
    let concept = Concept { name, photos, prompts, placeholder, class_word };
    let study = Study { concepts: vec![concept], methods, samples };
    let texts = scores::texts(&study, options.convention)?;
    let mut see = |path: Option<&Path>| {
        let Some(path) = path else { return Ok(None) };
        let started = Instant::now();
        let seen = see(path, &study, &texts, compute, events)?;
        let part = format!("looking with {}", seen.encoder.name);
        seconds.insert(part, started.elapsed().as_secs_f64());
        Ok::<_, Error>(Some(seen))
    };
    let (clip, dino) = (see(clip.as_deref())?, see(dino.as_deref())?);
    let [clip, dino] = [&clip, &dino].map(|seen| seen.as_ref().map(Seen::space));
    let scores =
        scores::score(&study, &texts, options.convention, clip.as_ref(), dino.as_ref(), SEED);
    let lines = report::lines(&scores);
    let own = [
        ("photos", options.photos.display().to_string()),
        ("prompts compared", format!("{} (--convention)", options.convention.name())),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let report = Report {
        title: format!("Scores of {}", study.concepts[0].name),
        version: VERSION.into(),
        recipe: recipe.into_iter().chain(own).collect(),
        seconds,
        study,
        scores,
    };
    report.write(&options.output)?;
    [report::JSON, report::CSV, report::HTML]
        .iter()
        .for_each(|name| events.wrote(&options.output.join(name)));
    Ok(lines)
}

/// Where the encoders lie; those of the hub are fetched.
fn encoders(
    options: &Options,
    events: &mut dyn Events,
) -> Result<(Option<PathBuf>, Option<PathBuf>)> {
    if options.clip.is_none() && options.dino.is_none() {
        return Err(Error::Usage(
            "no encoder to judge with: add --clip openai/clip-vit-base-patch32 or --dino \
             facebook/dino-vits16 (ids at the Hugging Face hub; folders and files on disk will \
             do), best both"
                .into(),
        ));
    }
    if options.clip.is_none() {
        events.note("without --clip there is no likeness to the prompts, and none to the photos in CLIP's space");
    }
    if options.dino.is_none() {
        events.note("without --dino there is no likeness to the photos in DINO's space; diversity and copies are measured in CLIP's");
    }
    let mut find = |path: &Option<PathBuf>| match path {
        None => Ok(None),
        Some(path) => match Id::of_base(path) {
            Some(id) => hub::find(&id, &ENCODER, events).map(Some),
            None => Ok(Some(path.clone())),
        },
    };
    Ok((find(&options.clip)?, find(&options.dino)?))
}

/// A study in an encoder's eyes.
struct Seen {
    encoder: Description,
    features: Features,
}

impl Seen {
    fn space(&self) -> Space<'_> {
        Space { encoder: &self.encoder, features: &self.features }
    }
}

fn see(
    path: &Path,
    study: &Study,
    texts: &[Vec<String>],
    compute: &Compute,
    events: &mut dyn Events,
) -> Result<Seen> {
    let encoder = Encoder::open(path, compute.device())?;
    let description = encoder.description().clone();
    events.stage(format!("looking at the pictures with {}", description.name));
    let features = Features::of(study, &encoder, texts, &mut |done, total| {
        events.event(&Event::Judging { done, total });
        match events.stopped() {
            true => Err(Error::from(personalize::Error::Stopped)),
            false => Ok(()),
        }
    })?;
    Ok(Seen { encoder: description, features })
}

fn folder_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.file_name().map_or_else(|| "the object".to_owned(), |n| n.to_string_lossy().into_owned())
}

/// Where the pictures of a prompt are kept: its number and what can be read of it.
fn slug(number: usize, prompt: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let plain: String = prompt.chars().map(letter).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut name = format!("{number:03}-{}", words.join("-"));
    name.truncate(LONGEST_NAME);
    name
}

/// Bytes of a folder's name.
const LONGEST_NAME: usize = 60;

/// The settings that pictures of one prompt are drawn with.
fn settings(options: &generate::Options) -> Vec<(String, String)> {
    let size = |side: Option<usize>| side.map_or("the training's".to_owned(), |s| s.to_string());
    let rows = [
        ("adapter", options.adapter.display().to_string()),
        ("base model", options.base.display().to_string()),
        ("sampler", format!("{}, {} steps", options.sampler, options.steps)),
        ("guidance", options.guidance.to_string()),
        ("size", format!("{} x {}", size(options.width), size(options.height))),
        ("first seed", options.seed.to_string()),
    ];
    rows.map(|(name, value)| (name.to_owned(), value)).into()
}
