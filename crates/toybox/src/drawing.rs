//! Drawing with the base alone, and what comes out of the VAE.

use diffusion::{
    Prompt, Schedule,
    denoise::TextDenoiser,
    layout::from_nchw,
    sampler::{self, Sampler, Settings},
    text::TextEncoder,
    unet::UNet,
    vae::Decoder,
};
use engine::{Tensor, rng::TorchRng};

use crate::Result;

/// The parts that drawing needs.
pub struct Base<'a> {
    /// Text encoder.
    pub text: &'a TextEncoder,
    /// U-Net.
    pub unet: &'a UNet,
    /// Decoding half of the VAE.
    pub decoder: &'a Decoder,
    /// Noise schedule.
    pub schedule: &'a Schedule,
    /// Height, width and channels of latents.
    pub shape: [usize; 3],
}

/// How the judge's pictures are drawn.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// DDIM steps.
    pub steps: usize,
    /// Guidance scale.
    pub guidance: f64,
}

impl Base<'_> {
    /// One picture a prompt, `[prompts, side, side, 3]` in about -1..1; the noise of
    /// each comes from its own seed, as `vico generate` draws it.
    pub fn draw(
        &self,
        prompts: &[Prompt],
        empty: &Prompt,
        seeds: &[u64],
        how: How,
    ) -> Result<Tensor<4>> {
        let [height, width, channels] = self.shape;
        let both: Vec<Prompt> =
            std::iter::repeat_n(empty, prompts.len()).chain(prompts).cloned().collect();
        let context = self.text.forward(&both, None);
        let (unet, guidance) = (self.unet, how.guidance);
        let mut denoiser = TextDenoiser { unet, context, guidance };
        let settings = Settings { steps: how.steps, eta: 0.0 };
        let plan = Sampler::default().plan(self.schedule, &settings)?;
        let count = height * width * channels;
        let noise: Vec<f32> =
            seeds.iter().flat_map(|&seed| TorchRng::new(seed).randn(count)).collect();
        let device = self.text.device();
        let start = from_nchw(noise, [seeds.len(), channels, height, width], &device);
        let mut no_noise = || unreachable!("eta is 0");
        let latents =
            sampler::sample(&plan, &mut denoiser, start, &mut no_noise, &mut |_, _| Ok(()))?;
        Ok(self.decoder.forward(latents))
    }
}
