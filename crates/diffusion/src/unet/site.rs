use crate::config::UNetConfig;

/// Which part of the U-Net a transformer stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// On the way down.
    Encoder,
    /// At the bottom.
    Middle,
    /// On the way up.
    Decoder,
}

/// A transformer of the U-Net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its number in the order of computation (SD 1.x: 0..=15).
    pub index: usize,
    /// Where it stands.
    pub part: Part,
    /// Channels of its tokens.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
    /// Pixels of the latent grid to one token, along a side.
    pub stride: usize,
    /// Its name in diffusers' files, e.g. `up_blocks.1.attentions.1`.
    pub diffusers: String,
    /// Its name in the original files, e.g. `output_blocks.4.1`.
    pub original: String,
}

impl Site {
    /// Name of its block in diffusers' files, whose attentions are `attn1` (to itself)
    /// and `attn2` (to the text).
    pub fn block_name(&self) -> String {
        format!("{}.transformer_blocks.0", self.diffusers)
    }
}

/// The transformers of a U-Net in the order of computation, by its
/// configuration alone.
pub fn sites(config: &UNetConfig) -> Vec<Site> {
    let mut sites = Vec::new();
    let levels = config.block_out_channels.len();
    let mut add = |part, level: usize, diffusers: String, original: String| {
        let (channels, heads) =
            (config.block_out_channels[level], config.attention_head_dim.at(level));
        let (index, stride) = (sites.len(), 1 << level);
        sites.push(Site { index, part, channels, heads, stride, diffusers, original });
    };
    // The original's encoder numbers its blocks from the first convolution on,
    // and each level ends with a downsampler.
    let per_level = config.layers_per_block + 1;
    for (level, kind) in config.down_block_types.iter().enumerate() {
        for j in (0..config.layers_per_block).filter(|_| is_cross(kind)) {
            let original = format!("input_blocks.{}.1", 1 + level * per_level + j);
            add(Part::Encoder, level, format!("down_blocks.{level}.attentions.{j}"), original);
        }
    }
    add(Part::Middle, levels - 1, "mid_block.attentions.0".into(), "middle_block.1".into());
    for (up, kind) in config.up_block_types.iter().enumerate() {
        for j in (0..per_level).filter(|_| is_cross(kind)) {
            let original = format!("output_blocks.{}.1", up * per_level + j);
            add(Part::Decoder, levels - 1 - up, format!("up_blocks.{up}.attentions.{j}"), original);
        }
    }
    sites
}

/// True for the kinds of levels that hold transformers.
pub(super) fn is_cross(kind: &str) -> bool {
    kind.starts_with("CrossAttn")
}
