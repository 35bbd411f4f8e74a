//! Training the base: text encoder and U-Net together, on latents.

use diffusion::{
    Prompt, Schedule,
    base::Configs,
    text::TextEncoder,
    unet::{Plain, UNet},
};
use engine::{Device, Tensor, params::Params, rng::TorchRng};

use crate::{Result, fresh::Fresh};

/// What begins the names of the text encoder's parameters.
pub const TEXT: &str = "text.";
/// What begins the names of the U-Net's parameters.
pub const UNET: &str = "unet.";

/// The part of captions that is left out, for guidance (Ho and Salimans 2022).
const WITHOUT_CAPTION: f32 = 0.1;

/// The part of samples in which the U-Net is shown the rows of the words that name
/// things, and for all others those of the empty caption. A text encoder that is trained
/// from nothing else keeps a thing's name in the row *behind* its word, and the
/// attention to the word itself then finds everything but the thing: no method that
/// takes masks from it could work.
const NAMES_ALONE: f32 = 0.75;

/// Words that name nothing.
pub const FUNCTION_WORDS: [&str; 22] = [
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "at",
    "to",
    "with",
    "and",
    "my",
    "one",
    "top",
    "photo",
    "rendering",
    "rendition",
    "cropped",
    "good",
    "nice",
    "cool",
    "close",
    "-",
];

/// Signal-to-noise ratio above which a sample counts less (Hang et al. 2023).
const SNR_LIMIT: f64 = 5.0;

/// Encoded pictures with their captions, in memory.
pub struct Pairs {
    /// `[pictures, height, width, channels]`, flat.
    pub latents: Vec<f32>,
    /// Height, width and channels of one.
    pub shape: [usize; 3],
    /// One a picture.
    pub captions: Vec<Prompt>,
    /// The caption that says nothing.
    pub empty: Prompt,
    /// Ids of tokens that name nothing.
    pub nameless: Vec<u32>,
}

/// Random parameters of text encoder and U-Net.
pub fn fresh(configs: &Configs, seed: u64, device: &Device) -> Params {
    let (text, unet) = (Fresh::new(seed, device), Fresh::new(seed, device));
    let Ok(_) = TextEncoder::build(&configs.text, &text);
    let Ok(_) = UNet::build(&configs.unet, &unet);
    let mut all = Params::default();
    for (prefix, part) in [(TEXT, text), (UNET, unet)] {
        for (name, param) in part.into_params().iter() {
            all.insert(format!("{prefix}{name}"), param.clone());
        }
    }
    all
}

/// One training step's loss.
pub struct Step<'a> {
    /// Configurations of the parts.
    pub configs: &'a Configs,
    /// The noise schedule.
    pub schedule: &'a Schedule,
    /// What is learned from.
    pub pairs: &'a Pairs,
    /// Seed of the run.
    pub seed: u64,
    /// Samples in a step.
    pub batch: usize,
}

impl Step<'_> {
    /// Mean squared error of the predicted noise, each sample weighted by
    /// `min(1, 5 / SNR)`.
    pub fn loss(&self, leaves: &Params, step: u64) -> Result<Tensor<1>> {
        let device = engine::cpu();
        let mut rng = TorchRng::derive(self.seed, &format!("step {step}"));
        let chosen = rng.randint(0, self.pairs.captions.len() as i64, self.batch);
        let (timesteps, dropped) = (self.timesteps(&mut rng), rng.rand(self.batch));
        let alone = rng.rand(self.batch);
        let prompts: Vec<Prompt> = chosen
            .iter()
            .zip(&dropped)
            .map(|(&i, &u)| {
                if u < WITHOUT_CAPTION {
                    &self.pairs.empty
                } else {
                    &self.pairs.captions[i as usize]
                }
            })
            .cloned()
            .collect();
        let [h, w, c] = self.pairs.shape;
        let shape = [self.batch, h, w, c];
        let noise = engine::tensor(rng.randn(shape.iter().product()), shape, &device);
        let clean = engine::tensor(self.latents(&chosen), shape, &device);
        let noisy = self.schedule.add_noise(clean, noise.clone(), &timesteps);

        let Ok(text) = TextEncoder::build(&self.configs.text, &leaves.within(TEXT));
        let Ok(unet) = UNet::build(&self.configs.unet, &leaves.within(UNET));
        let context = self.context(&text, prompts, &alone);
        let times: Vec<f64> = timesteps.iter().map(|&t| t as f64).collect();
        let predicted = unet.forward(noisy, &times, &context, &mut Plain);
        let weights = engine::tensor(self.weights(&timesteps), [self.batch, 1, 1, 1], &device);
        let difference = (predicted - noise) * weights;
        Ok((difference.clone() * difference).mean())
    }

    /// What the U-Net is shown of captions: all rows, or those of names alone.
    fn context(&self, text: &TextEncoder, mut prompts: Vec<Prompt>, alone: &[f32]) -> Tensor<3> {
        let shown: Vec<f32> = prompts
            .iter()
            .zip(alone)
            .flat_map(|(prompt, &u)| {
                prompt.ids.iter().enumerate().map(move |(i, id)| {
                    let name = i < prompt.end_of_text && !self.pairs.nameless.contains(id);
                    f32::from(u >= NAMES_ALONE || name)
                })
            })
            .collect();
        let rows = prompts.len();
        prompts.push(self.pairs.empty.clone());
        let context = text.forward(&prompts, None);
        let [_, positions, _] = context.dims();
        let shown = engine::tensor(shown, [rows, positions, 1], &context.device());
        let (said, empty) = (context.clone().narrow(0, 0, rows), context.narrow(0, rows, 1));
        said * shown.clone() + empty * (shown.neg() + 1.0)
    }

    fn latents(&self, chosen: &[i64]) -> Vec<f32> {
        let size: usize = self.pairs.shape.iter().product();
        chosen
            .iter()
            .flat_map(|&i| &self.pairs.latents[i as usize * size..][..size])
            .copied()
            .collect()
    }

    /// Half of them uniform, half denser the more noise there is: where the objects'
    /// shapes are decided.
    fn timesteps(&self, rng: &mut TorchRng) -> Vec<usize> {
        let (which, place) = (rng.rand(self.batch), rng.rand(self.batch));
        let at = |(&which, &u): (&f32, &f32)| {
            let u = if which < 0.5 { u } else { u.sqrt() };
            ((u * self.schedule.len() as f32) as usize).min(self.schedule.len() - 1)
        };
        which.iter().zip(&place).map(at).collect()
    }

    /// Square roots of the samples' weights.
    fn weights(&self, timesteps: &[usize]) -> Vec<f32> {
        let weight = |&t: &usize| {
            let alpha = self.schedule.alpha(t);
            (SNR_LIMIT * (1.0 - alpha) / alpha).min(1.0).sqrt() as f32
        };
        timesteps.iter().map(weight).collect()
    }
}
