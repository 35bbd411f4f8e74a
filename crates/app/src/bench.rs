//! `vico bench`: how fast this machine is, and how much memory it takes.

use std::{path::PathBuf, time::Instant};

use diffusion::{Base, Placeholder, Prompt, layout::from_nchw, unet::Plain};
use engine::{
    Device, Tensor, device,
    optim::{AdamW, AdamWConfig},
};
use personalize::{
    PLACEHOLDER, Recipe, Reference,
    draw::Draw,
    generate::{Job, Prompts},
    methods::{Batch, Frozen, Method, Request, Sources, vico::Vico},
};
use serde::Serialize;

use crate::{
    Compute, Events, Result, VERSION,
    estimate::{Memory, peak_memory, size_text},
    lora::open_base,
};

/// What was typed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Base model.
    pub base: PathBuf,
    /// Picture side; the base's own if not given.
    pub size: Option<usize>,
    /// Runs of each case, of which the median counts.
    pub repeats: usize,
    /// Cases by name; all if empty.
    pub cases: Vec<String>,
    /// Of a graphics card reserve the memory alone, and compute nothing.
    pub dry_run: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Version of the program.
    pub version: &'static str,
    /// Instructions and threads in use, or the device.
    pub features: String,
    /// Picture side, pixels.
    pub size: usize,
    /// Seconds to load the text encoder and the U-Net.
    pub loading: f64,
    /// The cases.
    pub cases: Vec<Case>,
    /// Most memory this process had, bytes, if the system tells.
    pub peak_memory: Option<u64>,
}

/// One case.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Median seconds, if it was computed.
    pub seconds: Option<f64>,
    /// Seconds of every run, in order.
    pub runs: Vec<f64>,
    /// Most memory up to here, bytes, if the system tells.
    pub peak_memory: Option<u64>,
    /// What a graphics card holds for this program by now, bytes: it gives nothing back on the
    /// way.
    pub device_memory: Option<u64>,
}

/// Names of the cases, in order.
pub const CASES: [&str; 8] = [
    "text-encoder",
    "vae-encode",
    "vae-decode",
    "unet",
    "sample-1",
    "sample-4",
    "train-1",
    "train-2",
];

/// Measures the parts of training and drawing.
pub fn run(options: &Options, compute: &Compute, events: &mut dyn Events) -> Result<Measured> {
    if let Some(name) = options.cases.iter().find(|name| !CASES.contains(&name.as_str())) {
        let known = CASES.join(", ");
        return Err(crate::Error::Usage(format!("unknown case \"{name}\": choose from {known}")));
    }
    if options.dry_run && compute.card().is_none() {
        return Err(crate::Error::Usage(
            "--dry-run is for graphics cards: name one with --device, or leave it out".into(),
        ));
    }
    let device = compute.device();
    let base = open_base(compute, &options.base, &[], events)?;
    let size = options.size.unwrap_or(base.default_size());
    base.check_size(size, size)?;
    let mut bench = Bench { options, device, events, cases: Vec::new() };
    bench.vae(&base, size, device)?;
    engine::release_buffers();
    let start = Instant::now();
    let parts = Loaded::new(&base, size, device)?;
    let loading = start.elapsed().as_secs_f64();
    bench.parts(&parts, compute)?;
    Ok(Measured {
        version: VERSION,
        features: compute.description(),
        size,
        loading,
        cases: bench.cases,
        peak_memory: peak_memory(),
    })
}

struct Bench<'a> {
    options: &'a Options,
    device: &'a Device,
    events: &'a mut dyn Events,
    cases: Vec<Case>,
}

impl Bench<'_> {
    /// Runs a case if it is wanted; each result is read, so that all of it is
    /// computed.
    fn case<const D: usize>(
        &mut self,
        name: &'static str,
        mut work: impl FnMut() -> Result<Tensor<D>>,
    ) -> Result<()> {
        let wanted = &self.options.cases;
        if !(wanted.is_empty() || wanted.iter().any(|w| w == name)) {
            return Ok(());
        }
        self.events.stage(name);
        let mut runs = Vec::new();
        for _ in 0..self.options.repeats.max(1) {
            if self.options.dry_run {
                device::dry_run(&mut work)?;
                continue;
            }
            let start = Instant::now();
            engine::values(work()?);
            runs.push(start.elapsed().as_secs_f64());
        }
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let seconds = sorted.get(sorted.len() / 2).copied();
        let device_memory = device::reserved_bytes(self.device);
        self.cases.push(Case { name, seconds, runs, peak_memory: peak_memory(), device_memory });
        Ok(())
    }

    fn vae(&mut self, base: &Base, size: usize, device: &Device) -> Result<()> {
        let pixels = engine::tensor(
            Draw::new(0).uniform("pixels", size * size * 3),
            [1, size, size, 3],
            device,
        );
        let encoder = base.vae_encoder()?;
        self.case("vae-encode", || Ok(encoder.forward(pixels.clone()).mode()))?;
        drop(encoder);
        let (decoder, latents) = (base.vae_decoder()?, latents(base, size, "latents", 1, device));
        self.case("vae-decode", || Ok(decoder.forward(latents.clone())))
    }

    fn parts(&mut self, parts: &Loaded, compute: &Compute) -> Result<()> {
        let token = parts.method.token();
        let prompt = std::slice::from_ref(&parts.prompt);
        let encode = || parts.text.forward(prompt, Some(token.clone()));
        self.case("text-encoder", || Ok(encode()))?;
        let context = encode();
        let x = parts.latents("x", 1);
        self.case("unet", || Ok(parts.unet.forward(x.clone(), &[500.0], &context, &mut Plain)))?;
        for (name, count) in [("sample-1", 1), ("sample-4", 4)] {
            let mut denoiser = parts.method.denoiser(&parts.request())?;
            let x = parts.latents("x", count);
            let level = parts.schedule.level(parts.schedule.len() / 2);
            self.case(name, || Ok(denoiser.predict(x.clone(), level)?))?;
        }
        for (name, count) in [("train-1", 1), ("train-2", 2)] {
            let mut trained = parts.fresh();
            let mut optimizer = AdamW::new(AdamWConfig::default());
            let batch = parts.batch(count);
            let unet = &parts.unet.with_tapes(parts.has_memory_for_tapes(count, compute));
            self.case(name, || {
                let mut evaluated = trained.evaluate(&Frozen { unet, ..parts.frozen() }, &batch);
                optimizer.step(trained.params_mut(), &mut evaluated.gradients, |_| 1e-5);
                Ok(trained.token())
            })?;
        }
        Ok(())
    }
}

/// Everything that training and drawing need, on random latents.
struct Loaded<'a> {
    base: &'a Base,
    size: usize,
    device: Device,
    text: diffusion::text::TextEncoder,
    unet: diffusion::unet::UNet,
    schedule: diffusion::Schedule,
    prompt: Prompt,
    prompts: Prompts,
    job: Job,
    method: Vico,
    reference: Reference,
}

impl<'a> Loaded<'a> {
    fn new(base: &'a Base, size: usize, device: &Device) -> Result<Self> {
        let (text, unet) = (base.text_encoder()?, base.unet()?);
        let placeholder = Placeholder { text: PLACEHOLDER, vectors: 1, words: "" };
        let job = Job::new("a photo of * on the beach", size);
        let prompts = job.prompts(&base.tokenizer()?, Some(placeholder), false)?;
        let method = fresh(&text, &unet, device);
        let reference = Reference::new(latents(base, size, "reference", 1, device));
        Ok(Self {
            base,
            size,
            device: device.clone(),
            schedule: base.schedule(),
            prompt: prompts.positive.chunks()[0].prompt.clone(),
            text,
            unet,
            prompts,
            job,
            method,
            reference,
        })
    }

    fn fresh(&self) -> Vico {
        fresh(&self.text, &self.unet, &self.device)
    }

    fn frozen(&self) -> Frozen<'_> {
        Frozen { text: &self.text, unet: &self.unet, schedule: &self.schedule }
    }

    /// Whether a training would keep tapes.
    fn has_memory_for_tapes(&self, batch: usize, compute: &Compute) -> bool {
        let recipe = Recipe { batch, ..Recipe::vico("toy", self.size) };
        let learned = self.method.params().count();
        let memory = Memory::of_training(compute, self.base, learned, &recipe);
        memory.with_tapes(compute, self.base, &recipe).tapes > 0
    }

    fn latents(&self, name: &str, count: usize) -> Tensor<4> {
        latents(self.base, self.size, name, count, &self.device)
    }

    fn request(&self) -> Request<'_> {
        let [_, height, width, _] = self.reference.latents.dims();
        Request {
            unet: &self.unet,
            text: &self.text,
            prompts: &self.prompts,
            job: &self.job,
            sources: Sources::references(std::slice::from_ref(&self.reference)),
            latents: [height, width],
        }
    }

    fn batch(&self, count: usize) -> Batch {
        Batch {
            latents: self.latents("x", count),
            references: self.latents("reference", count),
            masks: Vec::new(),
            noise: self.latents("noise", count),
            timesteps: vec![self.schedule.len() / 2; count],
            prompts: vec![self.prompt.clone(); count],
        }
    }
}

fn fresh(
    text: &diffusion::text::TextEncoder,
    unet: &diffusion::unet::UNet,
    device: &Device,
) -> Vico {
    let recipe = Recipe::vico("toy", 0);
    let token = text.token_embedding(0);
    Vico::new(unet.sites(), token, (recipe.rates(), recipe.vico), &Draw::new(0), device)
}

fn latents(base: &Base, size: usize, name: &str, count: usize, device: &Device) -> Tensor<4> {
    let (channels, side) = (base.configs().vae.latent_channels, size / base.configs().vae.factor());
    let values = Draw::new(0).normal(name, count * channels * side * side);
    from_nchw(values, [count, channels, side, side], device)
}

impl Measured {
    /// Everything, as JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let on_card = self.cases.iter().any(|case| case.device_memory.is_some());
        let device = |text: &str| if on_card { format!("   {text}") } else { String::new() };
        let memory = |bytes: Option<u64>| bytes.map_or("unknown".into(), size_text);
        let mut lines = vec![
            format!("vico {}, {}, {} px", self.version, self.features, self.size),
            format!("{:<14}{:>10}   peak memory{}", "", "seconds", device("on the device")),
            format!("{:<14}{:>10.3}", "loading", self.loading),
        ];
        for Case { name, seconds, peak_memory, device_memory, .. } in &self.cases {
            let there = device(&memory(*device_memory));
            let seconds = seconds.map_or("-".into(), |seconds| format!("{seconds:.3}"));
            lines.push(format!("{name:<14}{seconds:>10}   {:<11}{there}", memory(*peak_memory)));
        }
        lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
    }
}
