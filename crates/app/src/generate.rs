//! `vico generate`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use diffusion::Base;
use formats::{Array, TensorFile, write_safetensors};
use images::{Picture, contact_sheet, write_png};
use personalize::{
    Adapter, Error as RunError,
    generate::{Drawn, Job, Model, Watch, generate},
};
use serde::{Deserialize, Serialize};

use crate::{
    Compute, Error, Event, Events, Result,
    adapter_file::{self, Reference},
    embeddings::Extras,
    estimate::Memory,
    lora::{LoraFile, open_base},
    pictures::{self, Made},
    repeat::{Recorded, hashes},
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
    /// Prompt.
    pub prompt: String,
    /// Negative prompt.
    pub negative: String,
    /// Files or folders of extra embeddings.
    pub embeddings: Vec<PathBuf>,
    /// Number of a kept photo or a path; the first photo if not given.
    pub reference: Option<String>,
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
            prompt: String::new(),
            negative: String::new(),
            embeddings: Vec::new(),
            reference: None,
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
    let row = options.init_row;
    let start = options.init_latents.as_deref();
    let start = start.map(|path| Start::read(path, row, &base)).transpose()?;
    let job = job(options, &base, &adapter, start.as_ref())?;
    let schedule = base.schedule();
    let plan = job.plan(&schedule)?;
    if plan.len() != job.steps {
        events.note(format!(
            "the original DDIM takes {} steps where {} are asked for; so does this",
            plan.len(),
            job.steps
        ));
    }
    let places = Places::check(options, job.count)?;
    let learned = adapter.params.count();
    let size = (job.width, job.height);
    let need = |way: &Compute| Memory::of_drawing(way, &base, learned, job.batch, size);
    let way = compute.fitted(|way| need(way).total(), events)?;
    let memory = need(&way);
    let base = way.keep(base);
    memory.check("lower --batch, --width or --height, name a --memory, or close other programs")?;
    adapter_file::compare(&adapter, &base, events)?;

    let extras = Extras::load(options, &adapter.info.placeholder, &base, events)?;
    let mut tokenizer = base.tokenizer()?;
    events.stage("loading the text encoder and the U-Net");
    let (mut text, unet) = (base.text_encoder()?, base.unet()?);
    extras.teach(&mut tokenizer, &mut text);
    let method = adapter_file::method(&adapter, unet.sites(), text.width())?;
    let placeholder = adapter_file::placeholder(&adapter, method.as_ref());
    let prompts = job.prompts(&tokenizer, placeholder, options.allow_no_placeholder)?;
    prompts.warnings().into_iter().for_each(|warning| events.warning(warning));
    let typed = options.reference.as_deref().map(Reference::parse);
    let reference = typed.unwrap_or(Reference::Kept(0)).latents(
        &base,
        &adapter,
        &options.adapter,
        size,
        device,
    )?;
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
    let rows = start.map(|start| start.rows);
    let result = generate(
        &model,
        method.as_ref(),
        &job,
        &prompts,
        Some(&reference),
        rows.as_deref(),
        &mut writer,
    );
    writer.finish(result, options.save_latents.as_deref())
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

fn job(options: &Options, base: &Base, adapter: &Adapter, start: Option<&Start>) -> Result<Job> {
    let size = adapter.info.recipe.size;
    let (width, height) = match start {
        None => (options.width.unwrap_or(size), options.height.unwrap_or(size)),
        Some(start) => start.size(options)?,
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
    })
}

/// Latents to start from.
struct Start {
    path: PathBuf,
    rows: Vec<Vec<f32>>,
    /// Pixels.
    width: usize,
    height: usize,
}

/// Names under which latents are looked for.
const INIT_LATENTS: &str = "init_latents";
const LATENTS: &str = "latents";

impl Start {
    /// Reads `init_latents`, else `latents`, else the only tensor of a file:
    /// `[pictures, channels, height, width]`, from the `first` picture on.
    fn read(path: &Path, first: usize, base: &Base) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let names: Vec<&str> = file.names().collect();
        let named = [INIT_LATENTS, LATENTS].into_iter().find(|name| file.contains(name));
        let name = match (named, names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            _ => INIT_LATENTS,
        };
        let channels = base.configs().vae.latent_channels;
        let shape = file.info(name)?.shape.clone();
        let [count, found, h, w] = shape[..] else {
            let what = format!("{name} has shape {shape:?}, expected [pictures, {channels}, h, w]");
            return Err(Error::path(path, what));
        };
        if count <= first || found != channels || h == 0 || w == 0 {
            let what = format!("{name} has shape {shape:?}, expected [pictures, {channels}, h, w]");
            return Err(Error::path(path, what));
        }
        let values = file.f32(name)?;
        let rows = values.chunks(channels * h * w).skip(first).map(<[f32]>::to_vec).collect();
        let factor = base.configs().vae.factor();
        Ok(Self { path: path.to_owned(), rows, width: w * factor, height: h * factor })
    }

    /// The latents decide the size; options may only agree.
    fn size(&self, options: &Options) -> Result<(usize, usize)> {
        let agrees = |typed: Option<usize>, own| typed.is_none_or(|typed| typed == own);
        if agrees(options.width, self.width) && agrees(options.height, self.height) {
            return Ok((self.width, self.height));
        }
        Err(Error::Usage(format!(
            "{} holds latents for {}x{} pixels: leave --width and --height out",
            self.path.display(),
            self.width,
            self.height
        )))
    }
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
