//! `vico generate`.

mod options;
mod output;
mod prompts;

use diffusion::{Base, Placeholder, Tokenizer};
use engine::Device;
use personalize::{
    Adapter, PLACEHOLDER, Reference,
    generate::{Job, Model, Prompts, Start, generate},
    methods::{Sources, vico::several::Other},
};

use crate::{
    Compute, Events, Result,
    adapter_file::{self, Reference as Named},
    embeddings::Extras,
    estimate::Memory,
    init::{self, InitLatents},
    lora::open_base,
    pictures::Made,
    repeat::hashes,
    subjects::{Parts, Subjects},
};
use options::{job, named};
use output::{Places, Writer};
use prompts::{Typed, texts};

pub use options::Options;
pub(crate) use output::{NAME, SHEET, writable};

/// Draws pictures.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let advice = "lower --batch, --width or --height; finished pictures are kept";
    compute.guarded(advice, || draw(options, compute, events))
}

fn draw(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    named(options)?;
    let typed = Typed::all(options)?;
    if let Some(recorded) = &options.recorded {
        recorded.check_files(options)?;
    }
    let recorded = options.recorded.as_ref().and_then(|recorded| recorded.frozen_weights);
    let compute = &match recorded {
        Some(weights) => compute.redrawing(weights, events)?,
        None => compute.clone(),
    };
    let device = compute.device();
    let (base, fingerprint) = opened(options, compute, events)?;
    let adapter = options.adapter.as_ref();
    let adapter = adapter.map(|path| Adapter::load(path, device)).transpose()?;
    let adapter = adapter.as_ref();
    let latents = options.init_latents.as_deref();
    let latents =
        latents.map(|path| InitLatents::read(path, options.init_row, &base)).transpose()?;
    let job = job(options, &base, adapter, latents.as_ref())?;
    say_steps(&job, &base, events)?;
    let places = Places::check(options, typed.len() * job.count)?;
    let size = (job.width, job.height);
    // The adapters of further subjects are about as large.
    let learned = adapter.map_or(0, |adapter| adapter.params.count() * (1 + options.others.len()));
    let need = |way: &Compute| Memory::of_drawing(way, &base, learned, job.batch, size);
    let way = compute.fitted(|way| need(way).total(), events)?;
    let memory = need(&way);
    let base = way.keep(base);
    let advice = "lower --batch, --width or --height, name a --memory, or close other programs";
    memory.check(compute, advice)?;
    match adapter {
        Some(adapter) => adapter_file::compare(adapter, &base, events)?,
        None => say_untouched(&typed, events),
    }
    let picture = options.init_image.as_deref();
    let picture = picture.map(|path| init::encode(path, &base, size, device)).transpose()?;
    let references = references(options, adapter, &base, size, device)?;

    let extras = extras(options, &typed, adapter, &base, events)?;
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
    let subjects = Subjects::load(&options.others, adapter, &mut parts, events)?;
    let method =
        adapter.map(|adapter| adapter_file::method(adapter, base.configs())).transpose()?;
    let learned = adapter.zip(method.as_deref());
    if let Some((adapter, method)) = learned {
        adapter_file::teach(adapter, method, &mut tokenizer, &mut text)?;
    }
    let placeholder = learned.map(|(adapter, method)| adapter_file::placeholder(adapter, method));
    let jobs = jobs(options, &typed, &job, &tokenizer, placeholder)?;
    let (decoder, schedule) = (base.vae_decoder()?, base.schedule());
    let model = Model {
        tokenizer: &tokenizer,
        text: &text,
        unet: &unet,
        decoder: &decoder,
        schedule: &schedule,
        factor: base.configs().vae.factor(),
        channels: base.configs().vae.latent_channels,
    };
    let start = match (&latents, &picture) {
        (Some(latents), _) => Start::Latents(&latents.rows),
        (None, Some(picture)) => Start::Picture(picture),
        (None, None) => Start::Noise,
    };
    let guidance = Some(job.guidance);
    let request = Options { embeddings: extras.paths(), guidance, ..options.clone() };
    let (name, files) = (base.name(), hashes(&request)?);
    let others = jobs
        .iter()
        .zip(&typed)
        .map(|((_, prompts), typed)| typed.located(subjects.placed(&prompts.positive)))
        .collect::<Result<Vec<_>>>()?;
    let mut writer = Writer::new(events, places, jobs.len(), job.count);
    let draw = |((job, prompts), others): (&(Job, Prompts), &Vec<Other>)| {
        let made = Made {
            job,
            adapter,
            base_name: &name,
            base_fingerprint: &fingerprint,
            files: &files,
            request: &Options { prompt: job.prompt.clone(), ..request.clone() },
            frozen_weights: way.weights(),
        };
        let mut watch = writer.follow(made);
        let sources = Sources { references: &references, others };
        generate(&model, method.as_deref(), job, prompts, sources, start, &mut watch)
    };
    let result = jobs.iter().zip(&others).try_for_each(draw);
    writer.finish(result, options.save_latents.as_deref())
}

/// The base model with its fingerprint, after it was found to be the recorded one.
fn opened(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<(Base, String)> {
    let base = open_base(compute, &options.base, &options.loras, events)?;
    let fingerprint = base.fingerprint()?;
    if let Some(recorded) = &options.recorded {
        recorded.check_base(&options.base, &fingerprint)?;
    }
    Ok((base, fingerprint))
}

/// The photos to draw from: those that were named, or the first one that the adapter keeps.
fn references(
    options: &Options,
    adapter: Option<&Adapter>,
    base: &Base,
    size: (usize, usize),
    device: &Device,
) -> Result<Vec<Reference>> {
    let Some((adapter, path)) = adapter.zip(options.adapter.as_ref()) else {
        return Ok(Vec::new());
    };
    let read = |reference: &Named| reference.read(base, adapter, path, size, device);
    options::references(&options.references).iter().map(read).collect()
}

/// A prompt with the usual placeholder was meant for an adapter.
fn say_untouched(typed: &[Typed], events: &mut dyn Events) {
    let usual = Placeholder { text: PLACEHOLDER, vectors: 0, words: "" };
    if typed.iter().any(|typed| usual.stands_in(&typed.prompt)) {
        events.warning(format!(
            "without --adapter the base model draws alone: \"{PLACEHOLDER}\" is nothing \
             that was learned"
        ));
    }
}

/// Checks the settings of the steps, and says if there will be others.
fn say_steps(job: &Job, base: &Base, events: &mut dyn Events) -> Result<()> {
    let plan = job.plan(&base.schedule())?;
    if plan.steps() != job.steps {
        events.note(format!(
            "the original DDIM takes {} steps where {} are asked for; so does this",
            plan.steps(),
            job.steps
        ));
    }
    Ok(())
}

/// The extra embeddings that stand in a prompt.
fn extras(
    options: &Options,
    typed: &[Typed],
    adapter: Option<&Adapter>,
    base: &Base,
    events: &mut dyn Events,
) -> Result<Extras> {
    let placeholder = adapter.map(|adapter| adapter.info.placeholder.as_str());
    let mut texts = texts(&options.negative, placeholder)?;
    for prompt in typed {
        texts.extend(prompt.texts(placeholder)?);
    }
    Extras::load(&options.embeddings, &texts, placeholder, base, events)
}

/// A job with its tokenised prompts for each prompt.
fn jobs(
    options: &Options,
    typed: &[Typed],
    job: &Job,
    tokenizer: &Tokenizer,
    placeholder: Option<Placeholder>,
) -> Result<Vec<(Job, Prompts)>> {
    let one = |typed: &Typed| {
        let job = Job { prompt: typed.prompt.clone(), ..job.clone() };
        let prompts = job.prompts(tokenizer, placeholder, options.allow_no_placeholder);
        typed.located(prompts).map(|prompts| (job, prompts))
    };
    typed.iter().map(one).collect()
}
