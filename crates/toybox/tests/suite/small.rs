//! A tiny model and data for it.

use diffusion::{Schedule, Tokenizer, base::Configs, config::PerLevel};
use engine::rng::TorchRng;
use toybox::{base::Pairs, recipe};

pub const MERGES: &str = "#version: 0.2\no n</w>\n";

pub fn tokenizer() -> Tokenizer {
    Tokenizer::new(MERGES, 8).unwrap()
}

pub fn configs() -> Configs {
    let mut configs = recipe::configs(tokenizer().vocabulary_size()).unwrap();
    configs.text.max_position_embeddings = 8;
    configs.unet.block_out_channels = vec![16, 16, 32];
    configs.unet.sample_size = 8;
    configs.unet.attention_head_dim = PerLevel::One(2);
    configs.vae.block_out_channels = vec![16, 16, 32];
    configs
}

/// Eight latents, each with a caption of its own.
pub fn pairs() -> Pairs {
    let tokenizer = tokenizer();
    let captions = ["a", "b", "c", "d", "e", "f", "g", "on"];
    let encode = |caption: &str| tokenizer.encode(caption, None).unwrap();
    Pairs {
        latents: TorchRng::new(3).randn(8 * 8 * 8 * 4),
        shape: [8, 8, 4],
        captions: captions.into_iter().map(encode).collect(),
        empty: encode(""),
        nameless: vec![tokenizer.single("on").unwrap()],
    }
}

pub fn schedule() -> Schedule {
    Schedule::new(&configs().schedule)
}
