//! The data set of the base: renderings encoded once, with their captions.

use std::{collections::BTreeMap, path::Path};

use diffusion::{
    Tokenizer,
    base::Configs,
    vae::{Decoder, Encoder},
};
use engine::{
    Device,
    nn::Frozen,
    params::{Param, Params},
    values,
};
use formats::{Array, TensorFile, write_safetensors};
use toyworld::World;

use crate::{
    Error, Result,
    base::{FUNCTION_WORDS, Pairs},
    data,
};

/// Pictures encoded at a time.
const BATCH: u64 = 32;

/// Both halves of a VAE.
pub struct Vae {
    /// Pictures to latents.
    pub encoder: Encoder,
    /// Latents to pictures.
    pub decoder: Decoder,
}

impl Vae {
    /// Frozen, from parameters with diffusers' names.
    pub fn new(configs: &Configs, params: &Params, device: &Device) -> Self {
        let frozen = params.frozen(&Frozen::new(device));
        let Ok(encoder) = Encoder::build(&configs.vae, &frozen);
        let Ok(decoder) = Decoder::build(&configs.vae, &frozen);
        Self { encoder, decoder }
    }
}

/// Shifts and scales a VAE's latents so that each channel has mean 0 and variance 1
/// over pictures of the world: Stable Diffusion's single `scaling_factor` does this for
/// all channels at once; here it is folded into the 1x1 layers at the border, so that
/// the factor is 1.
pub fn normalise(configs: &Configs, params: &Params, world: &World, device: &Device) -> Params {
    let vae = Vae::new(configs, params, device);
    let side = configs.unet.sample_size * configs.vae.factor();
    let channels = configs.vae.latent_channels;
    let (mut sum, mut squares, mut count) = (vec![0.0; channels], vec![0.0; channels], 0.0);
    for first in (0..512).step_by(BATCH as usize) {
        let numbers: Vec<u64> = (first..first + BATCH).map(|i| data::FRESH + i).collect();
        let pictures = data::render(&numbers, |n| world.sample(n, side));
        let latents = values(vae.encoder.forward(data::tensor(&pictures, side)).mean());
        for pixel in latents.chunks(channels) {
            count += 1.0;
            for (channel, &value) in pixel.iter().enumerate() {
                sum[channel] += f64::from(value);
                squares[channel] += f64::from(value) * f64::from(value);
            }
        }
    }
    let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
    let std: Vec<f64> =
        squares.iter().zip(&mean).map(|(s, m)| (s / count - m * m).sqrt()).collect();
    fold(params, &mean, &std, device)
}

/// Folds `latent -> (latent - mean) / std` into the layers on both sides.
fn fold(params: &Params, mean: &[f64], std: &[f64], device: &Device) -> Params {
    let mut folded = params.clone();
    let channels = mean.len();
    let mut change = |name: &str, update: &dyn Fn(&mut [f32])| {
        let param = params.get(name).expect("every VAE has it");
        let mut values = param.values();
        update(&mut values);
        folded.insert(name, Param::new(values, param.shape(), device));
    };
    change("quant_conv.weight", &|weight| {
        for (row, s) in weight.chunks_mut(2 * channels).zip(std) {
            row.iter_mut().for_each(|w| *w = (f64::from(*w) / s) as f32);
        }
    });
    change("quant_conv.bias", &|bias| {
        let (means, variances) = bias.split_at_mut(channels);
        for (i, (m, v)) in means.iter_mut().zip(variances).enumerate() {
            *m = ((f64::from(*m) - mean[i]) / std[i]) as f32;
            *v -= 2.0 * std[i].ln() as f32;
        }
    });
    let weight = params.get("post_quant_conv.weight").expect("every VAE has it").values();
    change("post_quant_conv.weight", &|weight| {
        for row in weight.chunks_mut(channels) {
            row.iter_mut().zip(std).for_each(|(w, s)| *w = (f64::from(*w) * s) as f32);
        }
    });
    change("post_quant_conv.bias", &|bias| {
        for (b, row) in bias.iter_mut().zip(weight.chunks(channels)) {
            let shift: f64 = row.iter().zip(mean).map(|(&w, m)| f64::from(w) * m).sum();
            *b += shift as f32;
        }
    });
    folded
}

/// Renders and encodes the pictures with numbers `0..count` and writes them to a file.
pub fn encode(
    path: &Path,
    world: &World,
    vae: &Vae,
    side: usize,
    count: u64,
    watch: &mut dyn FnMut(u64),
) -> Result<()> {
    let (mut all, mut captions, mut shape) = (Vec::new(), Vec::new(), [0; 4]);
    for first in (0..count).step_by(BATCH as usize) {
        let numbers: Vec<u64> = (first..count.min(first + BATCH)).collect();
        let pictures = data::render(&numbers, |n| world.sample(n, side));
        let latents = vae.encoder.forward(data::tensor(&pictures, side)).mode();
        shape = latents.dims();
        all.extend(values(latents));
        captions.extend(pictures.into_iter().map(|p| p.caption));
        watch(first + numbers.len() as u64);
    }
    shape[0] = captions.len();
    let arrays = BTreeMap::from([("latents".to_owned(), Array::f32(&shape, &all))]);
    let captions = serde_json::to_string(&captions).expect("plain strings");
    let metadata = BTreeMap::from([("captions".to_owned(), captions)]);
    Ok(write_safetensors(path, &arrays, &metadata)?)
}

/// Reads what [`encode`] wrote.
pub fn load(path: &Path, tokenizer: &Tokenizer) -> Result<Pairs> {
    let file = TensorFile::open(path)?;
    let wrong = || Error::path(path, "is no file of encoded pictures: make it with `encode`");
    let &[count, h, w, c] = file.info("latents")?.shape.as_slice() else { return Err(wrong()) };
    let captions = file.metadata().get("captions").ok_or_else(wrong)?;
    let captions: Vec<String> = serde_json::from_str(captions).map_err(|_| wrong())?;
    if captions.len() != count {
        return Err(wrong());
    }
    let prompts = captions.iter().map(|caption| tokenizer.encode(caption, None));
    Ok(Pairs {
        latents: file.f32("latents")?,
        shape: [h, w, c],
        captions: prompts.collect::<diffusion::Result<_>>()?,
        empty: tokenizer.encode("", None)?,
        nameless: FUNCTION_WORDS.iter().filter_map(|word| tokenizer.single(word).ok()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use engine::rng::TorchRng;

    use super::*;
    use crate::{autoencoder, recipe};

    #[test]
    fn folding_shifts_the_latents_and_keeps_the_pictures() {
        let (configs, device) = (recipe::configs(600).unwrap(), engine::cpu());
        let params = autoencoder::fresh(&configs, 1, &device);
        let (mean, std) = ([0.5, -1.0, 0.25, 2.0], [0.5, 2.0, 1.5, 0.8]);
        let folded = fold(&params, &mean, &std, &device);
        let x = engine::tensor(TorchRng::new(1).randn(16 * 16 * 3), [1, 16, 16, 3], &device);
        let [plain, changed] = [&params, &folded].map(|p| Vae::new(&configs, p, &device));
        let (before, after) = (plain.encoder.forward(x.clone()), changed.encoder.forward(x));
        let pixels = |z: &engine::Tensor<4>| values(z.clone());
        for (i, (a, b)) in pixels(&before.mean()).iter().zip(pixels(&after.mean())).enumerate() {
            let expected = (f64::from(*a) - mean[i % 4]) / std[i % 4];
            assert!((expected - f64::from(b)).abs() < 1e-4, "{expected} {b}");
        }
        for (i, (a, b)) in pixels(&before.std()).iter().zip(pixels(&after.std())).enumerate() {
            let expected = f64::from(*a) / std[i % 4];
            assert!((expected - f64::from(b)).abs() < 1e-4, "{expected} {b}");
        }
        let (a, b) = (plain.decoder.forward(before.mode()), changed.decoder.forward(after.mode()));
        for (a, b) in values(a).iter().zip(values(b)) {
            assert!((a - b).abs() < 1e-3, "{a} {b}");
        }
    }
}
