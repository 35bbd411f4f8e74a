//! Single-file checkpoints with the original CompVis names.

use std::path::{Path, PathBuf};

use formats::TensorFile;
use serde_json::{Value, json};

use super::{Configs, refuse};
use crate::{
    Result,
    config::{ScheduleConfig, TextConfig, UNetConfig, VaeConfig},
};

/// Stable Diffusion 1.x has eight heads in every transformer; the file does
/// not say so.
const UNET_HEADS: usize = 8;

/// Width of a head of CLIP's text encoder.
const TEXT_HEAD: usize = 64;

/// Heads of text encoders narrower than one head of CLIP (small test models).
const NARROW_TEXT_HEADS: usize = 4;

/// What stands before every name: training checkpoints keep the weights under
/// `state_dict`.
pub(super) fn prefix(file: &TensorFile) -> Result<&'static str> {
    let wrapped = file.names().any(|n| n.starts_with("state_dict.model."));
    let prefix = if wrapped { "state_dict." } else { "" };
    refuse::by_tensors(file, prefix)?;
    Ok(prefix)
}

/// A folder of the same name beside the file that holds its configuration.
pub(super) fn configs_beside(path: &Path) -> Option<PathBuf> {
    let folder = path.with_extension("");
    (folder != path && folder.join("unet/config.json").is_file()).then_some(folder)
}

/// Reads the configuration off the shapes of the weights.
pub(super) fn derive(file: &TensorFile, prefix: &str) -> Result<Configs> {
    let shapes = Shapes { file, prefix };
    let path = file.path();
    Ok(Configs {
        text: TextConfig::from_json(&shapes.text()?, path)?,
        unet: UNetConfig::from_json(&shapes.unet()?, path)?,
        vae: VaeConfig::from_json(&shapes.vae()?, path)?,
        schedule: ScheduleConfig::default(),
    })
}

struct Shapes<'a> {
    file: &'a TensorFile,
    prefix: &'a str,
}

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.file.contains(&format!("{}{name}", self.prefix))
    }

    /// A dimension of a weight that every such file has.
    fn dim(&self, name: &str, axis: usize) -> Result<usize> {
        let name = format!("{}{name}", self.prefix);
        Ok(self.file.info(&name)?.shape.get(axis).copied().unwrap_or(0))
    }

    /// How many of `name(0)`, `name(1)`, .. there are before the first gap.
    fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..).take_while(|&i| self.has(&name(i))).count()
    }

    fn text(&self) -> Result<Value> {
        let model = "cond_stage_model.transformer.text_model";
        let table = format!("{model}.embeddings.token_embedding.weight");
        let width = self.dim(&table, 1)?;
        let heads = if width < TEXT_HEAD { NARROW_TEXT_HEADS } else { width / TEXT_HEAD };
        let layer = |i| format!("{model}.encoder.layers.{i}");
        Ok(json!({
            "vocab_size": self.dim(&table, 0)?,
            "hidden_size": width,
            "intermediate_size": self.dim(&format!("{}.mlp.fc1.weight", layer(0)), 0)?,
            "num_hidden_layers": self.count(|i| format!("{}.mlp.fc1.weight", layer(i))),
            "num_attention_heads": heads,
            "max_position_embeddings":
                self.dim(&format!("{model}.embeddings.position_embedding.weight"), 0)?,
            "hidden_act": "quick_gelu",
        }))
    }

    fn unet(&self) -> Result<Value> {
        let model = "model.diffusion_model";
        let input = |i: usize, rest: &str| format!("{model}.input_blocks.{i}.{rest}");
        // Blocks of a level end with its downsampler.
        let layers = self.count(|i| input(i + 1, "0.in_layers.0.weight"));
        let downs = self.count(|l| input((l + 1) * (layers + 1), "0.op.weight"));
        let levels: Vec<usize> = (0..=downs).map(|l| 1 + l * (layers + 1)).collect();
        let widths = levels
            .iter()
            .map(|&block| self.dim(&input(block, "0.out_layers.3.weight"), 0))
            .collect::<Result<Vec<_>>>()?;
        let cross: Vec<bool> =
            levels.iter().map(|&block| self.has(&input(block, "1.norm.weight"))).collect();
        let kind = |&cross: &bool, half: &str| {
            if cross { format!("CrossAttn{half}Block2D") } else { format!("{half}Block2D") }
        };
        let key = format!("{model}.middle_block.1.transformer_blocks.0.attn2.to_k.weight");
        Ok(json!({
            "in_channels": self.dim(&input(0, "0.weight"), 1)?,
            "out_channels": self.dim(&format!("{model}.out.2.weight"), 0)?,
            "block_out_channels": widths,
            "down_block_types": cross.iter().map(|c| kind(c, "Down")).collect::<Vec<_>>(),
            "up_block_types": cross.iter().rev().map(|c| kind(c, "Up")).collect::<Vec<_>>(),
            "layers_per_block": layers,
            "cross_attention_dim": self.dim(&key, 1)?,
            "attention_head_dim": UNET_HEADS,
        }))
    }

    fn vae(&self) -> Result<Value> {
        let model = "first_stage_model";
        let conv = |l: usize, b: usize| format!("{model}.encoder.down.{l}.block.{b}.conv1.weight");
        let levels = self.count(|l| conv(l, 0));
        let widths = (0..levels).map(|l| self.dim(&conv(l, 0), 0)).collect::<Result<Vec<_>>>()?;
        Ok(json!({
            "in_channels": self.dim(&format!("{model}.encoder.conv_in.weight"), 1)?,
            "out_channels": self.dim(&format!("{model}.decoder.conv_out.weight"), 0)?,
            "latent_channels": self.dim(&format!("{model}.post_quant_conv.weight"), 0)?,
            "block_out_channels": widths,
            "layers_per_block": self.count(|b| conv(0, b)),
        }))
    }
}
