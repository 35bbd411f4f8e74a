//! Names of the original single-file checkpoints (CompVis latent-diffusion).
//!
//! The model code asks for diffusers' names; these functions say where the
//! same weight lies in a `.ckpt` or `.safetensors` file of the original kind.

use crate::config::{UNetConfig, VaeConfig};

/// Name of a U-Net weight: `conv_in.weight` is
/// `model.diffusion_model.input_blocks.0.0.weight`.
pub fn unet(config: &UNetConfig, name: &str) -> String {
    format!("model.diffusion_model.{}", unet_inner(config, name))
}

fn unet_inner(config: &UNetConfig, name: &str) -> String {
    let per_level = config.layers_per_block + 1;
    if let Some(rest) = name.strip_prefix("time_embedding.linear_1") {
        return format!("time_embed.0{rest}");
    }
    if let Some(rest) = name.strip_prefix("time_embedding.linear_2") {
        return format!("time_embed.2{rest}");
    }
    for (ours, theirs) in
        [("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2")]
    {
        if let Some(rest) = name.strip_prefix(ours) {
            return format!("{theirs}{rest}");
        }
    }
    if let Some((level, kind, index, rest)) = block(name, "down_blocks.") {
        let at = 1 + level * per_level;
        return match kind {
            "resnets" => format!("input_blocks.{}.0.{}", at + index, resnet(rest)),
            "attentions" => format!("input_blocks.{}.1.{rest}", at + index),
            _ => format!("input_blocks.{}.0.{}", at + per_level - 1, downsampler(rest)),
        };
    }
    if let Some((level, kind, index, rest)) = block(name, "up_blocks.") {
        let at = level * per_level;
        return match kind {
            "resnets" => format!("output_blocks.{}.0.{}", at + index, resnet(rest)),
            "attentions" => format!("output_blocks.{}.1.{rest}", at + index),
            // The upsampler stands behind the attention, where there is one.
            _ => {
                let place =
                    if config.up_block_types[level].starts_with("CrossAttn") { 2 } else { 1 };
                format!("output_blocks.{}.{place}.{rest}", at + per_level - 1)
            }
        };
    }
    match part(name, "mid_block.") {
        Some(("attentions", _, rest)) => format!("middle_block.1.{rest}"),
        Some((_, index, rest)) => format!("middle_block.{}.{}", 2 * index, resnet(rest)),
        None => name.to_owned(),
    }
}

/// Name of a VAE weight: `encoder.conv_in.weight` is
/// `first_stage_model.encoder.conv_in.weight`.
pub fn vae(config: &VaeConfig, name: &str) -> String {
    let (half, rest) = match name.split_once('.') {
        Some(("encoder", rest)) => ("encoder.", rest),
        Some(("decoder", rest)) => ("decoder.", rest),
        _ => ("", name),
    };
    format!("first_stage_model.{half}{}", vae_inner(config, rest))
}

fn vae_inner(config: &VaeConfig, name: &str) -> String {
    if let Some(rest) = name.strip_prefix("conv_norm_out") {
        return format!("norm_out{rest}");
    }
    let levels = config.block_out_channels.len();
    if let Some((level, kind, index, rest)) = block(name, "down_blocks.") {
        return match kind {
            "resnets" => format!("down.{level}.block.{index}.{}", vae_resnet(rest)),
            _ => format!("down.{level}.downsample.{rest}"),
        };
    }
    if let Some((level, kind, index, rest)) = block(name, "up_blocks.") {
        // The original counts the decoder's levels from the finest.
        let level = levels - 1 - level;
        return match kind {
            "resnets" => format!("up.{level}.block.{index}.{}", vae_resnet(rest)),
            _ => format!("up.{level}.upsample.{rest}"),
        };
    }
    match part(name, "mid_block.") {
        Some(("attentions", _, rest)) => format!("mid.attn_1.{}", vae_attention(rest)),
        Some((_, index, rest)) => format!("mid.block_{}.{}", index + 1, vae_resnet(rest)),
        None => name.to_owned(),
    }
}

/// Name of a text-encoder weight.
pub fn text(name: &str) -> String {
    format!("cond_stage_model.transformer.{name}")
}

/// Name of a text-encoder weight in Stable Diffusion 2, whose encoder is OpenCLIP's; query,
/// key and value have one name, see [`open_clip_third`].
pub fn open_clip(name: &str) -> String {
    let inner = name.strip_prefix("text_model.").unwrap_or(name);
    let inner = match part(inner, "encoder.") {
        Some((_, layer, rest)) => {
            format!("transformer.resblocks.{layer}.{}", open_clip_layer(rest))
        }
        None => renamed(
            inner,
            &[
                ("embeddings.token_embedding", "token_embedding"),
                ("embeddings.position_embedding.weight", "positional_embedding"),
                ("final_layer_norm", "ln_final"),
            ],
        ),
    };
    format!("cond_stage_model.model.{inner}")
}

fn open_clip_layer(rest: &str) -> String {
    renamed(
        rest,
        &[
            ("self_attn.q_proj.", "attn.in_proj_"),
            ("self_attn.k_proj.", "attn.in_proj_"),
            ("self_attn.v_proj.", "attn.in_proj_"),
            ("self_attn.out_proj", "attn.out_proj"),
            ("layer_norm1", "ln_1"),
            ("layer_norm2", "ln_2"),
            ("mlp.fc1", "mlp.c_fc"),
            ("mlp.fc2", "mlp.c_proj"),
        ],
    )
}

/// Which third of OpenCLIP's `in_proj` a text-encoder weight is.
pub fn open_clip_third(name: &str) -> Option<usize> {
    [".q_proj.", ".k_proj.", ".v_proj."].iter().position(|part| name.contains(part))
}

/// `PREFIX<level>.<kind>.<index>.<rest>`.
fn block<'a>(name: &'a str, prefix: &str) -> Option<(usize, &'a str, usize, &'a str)> {
    let (level, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    let (kind, index, rest) = part(rest, "")?;
    Some((level.parse().ok()?, kind, index, rest))
}

/// `PREFIX<kind>.<index>.<rest>`.
fn part<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, usize, &'a str)> {
    let (kind, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    let (index, rest) = rest.split_once('.')?;
    Some((kind, index.parse().ok()?, rest))
}

fn resnet(rest: &str) -> String {
    renamed(
        rest,
        &[
            ("norm1", "in_layers.0"),
            ("conv1", "in_layers.2"),
            ("time_emb_proj", "emb_layers.1"),
            ("norm2", "out_layers.0"),
            ("conv2", "out_layers.3"),
            ("conv_shortcut", "skip_connection"),
        ],
    )
}

fn vae_resnet(rest: &str) -> String {
    renamed(rest, &[("conv_shortcut", "nin_shortcut")])
}

fn vae_attention(rest: &str) -> String {
    renamed(
        rest,
        &[
            ("group_norm", "norm"),
            ("to_q", "q"),
            ("to_k", "k"),
            ("to_v", "v"),
            ("to_out.0", "proj_out"),
        ],
    )
}

fn downsampler(rest: &str) -> String {
    renamed(rest, &[("conv", "op")])
}

fn renamed(rest: &str, table: &[(&str, &str)]) -> String {
    for (ours, theirs) in table {
        if let Some(tail) = rest.strip_prefix(ours) {
            return format!("{theirs}{tail}");
        }
    }
    rest.to_owned()
}
