//! Generation: one code path for `generate` and for previews in training.

use diffusion::{
    Schedule, Tokenizer,
    denoise::Denoiser,
    layout::{from_nchw, to_nchw},
    sampler,
    text::TextEncoder,
    unet::UNet,
    vae::{Decoder, Posterior},
};
use engine::Tensor;
use images::Picture;

use crate::{
    Error, Result,
    methods::{Method, Request, Sources},
    noise::Stream,
};

pub use crate::{
    guidance::{Guidance, SCALES},
    job::{Init, Job, Prompts},
    noise::Rng,
};

/// The frozen parts that drawing needs.
pub struct Model<'a> {
    /// Tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Text encoder.
    pub text: &'a TextEncoder,
    /// U-Net.
    pub unet: &'a UNet,
    /// Decoding half of the VAE.
    pub decoder: &'a Decoder,
    /// Noise schedule.
    pub schedule: &'a Schedule,
    /// Pixels a latent stands for, along a side.
    pub factor: usize,
    /// Latent channels.
    pub channels: usize,
}

/// A drawn picture.
pub struct Drawn {
    /// Its number in the job, from 0.
    pub index: usize,
    /// Its seed.
    pub seed: u64,
    /// The picture.
    pub picture: Picture,
    /// Latents it was decoded from, `[channels, height, width]`.
    pub latents: Vec<f32>,
    /// Latents it started from.
    pub start: Vec<f32>,
    /// Shape of both.
    pub shape: [usize; 3],
}

/// Whoever follows a job; each call may end it with an error.
pub trait Watch {
    /// A sampling step of some pictures was done; `done` of `total` in the job.
    fn step(&mut self, done: usize, total: usize) -> Result<()>;
    /// A picture is finished.
    fn picture(&mut self, drawn: Drawn) -> Result<()>;
}

/// What a picture starts from.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// The noise of its seed.
    Noise,
    /// Given latents in place of that noise, a row of `channels * height *
    /// width` values each.
    Latents(&'a [Vec<f32>]),
    /// An encoded picture under the noise of its seed: latents are drawn from
    /// the posterior first and then the noise, as diffusers'
    /// `StableDiffusionImg2ImgPipeline` does it.
    Picture(&'a Posterior),
}

/// Draws a job's pictures, with what a method learned or with the base model as it is;
/// methods without image attention need no references.
pub fn generate(
    model: &Model,
    method: Option<&dyn Method>,
    job: &Job,
    prompts: &Prompts,
    sources: Sources,
    start: Start,
    watch: &mut dyn Watch,
) -> Result<()> {
    let latents = [job.height / model.factor, job.width / model.factor];
    let request = Request { unet: model.unet, text: model.text, prompts, job, sources, latents };
    match method {
        Some(method) => draw(model, method.denoiser(&request)?.as_mut(), job, start, watch),
        None => draw(model, &mut request.denoiser(None), job, start, watch),
    }
}

/// Draws a job's pictures with a denoiser that knows what to draw.
pub fn draw(
    model: &Model,
    denoiser: &mut dyn Denoiser,
    job: &Job,
    start: Start,
    watch: &mut dyn Watch,
) -> Result<()> {
    let plan = job.plan(model.schedule)?;
    let shape = [model.channels, job.height / model.factor, job.width / model.factor];
    let steps = plan.evaluations();
    for first in (0..job.count).step_by(job.batch) {
        let count = job.batch.min(job.count - first);
        let mut rows: Vec<Row> =
            (first..first + count).map(|i| Row::new(i, job, shape, start)).collect();
        let device = model.text.device();
        let noise = stack(rows.iter().map(|row| row.start.clone()), shape, &device);
        let pictures: Option<Vec<_>> = rows.iter().map(|row| row.picture.clone()).collect();
        let pictures = pictures.map(|rows| stack(rows.into_iter(), shape, &device));
        let mut failure = None;
        let result = sampler::sample(
            &plan,
            denoiser,
            plan.start(noise, pictures),
            &mut || stack(rows.iter_mut().map(Row::noise), shape, &device),
            &mut |i, x| {
                let done = first * steps + (i + 1) * count;
                let followed = finite(x, i, steps, first, job.seed);
                followed.and_then(|()| watch.step(done, job.count * steps)).map_err(|e| {
                    failure = Some(e);
                    diffusion::Error::Sampling("ended by its watcher".into())
                })
            },
        );
        if let Some(failure) = failure {
            return Err(failure);
        }
        // U-Net and decoder have buffers of other sizes, each of no use to the other.
        engine::release_buffers();
        for (row, latents) in rows.into_iter().zip(split(result?)) {
            watch.picture(row.finish(model, latents, shape)?)?;
        }
        engine::release_buffers();
    }
    Ok(())
}

/// A picture under way with its own random numbers.
struct Row {
    index: usize,
    seed: u64,
    stream: Stream,
    start: Vec<f32>,
    /// Latents of the picture it begins with.
    picture: Option<Vec<f32>>,
}

impl Row {
    fn new(index: usize, job: &Job, shape: [usize; 3], start: Start) -> Self {
        let seed = job.seed.wrapping_add(index as u64);
        let mut stream = job.rng.stream(seed);
        let count = shape.iter().product();
        let picture = match start {
            Start::Picture(posterior) => Some(sampled(posterior, stream(count), shape)),
            _ => None,
        };
        let noise = stream(count);
        let start = match start {
            Start::Latents(rows) => rows[index].clone(),
            _ => noise,
        };
        Self { index, seed, stream, start, picture }
    }

    fn noise(&mut self) -> Vec<f32> {
        (self.stream)(self.start.len())
    }

    fn finish(self, model: &Model, latents: Tensor<4>, shape: [usize; 3]) -> Result<Drawn> {
        let pixels = model.decoder.forward(latents.clone());
        let [_, height, width, _] = pixels.dims();
        let values = engine::values(pixels);
        if !values.iter().all(|v| v.is_finite()) {
            return Err(not_finite("the decoded picture", "the VAE", self.index, self.seed));
        }
        let picture = Picture::from_unit(&values, width, height);
        let Self { index, seed, start, .. } = self;
        Ok(Drawn { index, seed, picture, latents: to_nchw(latents).0, start, shape })
    }
}

/// Latents drawn from a posterior by given noise, in files' order.
fn sampled(posterior: &Posterior, noise: Vec<f32>, [c, h, w]: [usize; 3]) -> Vec<f32> {
    let noise = from_nchw(noise, [1, c, h, w], &posterior.mean().device());
    to_nchw(posterior.sample(noise)).0
}

fn stack(
    rows: impl Iterator<Item = Vec<f32>>,
    [c, h, w]: [usize; 3],
    device: &engine::Device,
) -> Tensor<4> {
    let rows: Vec<Vec<f32>> = rows.collect();
    let count = rows.len();
    from_nchw(rows.concat(), [count, c, h, w], device)
}

fn split(latents: Tensor<4>) -> Vec<Tensor<4>> {
    (0..latents.dims()[0]).map(|i| latents.clone().narrow(0, i, 1)).collect()
}

/// Checks the latents of each picture after a step.
fn finite(x: &Tensor<4>, step: usize, steps: usize, first: usize, seed: u64) -> Result<()> {
    let rows = x.dims()[0];
    let values = engine::values(x.clone());
    for (i, row) in values.chunks(values.len() / rows).enumerate() {
        if !row.iter().all(|v| v.is_finite()) {
            let (place, index) = (format!("step {} of {steps}", step + 1), first + i);
            return Err(not_finite("the latents", &place, index, seed + index as u64));
        }
    }
    Ok(())
}

fn not_finite(tensor: &str, place: &str, index: usize, seed: u64) -> Error {
    Error::NotFinite {
        tensor: tensor.into(),
        place: format!("{place}, picture {index} (seed {seed})"),
        advice: "lower --guidance, or check the adapter and the base model".into(),
    }
}
