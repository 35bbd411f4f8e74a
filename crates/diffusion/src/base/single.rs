//! Single-file checkpoints with the original CompVis names.

use std::path::{Path, PathBuf};

use formats::TensorFile;
use serde_json::{Value, json};

use super::{Configs, refuse};
use crate::{
    Error, Result,
    config::{Prediction, ScheduleConfig, TextConfig, UNetConfig, VaeConfig},
};

/// Stable Diffusion 1.x has eight heads in every transformer; the file does
/// not say so.
const UNET_HEADS: usize = 8;

/// Width of a head of CLIP's and OpenCLIP's text encoders, and in the U-Net of Stable
/// Diffusion 2.x.
const HEAD: usize = 64;

/// What fills prompts up in Stable Diffusion 2.x.
pub(super) const OPEN_CLIP_PAD: &str = "!";

/// Heads of text encoders narrower than one head of CLIP (small test models).
const NARROW_HEADS: usize = 4;

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
    let second = has_open_clip(file, prefix);
    let prediction_type = if second { told_beside(path)? } else { Prediction::Noise };
    let text = if second { shapes.open_clip()? } else { shapes.text()? };
    let mut unet = shapes.unet()?;
    if second {
        unet["attention_head_dim"] = shapes.heads(&unet["block_out_channels"]);
        unet["use_linear_projection"] = true.into();
    }
    if prediction_type == Prediction::Velocity {
        unet["sample_size"] = SIDE_OF_V.into();
    }
    Ok(Configs {
        text: TextConfig::from_json(&text, path)?,
        unet: UNetConfig::from_json(&unet, path)?,
        vae: VaeConfig::from_json(&shapes.vae()?, path)?,
        schedule: ScheduleConfig { prediction_type, ..ScheduleConfig::default() },
    })
}

/// True for Stable Diffusion 2.x.
pub(super) fn has_open_clip(file: &TensorFile, prefix: &str) -> bool {
    file.contains(&format!("{prefix}cond_stage_model.model.ln_final.weight"))
}

/// Latent side of the models of Stable Diffusion 2.x that predict v.
const SIDE_OF_V: usize = 96;

/// The most that the original configuration beside a file may hold.
const YAML_LIMIT: u64 = 1 << 20;

/// What a file of Stable Diffusion 2.x predicts, which no weight tells: its original
/// configuration (`.yaml`) does, in one line.
fn told_beside(path: &Path) -> Result<Prediction> {
    let yaml = path.with_extension("yaml");
    let missing = |e: std::io::Error| Error::Unsupported {
        path: path.to_owned(),
        what: format!(
            "this is Stable Diffusion 2.x in one file, which does not tell whether it predicts v \
             (the 768-pixel models) or noise (the 512-pixel base models): put its configuration \
             beside it, as {} (which is not there: {e}), or use the model's diffusers folder",
            yaml.display()
        ),
    };
    let size = yaml.metadata().map_err(missing)?.len();
    if size > YAML_LIMIT {
        let what = format!("is {size} bytes long, expected at most {YAML_LIMIT}");
        return Err(Error::Unsupported { path: yaml, what });
    }
    let text = std::fs::read_to_string(&yaml).map_err(missing)?;
    let mut values = text.lines().filter_map(|line| line.trim().strip_prefix("parameterization:"));
    match values.next().map(|value| value.trim().trim_matches(['"', '\''])) {
        Some("v") => Ok(Prediction::Velocity),
        None | Some("eps") => Ok(Prediction::Noise),
        Some(other) => Err(Error::Config {
            found: other.to_owned(),
            path: yaml,
            key: "parameterization".into(),
            expected: "v or eps".into(),
        }),
    }
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
        let heads = if width < HEAD { NARROW_HEADS } else { width / HEAD };
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

    /// OpenCLIP's text encoder without its last layer: Stable Diffusion 2.x takes what the
    /// last but one gives, and only then norms it.
    fn open_clip(&self) -> Result<Value> {
        let model = "cond_stage_model.model";
        let table = format!("{model}.token_embedding.weight");
        let width = self.dim(&table, 1)?;
        let inner = |i| format!("{model}.transformer.resblocks.{i}.mlp.c_fc.weight");
        Ok(json!({
            "vocab_size": self.dim(&table, 0)?,
            "hidden_size": width,
            "intermediate_size": self.dim(&inner(0), 0)?,
            "num_hidden_layers": self.count(inner).saturating_sub(1),
            "num_attention_heads": (width / HEAD).max(1),
            "max_position_embeddings": self.dim(&format!("{model}.positional_embedding"), 0)?,
            "hidden_act": "gelu",
        }))
    }

    /// Heads of the levels of Stable Diffusion 2.x, all of one width.
    fn heads(&self, widths: &Value) -> Value {
        let widths = widths.as_array().into_iter().flatten().filter_map(Value::as_u64);
        widths.map(|width| (width / HEAD as u64).max(1)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_encoder_of_stable_diffusion_2_is_told_by_its_shapes() {
        let file = TensorFile::open(golden::fixture("diffusers/tiny-sd2.safetensors")).unwrap();
        assert!(has_open_clip(&file, ""));
        let shapes = Shapes { file: &file, prefix: "" };
        let text = shapes.open_clip().unwrap();
        // The file has three layers, the last of which is not used.
        assert_eq!((&text["num_hidden_layers"], &text["hidden_act"]), (&json!(2), &json!("gelu")));
        assert_eq!((&text["vocab_size"], &text["intermediate_size"]), (&json!(614), &json!(64)));
        assert_eq!(text["max_position_embeddings"], 77);
        let heads = shapes.heads(&json!([320, 640, 1280, 1280]));
        assert_eq!(heads, json!([5, 10, 20, 20]));
    }

    #[test]
    fn the_original_configuration_says_what_a_file_predicts() {
        let dir = tempfile::TempDir::new().unwrap();
        let model = dir.path().join("v2-1.safetensors");
        for (yaml, prediction) in [
            ("model:\n  params:\n    parameterization: \"v\"\n", Prediction::Velocity),
            ("    parameterization: eps\n", Prediction::Noise),
            ("model:\n  params:\n    linear_start: 0.00085\n", Prediction::Noise),
        ] {
            std::fs::write(model.with_extension("yaml"), yaml).unwrap();
            assert_eq!(told_beside(&model).unwrap(), prediction);
        }
    }
}
