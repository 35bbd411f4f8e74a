//! `vico generate`.

mod options;
mod output;
mod prompts;

use diffusion::{Base, Placeholder, Tokenizer};
use personalize::{
    Adapter,
    generate::{Job, Model, Prompts, Start, generate},
    methods::{Sources, vico::several::Other},
};

use crate::{
    Compute, Events, Result, adapter_file,
    embeddings::Extras,
    estimate::Memory,
    init::{self, InitLatents},
    lora::open_base,
    pictures::Made,
    repeat::hashes,
    subjects::{Parts, Subjects},
};
use options::{job, named, references};
use output::{Places, Writer};
use prompts::{Typed, texts};

pub use options::Options;
pub(crate) use output::{NAME, SHEET, writable};

/// Draws pictures.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    named(options)?;
    let typed = Typed::all(options)?;
    if let Some(recorded) = &options.recorded {
        recorded.check_files(options)?;
    }
    let recorded = options.recorded.as_ref().and_then(|recorded| recorded.frozen_weights);
    let compute = &recorded.map_or_else(|| compute.clone(), |weights| compute.recorded(weights));
    let device = compute.device();
    let (base, fingerprint) = opened(options, compute, events)?;
    let adapter = Adapter::load(&options.adapter, device)?;
    let latents = options.init_latents.as_deref();
    let latents =
        latents.map(|path| InitLatents::read(path, options.init_row, &base)).transpose()?;
    let job = job(options, &base, &adapter, latents.as_ref())?;
    say_steps(&job, &base, events)?;
    let places = Places::check(options, typed.len() * job.count)?;
    let size = (job.width, job.height);
    // The adapters of further subjects are about as large.
    let learned = adapter.params.count() * (1 + options.others.len());
    let need = |way: &Compute| Memory::of_drawing(way, &base, learned, job.batch, size);
    let way = compute.fitted(|way| need(way).total(), events)?;
    let memory = need(&way);
    let base = way.keep(base);
    memory.check("lower --batch, --width or --height, name a --memory, or close other programs")?;
    adapter_file::compare(&adapter, &base, events)?;
    let picture = options.init_image.as_deref();
    let picture = picture.map(|path| init::encode(path, &base, size, device)).transpose()?;
    let references = references(&options.references)
        .iter()
        .map(|reference| reference.read(&base, &adapter, &options.adapter, size, device))
        .collect::<Result<Vec<_>>>()?;

    let extras = extras(options, &typed, &adapter, &base, events)?;
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
    let request = Options { embeddings: extras.paths(), ..options.clone() };
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
            adapter: &adapter,
            base_name: &name,
            base_fingerprint: &fingerprint,
            files: &files,
            request: &Options { prompt: job.prompt.clone(), ..request.clone() },
            frozen_weights: way.weights(),
        };
        let mut watch = writer.follow(made);
        let sources = Sources { references: &references, others };
        generate(&model, method.as_ref(), job, prompts, sources, start, &mut watch)
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
    adapter: &Adapter,
    base: &Base,
    events: &mut dyn Events,
) -> Result<Extras> {
    let placeholder = &adapter.info.placeholder;
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
    placeholder: Placeholder,
) -> Result<Vec<(Job, Prompts)>> {
    let one = |typed: &Typed| {
        let job = Job { prompt: typed.prompt.clone(), ..job.clone() };
        let prompts = job.prompts(tokenizer, placeholder, options.allow_no_placeholder);
        typed.located(prompts).map(|prompts| (job, prompts))
    };
    typed.iter().map(one).collect()
}
