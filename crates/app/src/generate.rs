//! `vico generate`.

mod checked;
mod options;
mod output;
mod prompts;

use diffusion::{Placeholder, Tokenizer};
use personalize::{
    Reference,
    generate::{Job, Model, Prompts, Start, generate},
    methods::{Sources, vico::several::Other},
};

use crate::{
    Compute, Events, Result,
    adapter_file::{self, Reference as Named},
    embeddings::Extras,
    init,
    pictures::Made,
    repeat::hashes,
    subjects::{Parts, Subjects},
};
use checked::Checked;
use output::{Places, Writer};
use prompts::{Typed, texts};

pub use options::Options;
pub(crate) use options::guidance;
pub(crate) use output::{NAME, SHEET, writable};

/// Draws pictures.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let advice = "lower --batch, --width or --height; finished pictures are kept";
    compute.guarded(advice, || draw(options, compute, events))
}

fn draw(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<()> {
    let checked = Checked::new(options, compute, events)?;
    let (base, device, job, typed) = (&checked.base, &checked.device, &checked.job, &checked.typed);
    let (adapter, size) = (checked.adapter.as_ref(), checked.size());
    let picture = options.init_image.as_deref();
    let picture = picture.map(|path| init::encode(path, base, size, device)).transpose()?;
    let references = references(options, &checked)?;

    let extras = extras(options, &checked, events)?;
    let mut tokenizer = base.tokenizer()?;
    events.stage("loading the text encoder and the U-Net");
    let (mut text, unet) = (base.text_encoder()?, base.unet()?);
    extras.teach(&mut tokenizer, &mut text);
    let (tokens, texts) = (&mut tokenizer, &mut text);
    let mut parts =
        Parts { base, sites: unet.sites(), size, device, tokenizer: tokens, text: texts };
    let subjects = Subjects::load(&options.others, adapter, &mut parts, events)?;
    let method =
        adapter.map(|adapter| adapter_file::method(adapter, base.configs())).transpose()?;
    let learned = adapter.zip(method.as_deref());
    if let Some((adapter, method)) = learned {
        adapter_file::teach(adapter, method, &mut tokenizer, &mut text)?;
    }
    let placeholder = learned.map(|(adapter, method)| adapter_file::placeholder(adapter, method));
    let jobs = jobs(options, typed, job, &tokenizer, placeholder)?;
    let others = others(&jobs, typed, &subjects)?;
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
    let start = match (&checked.latents, &picture) {
        (Some(latents), _) => Start::Latents(&latents.rows),
        (None, Some(picture)) => Start::Picture(picture),
        (None, None) => Start::Noise,
    };
    let request = Options {
        embeddings: extras.paths(),
        guidance: Some(job.guidance),
        reference_guidance: Some(job.reference_guidance),
        ..options.clone()
    };
    let (name, files) = (base.name(), hashes(&request)?);
    let mut writer = Writer::new(events, &checked.places, jobs.len(), job.count);
    let draw = |((job, prompts), others): (&(Job, Prompts), &Vec<Other>)| {
        let made = Made {
            job,
            adapter,
            base_name: &name,
            base_fingerprint: &checked.fingerprint,
            files: &files,
            request: &Options { prompt: job.prompt.clone(), ..request.clone() },
            frozen_weights: checked.frozen_weights,
        };
        let mut watch = writer.follow(made);
        let sources = Sources { references: &references, others };
        generate(&model, method.as_deref(), job, prompts, sources, start, &mut watch)
    };
    let result = jobs.iter().zip(&others).try_for_each(draw);
    writer.finish(result, options.save_latents.as_deref())
}

/// The photos to draw from: those that were named, or the first one that the adapter keeps.
fn references(options: &Options, checked: &Checked) -> Result<Vec<Reference>> {
    let Some((adapter, path)) = checked.adapter.as_ref().zip(options.adapter.as_ref()) else {
        return Ok(Vec::new());
    };
    let (base, size, device) = (&checked.base, checked.size(), &checked.device);
    let read = |reference: &Named| reference.read(base, adapter, path, size, device);
    options::references(&options.references).iter().map(read).collect()
}

/// The extra embeddings that stand in a prompt.
fn extras(options: &Options, checked: &Checked, events: &mut dyn Events) -> Result<Extras> {
    let adapter = checked.adapter.as_ref();
    let placeholder = adapter.map(|adapter| adapter.info.placeholder.as_str());
    let mut texts = texts(&options.negative, placeholder)?;
    for prompt in &checked.typed {
        texts.extend(prompt.texts(placeholder)?);
    }
    Extras::load(&options.embeddings, &texts, placeholder, &checked.base, events)
}

/// The further subjects of each job.
fn others<'a>(
    jobs: &[(Job, Prompts)],
    typed: &[Typed],
    subjects: &'a Subjects,
) -> Result<Vec<Vec<Other<'a>>>> {
    let one = |((_, prompts), typed): (&(Job, Prompts), &Typed)| {
        typed.located(subjects.placed(&prompts.positive))
    };
    jobs.iter().zip(typed).map(one).collect()
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
