//! The measurements that the model card reports.

use std::fmt;

use diffusion::{Prompt, Schedule, Tokenizer, base::Configs, text::TextEncoder, unet::UNet};
use engine::{Device, Tensor, nn::Frozen, params::Params, values};
use images::{Picture, contact_sheet};
use toyworld::{Rendering, Scene, World};

use crate::{
    Result, base, data,
    drawing::{Base, How},
    judge::{Judge, Opinion, answers},
    latents::Vae,
};

/// Pictures looked at or drawn at a time.
const BATCH: usize = 20;

/// Fractions of pictures in which the judge found what should be there.
pub struct Marks {
    what: &'static str,
    object: f64,
    scene: f64,
    count: usize,
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { what, object, scene, count } = self;
        let (object, scene) = (100.0 * object, 100.0 * scene);
        write!(f, "{what}: object {object:.1} %, scene {scene:.1} % of {count}")
    }
}

/// The judge, trained.
pub struct Expert<'a> {
    judge: Judge,
    world: &'a World,
    side: usize,
}

impl<'a> Expert<'a> {
    /// With averaged weights.
    pub fn new(world: &'a World, params: &Params, side: usize) -> Self {
        let frozen = params.frozen(&Frozen::new(&engine::cpu()));
        let Ok(judge) = Judge::build(&frozen, side, world.objects().len(), Scene::ALL.len());
        Self { judge, world, side }
    }

    /// What it thinks of pictures `[pictures, side, side, 3]` in -1..1.
    pub fn look(&self, pictures: Tensor<4>) -> Opinion {
        self.judge.look(pictures)
    }

    /// Its own accuracy on fresh renderings of all objects.
    pub fn examine(&self, count: usize) -> Marks {
        self.mark("judge on fresh renderings", count, &|pictures| pictures)
    }

    /// Its accuracy on fresh renderings that went through the VAE.
    pub fn through(&self, vae: &Vae, count: usize) -> Marks {
        self.mark("judge on reconstructions", count, &|pictures| again(vae, pictures))
    }

    fn mark(
        &self,
        what: &'static str,
        count: usize,
        change: &dyn Fn(Tensor<4>) -> Tensor<4>,
    ) -> Marks {
        let (mut object, mut scene) = (0, 0);
        for first in (0..count).step_by(BATCH) {
            let numbers = fresh(first, BATCH.min(count - first));
            let pictures = data::render(&numbers, |n| data::any(self.world, n, self.side));
            let opinion = self.look(change(data::tensor(&pictures, self.side)));
            object += right(&answers(opinion.objects), pictures.iter().map(|p| p.object));
            scene += right(&answers(opinion.scenes), pictures.iter().map(|p| p.scene as usize));
        }
        let part = |n: usize| n as f64 / count as f64;
        Marks { what, object: part(object), scene: part(scene), count }
    }
}

fn right(answers: &[usize], labels: impl Iterator<Item = usize>) -> usize {
    answers.iter().zip(labels).filter(|(a, b)| **a == *b).count()
}

fn fresh(first: usize, count: usize) -> Vec<u64> {
    (first..first + count).map(|i| data::FRESH + i as u64).collect()
}

/// Pictures through both halves of the VAE, without noise.
fn again(vae: &Vae, pictures: Tensor<4>) -> Tensor<4> {
    vae.decoder.forward(vae.encoder.forward(pictures).mode()).clamp(-1.0, 1.0)
}

/// How near the VAE's reconstructions are, as peak signal-to-noise ratios in dB: the
/// mean over pictures.
pub struct Fidelity {
    trained: f64,
    held_out: f64,
    count: usize,
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { trained, held_out, count } = self;
        write!(
            f,
            "VAE: {trained:.2} dB, on held-out objects {held_out:.2} dB, {count} pictures each"
        )
    }
}

/// Measures the VAE on fresh renderings.
pub fn fidelity(world: &World, vae: &Vae, side: usize, count: usize) -> Fidelity {
    let of = |objects: Vec<usize>| {
        let mut sum = 0.0;
        for first in (0..count).step_by(BATCH) {
            let numbers = fresh(first, BATCH.min(count - first));
            let pictures = data::render(&numbers, |n| {
                let pick = (n - data::FRESH) as usize;
                let scene = Scene::ALL[pick % Scene::ALL.len()];
                world.plain(objects[pick % objects.len()], scene, n, side)
            });
            let pictures = data::tensor(&pictures, side);
            let difference = values(again(vae, pictures.clone()) - pictures);
            sum += difference.chunks(side * side * 3).map(decibels).sum::<f64>();
        }
        sum / count as f64
    };
    let (trained, held_out) = (of(world.trained().collect()), of(world.held_out().collect()));
    Fidelity { trained, held_out, count }
}

/// Of a difference of pictures whose values span 2.
fn decibels(difference: &[f32]) -> f64 {
    let square: f64 = difference.iter().map(|&d| f64::from(d) * f64::from(d)).sum();
    10.0 * (4.0 * difference.len() as f64 / square).log10()
}

/// Renderings, each with its reconstruction below it.
pub fn reconstructions(world: &World, vae: &Vae, side: usize, columns: usize) -> Picture {
    let numbers = fresh(0, 4 * columns);
    let mut rows = Vec::new();
    for numbers in numbers.chunks(columns) {
        let pictures = data::tensor(&data::render(numbers, |n| data::any(world, n, side)), side);
        rows.extend(to_pictures(pictures.clone()));
        rows.extend(to_pictures(again(vae, pictures)));
    }
    contact_sheet(&rows, Some(columns), 2)
}

/// Pictures `[pictures, height, width, 3]` in -1..1 as pictures to write.
pub fn to_pictures(pictures: Tensor<4>) -> Vec<Picture> {
    let [_, height, width, channels] = pictures.dims();
    let unit = values(pictures);
    unit.chunks(height * width * channels).map(|p| Picture::from_unit(p, width, height)).collect()
}

/// A rendering as a picture to write.
pub fn to_picture(rendering: &Rendering, side: usize) -> Picture {
    Picture::from_rgb(side, side, rendering.pixels.clone())
}

/// The base without its VAE, trained.
pub struct Painter {
    text: TextEncoder,
    unet: UNet,
    shape: [usize; 3],
}

impl Painter {
    /// With averaged weights.
    pub fn new(configs: &Configs, params: &Params, device: &Device) -> Self {
        let frozen = Frozen::new(device);
        let (text, unet) = (params.within(base::TEXT), params.within(base::UNET));
        let Ok(text) = TextEncoder::build(&configs.text, &text.frozen(&frozen));
        let Ok(unet) = UNet::build(&configs.unet, &unet.frozen(&frozen));
        let side = configs.unet.sample_size;
        Self { text, unet, shape: [side, side, configs.vae.latent_channels] }
    }

    fn draw(
        &self,
        tokenizer: &Tokenizer,
        vae: &Vae,
        schedule: &Schedule,
        captions: &[(String, u64)],
        how: How,
    ) -> Result<Tensor<4>> {
        let base = Base {
            text: &self.text,
            unet: &self.unet,
            decoder: &vae.decoder,
            schedule,
            shape: self.shape,
        };
        let encode = |(caption, _): &(String, u64)| tokenizer.encode(caption, None);
        let prompts: Vec<Prompt> = captions.iter().map(encode).collect::<diffusion::Result<_>>()?;
        let seeds: Vec<u64> = captions.iter().map(|(_, seed)| *seed).collect();
        let empty = tokenizer.encode("", None)?;
        Ok(base.draw(&prompts, &empty, &seeds, how)?.clamp(-1.0, 1.0))
    }

    /// A picture for each caption and its seed.
    pub fn pictures(
        &self,
        tokenizer: &Tokenizer,
        vae: &Vae,
        schedule: &Schedule,
        captions: &[(String, u64)],
        how: How,
    ) -> Result<Vec<Picture>> {
        let mut pictures = Vec::new();
        for captions in captions.chunks(BATCH) {
            pictures.extend(to_pictures(self.draw(tokenizer, vae, schedule, captions, how)?));
        }
        Ok(pictures)
    }

    /// A sheet of samples, always of the same captions and seeds.
    pub fn sheet(
        &self,
        world: &World,
        tokenizer: &Tokenizer,
        vae: &Vae,
        schedule: &Schedule,
        count: usize,
    ) -> Result<Picture> {
        let captions: Vec<(String, u64)> =
            questions(world, count).into_iter().map(|q| (q.caption, q.seed)).collect();
        let how = How { steps: 20, guidance: 5.0 };
        let pictures = self.pictures(tokenizer, vae, schedule, &captions, how)?;
        Ok(contact_sheet(&pictures, Some(12), 2))
    }

    /// Draws captions of trained objects in scenes on fixed seeds and lets the judge
    /// say what it sees; also a sheet of the first of them.
    pub fn examine(
        &self,
        judge: &Expert,
        tokenizer: &Tokenizer,
        vae: &Vae,
        schedule: &Schedule,
        count: usize,
        how: How,
    ) -> Result<(Marks, Picture)> {
        let questions = questions(judge.world, count);
        let (mut object, mut scene, mut sheet) = (0, 0, Vec::new());
        for questions in questions.chunks(BATCH) {
            let captions: Vec<_> = questions.iter().map(|q| (q.caption.clone(), q.seed)).collect();
            let pictures = self.draw(tokenizer, vae, schedule, &captions, how)?;
            let opinion = judge.look(pictures.clone());
            object += right(&answers(opinion.objects), questions.iter().map(|q| q.object));
            scene += right(&answers(opinion.scenes), questions.iter().map(|q| q.scene as usize));
            sheet.extend(to_pictures(pictures));
        }
        let part = |n: usize| n as f64 / count as f64;
        let (object, scene) = (part(object), part(scene));
        sheet.truncate(144);
        let marks = Marks { what: "base", object, scene, count };
        Ok((marks, contact_sheet(&sheet, Some(16), 2)))
    }
}

/// A caption and what must be seen.
struct Question {
    caption: String,
    object: usize,
    scene: Scene,
    seed: u64,
}

/// Captions that go through trained objects and scenes so that each object meets
/// different scenes.
fn questions(world: &World, count: usize) -> Vec<Question> {
    let objects: Vec<usize> = world.trained().collect();
    let question = |i: usize| {
        let object = objects[(i * 37) % objects.len()];
        let scene = Scene::ALL[(i + i / objects.len()) % Scene::ALL.len()];
        let caption = world.plain(object, scene, 0, 8).caption;
        Question { caption, object, scene, seed: 1000 + i as u64 }
    };
    (0..count).map(question).collect()
}
