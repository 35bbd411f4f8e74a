//! `vico generate`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use diffusion::Base;
use formats::{Array, write_safetensors};
use images::{Picture, contact_sheet, write_png};
use personalize::{
    Adapter, Error as RunError,
    generate::{Drawn, Init, Job, Model, Start, Watch, generate},
    methods::Sources,
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Compute, Error, Event, Events, Result,
    adapter_file::{self, Reference},
    embeddings::Extras,
    estimate::Memory,
    init::{self, INIT_LATENTS, InitLatents, LATENTS},
    lora::{LoraFile, open_base},
    pictures::{self, Made},
    repeat::{Recorded, hashes},
    subjects::{AdapterFile, Parts, Subjects},
};

/// What was typed, or what a picture says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Options {
    /// Base model.
    pub base: PathBuf,
    /// LoRAs to merge into it.
    pub loras: Vec<LoraFile>,
    /// Adapter file.
    pub adapter: PathBuf,
    /// Adapters of further subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<AdapterFile>,
    /// Prompt.
    pub prompt: String,
    /// Negative prompt.
    pub negative: String,
    /// Files or folders of extra embeddings.
    pub embeddings: Vec<PathBuf>,
    /// Numbers of kept photos, or paths; the first kept photo if there is none.
    #[serde(alias = "reference", deserialize_with = "one_or_many")]
    pub references: Vec<String>,
    /// Sampling steps.
    pub steps: usize,
    /// Guidance scale.
    pub guidance: f64,
    /// Sampler.
    pub sampler: String,
    /// Fresh noise a step.
    pub eta: f64,
    /// Width; the training's size if not given.
    pub width: Option<usize>,
    /// Height; the training's size if not given.
    pub height: Option<usize>,
    /// Seed of the first picture.
    pub seed: u64,
    /// Number of pictures; one, or a row of `init_latents` each.
    pub count: Option<usize>,
    /// Pictures in one pass.
    pub batch: usize,
    /// Folder, or a `.png` file for one picture.
    #[serde(skip)]
    pub output: PathBuf,
    /// Draw although the prompt lacks the placeholder.
    pub allow_no_placeholder: bool,
    /// Picture to start from.
    pub init_image: Option<PathBuf>,
    /// How much of it may change, 0 to 1.
    pub strength: f64,
    /// Latents to start from.
    pub init_latents: Option<PathBuf>,
    /// The first of them to use, counted from 0.
    pub init_row: usize,
    /// Where to write the latents.
    #[serde(skip)]
    pub save_latents: Option<PathBuf>,
    /// What the inputs must be, if a picture is to be drawn again.
    #[serde(skip)]
    pub recorded: Option<Recorded>,
}

/// The paper's settings, and nothing to draw yet.
impl Default for Options {
    fn default() -> Self {
        let Job { sampler, steps, eta, guidance, seed, batch, .. } = Job::new("", 0);
        Self {
            base: PathBuf::new(),
            loras: Vec::new(),
            adapter: PathBuf::new(),
            others: Vec::new(),
            prompt: String::new(),
            negative: String::new(),
            embeddings: Vec::new(),
            references: Vec::new(),
            steps,
            guidance,
            sampler,
            eta,
            width: None,
            height: None,
            seed,
            count: None,
            batch,
            output: PathBuf::new(),
            allow_no_placeholder: false,
            init_image: None,
            strength: 0.8,
            init_latents: None,
            init_row: 0,
            save_latents: None,
            recorded: None,
        }
    }
}

/// Gap between the pictures of a contact sheet, pixels.
const GAP: usize = 8;

/// Draws pictures.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    named(options)?;
    if let Some(recorded) = &options.recorded {
        recorded.check_files(options)?;
    }
    let recorded = options.recorded.as_ref().and_then(|recorded| recorded.frozen_weights);
    let compute = &recorded.map_or_else(|| compute.clone(), |weights| compute.recorded(weights));
    let device = compute.device();
    let base = open_base(compute, &options.base, &options.loras, events)?;
    let base_fingerprint = base.fingerprint()?;
    if let Some(recorded) = &options.recorded {
        recorded.check_base(&options.base, &base_fingerprint)?;
    }
    let adapter = Adapter::load(&options.adapter, device)?;
    let latents = options.init_latents.as_deref();
    let latents =
        latents.map(|path| InitLatents::read(path, options.init_row, &base)).transpose()?;
    let job = job(options, &base, &adapter, latents.as_ref())?;
    let schedule = base.schedule();
    let plan = job.plan(&schedule)?;
    if plan.steps() != job.steps {
        events.note(format!(
            "the original DDIM takes {} steps where {} are asked for; so does this",
            plan.steps(),
            job.steps
        ));
    }
    let places = Places::check(options, job.count)?;
    // The adapters of further subjects are about as large.
    let learned = adapter.params.count() * (1 + options.others.len());
    let size = (job.width, job.height);
    let need = |way: &Compute| Memory::of_drawing(way, &base, learned, job.batch, size);
    let way = compute.fitted(|way| need(way).total(), events)?;
    let memory = need(&way);
    let base = way.keep(base);
    memory.check("lower --batch, --width or --height, name a --memory, or close other programs")?;
    adapter_file::compare(&adapter, &base, events)?;
    let picture = options.init_image.as_deref();
    let picture = picture.map(|path| init::encode(path, &base, size, device)).transpose()?;

    let extras = Extras::load(options, &adapter.info.placeholder, &base, events)?;
    let mut tokenizer = base.tokenizer()?;
    events.stage("loading the text encoder and the U-Net");
    let (mut text, unet) = (base.text_encoder()?, base.unet()?);
    extras.teach(&mut tokenizer, &mut text);
    let mut parts = Parts {
        base: &base,
        sites: unet.sites(),
        size,
        device,
        tokenizer: &mut tokenizer,
        text: &mut text,
    };
    let subjects = Subjects::load(&options.others, &adapter.info, &mut parts, events)?;
    let method = adapter_file::method(&adapter, base.configs())?;
    adapter_file::teach(&adapter, method.as_ref(), &mut tokenizer, &mut text)?;
    let placeholder = adapter_file::placeholder(&adapter, method.as_ref());
    let prompts = job.prompts(&tokenizer, placeholder, options.allow_no_placeholder)?;
    prompts.warnings().into_iter().for_each(|warning| events.warning(warning));
    let others = subjects.placed(&prompts.positive)?;
    let references = references(&options.references)
        .iter()
        .map(|reference| reference.read(&base, &adapter, &options.adapter, size, device))
        .collect::<Result<Vec<_>>>()?;
    let decoder = base.vae_decoder()?;
    let model = Model {
        tokenizer: &tokenizer,
        text: &text,
        unet: &unet,
        decoder: &decoder,
        schedule: &schedule,
        factor: base.configs().vae.factor(),
        channels: base.configs().vae.latent_channels,
    };
    let request = Options { embeddings: extras.paths(), ..options.clone() };
    let made = Made {
        job: &job,
        adapter: &adapter,
        base_name: &base.name(),
        base_fingerprint: &base_fingerprint,
        files: &hashes(&request)?,
        request: &request,
        frozen_weights: way.weights(),
    };
    let mut writer = Writer { events, places, made, drawn: Vec::new(), failure: None };
    let start = match (&latents, &picture) {
        (Some(latents), _) => Start::Latents(&latents.rows),
        (None, Some(picture)) => Start::Picture(picture),
        (None, None) => Start::Noise,
    };
    let sources = Sources { references: &references, others: &others };
    let result = generate(&model, method.as_ref(), &job, &prompts, sources, start, &mut writer);
    writer.finish(result, options.save_latents.as_deref())
}

/// The references that were typed, or the first photo.
fn references(typed: &[String]) -> Vec<Reference> {
    match typed {
        [] => vec![Reference::Kept(0)],
        typed => typed.iter().map(|text| Reference::parse(text)).collect(),
    }
}

/// Pictures that were drawn while there was one reference say so without a list.
fn one_or_many<'d, D: Deserializer<'d>>(value: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Typed {
        Many(Vec<String>),
        One(Option<String>),
    }
    Ok(match Typed::deserialize(value)? {
        Typed::Many(all) => all,
        Typed::One(one) => one.into_iter().collect(),
    })
}

/// Checks that there is a base model and an adapter: a picture of another
/// program names neither.
fn named(options: &Options) -> Result<()> {
    for (path, option) in [(&options.base, "--base"), (&options.adapter, "--adapter")] {
        if path.as_os_str().is_empty() {
            return Err(Error::Usage(format!(
                "{option} is missing: the picture does not name one"
            )));
        }
    }
    Ok(())
}

fn job(
    options: &Options,
    base: &Base,
    adapter: &Adapter,
    start: Option<&InitLatents>,
) -> Result<Job> {
    let size = adapter.info.recipe.size;
    let (width, height) = match start {
        None => (options.width.unwrap_or(size), options.height.unwrap_or(size)),
        Some(start) => start.size(options.width, options.height)?,
    };
    base.check_size(width, height)?;
    let rows = start.map_or(1, |start| start.rows.len());
    let count = options.count.unwrap_or(rows);
    if start.is_some() && count > rows {
        return Err(Error::Usage(format!(
            "--count is {count}, but --init-latents holds latents of {rows} pictures"
        )));
    }
    Ok(Job {
        prompt: options.prompt.clone(),
        negative: options.negative.clone(),
        sampler: options.sampler.clone(),
        steps: options.steps,
        eta: options.eta,
        guidance: options.guidance,
        width,
        height,
        seed: options.seed,
        count,
        batch: options.batch,
        init: options
            .init_image
            .as_ref()
            .map(|path| Init { image: path.display().to_string(), strength: options.strength }),
    })
}

/// Where the pictures go.
enum Places {
    File(PathBuf),
    Folder { folder: PathBuf, first: usize },
}

/// Name of the pictures in a folder.
const NAME: &str = "picture";
const SHEET: &str = "sheet";

impl Places {
    /// Makes the folder and finds out whether it can be written, before any
    /// work is done.
    fn check(options: &Options, count: usize) -> Result<Self> {
        let output = &options.output;
        let png = output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let folder = match (png, output.parent()) {
            (false, _) => output.clone(),
            (true, Some(parent)) if !parent.as_os_str().is_empty() => parent.to_owned(),
            (true, _) => PathBuf::from("."),
        };
        writable(&folder)?;
        if !png {
            let first = pictures::free_number(&folder, NAME);
            return Ok(Self::Folder { folder, first });
        }
        if count > 1 {
            let what = "one file for several pictures: give a folder to --output";
            return Err(Error::Usage(format!("{}: {what}", output.display())));
        }
        Ok(Self::File(output.clone()))
    }

    fn picture(&self, index: usize) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Folder { folder, first } => pictures::numbered(folder, NAME, first + index),
        }
    }
}

/// Makes a folder if need be, and tries whether files can be written there.
pub(crate) fn writable(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| tempfile::tempfile_in(folder).map(drop))
        .map_err(|e| Error::path(folder, format!("cannot be written to: {e}")))
}

/// Writes each picture as soon as it is finished.
struct Writer<'a> {
    events: &'a mut dyn Events,
    places: Places,
    made: Made<'a>,
    drawn: Vec<Drawn>,
    failure: Option<Error>,
}

impl Watch for Writer<'_> {
    fn step(&mut self, done: usize, total: usize) -> personalize::Result<()> {
        self.events.event(&Event::Drawing { done, total });
        if self.events.stopped() { Err(RunError::Stopped) } else { Ok(()) }
    }

    fn picture(&mut self, drawn: Drawn) -> personalize::Result<()> {
        let path = self.places.picture(drawn.index);
        let Drawn { picture, index, seed, .. } = &drawn;
        if let Err(failure) = pictures::write(&path, picture, &self.made, *index, *seed) {
            self.failure = Some(failure);
            return Err(RunError::Stopped);
        }
        self.events.wrote(&path);
        self.drawn.push(drawn);
        Ok(())
    }
}

impl Writer<'_> {
    /// The sheet and the latents of what was finished, even if not all was.
    fn finish(self, result: personalize::Result<()>, latents: Option<&Path>) -> Result<()> {
        let Self { events, places, drawn, failure, .. } = self;
        if let Some(path) = latents.filter(|_| !drawn.is_empty()) {
            save_latents(path, &drawn)?;
            events.wrote(path);
        }
        if let (Places::Folder { folder, .. }, true) = (&places, drawn.len() > 1) {
            let all: Vec<Picture> = drawn.iter().map(|d| d.picture.clone()).collect();
            let number = pictures::free_number(folder, SHEET);
            let path = pictures::numbered(folder, SHEET, number);
            write_png(&path, &contact_sheet(&all, None, GAP), &[] as &[(&str, &str)])?;
            events.wrote(&path);
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(result?),
        }
    }
}

/// `init_latents` and `latents`, `[pictures, channels, height, width]`.
fn save_latents(path: &Path, drawn: &[Drawn]) -> Result<()> {
    let [c, h, w] = drawn[0].shape;
    let shape = [drawn.len(), c, h, w];
    let all = |of: fn(&Drawn) -> &Vec<f32>| drawn.iter().flat_map(of).copied().collect::<Vec<_>>();
    let (start, end) = (all(|d| &d.start), all(|d| &d.latents));
    let arrays = BTreeMap::from([
        (INIT_LATENTS.to_owned(), Array::f32(&shape, &start)),
        (LATENTS.to_owned(), Array::f32(&shape, &end)),
    ]);
    Ok(write_safetensors(path, &arrays, &BTreeMap::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_pictures_with_one_reference_are_still_read() {
        for (text, expected) in [
            (r#"{"reference": "photos/1.png"}"#, vec!["photos/1.png"]),
            (r#"{"reference": null}"#, vec![]),
            (r#"{"references": ["1", "2"]}"#, vec!["1", "2"]),
            ("{}", vec![]),
        ] {
            assert_eq!(serde_json::from_str::<Options>(text).unwrap().references, expected);
        }
    }
}
