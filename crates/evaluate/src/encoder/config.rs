//! What an encoder is like: its sizes from the shapes in its file, the rest from the
//! `config.json` beside it, or as its family has it.

use std::path::Path;

use diffusion::config::TextConfig;
use serde_json::Value;

use super::{Family, names::Layout, positions::Interpolation, vit::VitConfig, weights::Weights};
use crate::{Error, Result};

/// Values of one tower that its weights do not tell.
struct Settings {
    heads: usize,
    epsilon: f64,
    quick_gelu: bool,
}

/// Channels of a head in every published encoder.
const HEAD: usize = 64;

impl Settings {
    /// Of a tower of this width, which `config` may describe.
    fn new(family: Family, width: usize, config: Option<&Value>, path: &Path) -> Result<Self> {
        let wrong = |key: &str, value: &Value, expected: &str| {
            Error::encoder(
                path,
                format!("{key} in its config.json is {value}, expected {expected}"),
            )
        };
        let get = |key: &str| config.and_then(|config| config.get(key));
        let heads = get("num_attention_heads").map_or(Ok((width / HEAD).max(1)), |value| {
            let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
            count
                .filter(|&n| n > 0 && width.is_multiple_of(n))
                .ok_or_else(|| wrong("num_attention_heads", value, "a divisor of the width"))
        })?;
        let epsilon = get("layer_norm_eps").map_or(Ok(family.epsilon()), |value| {
            let epsilon = value.as_f64().filter(|e| (0.0..1.0).contains(e));
            epsilon.ok_or_else(|| wrong("layer_norm_eps", value, "a small number"))
        })?;
        let quick_gelu = match get("hidden_act").map(|value| (value, value.as_str())) {
            None => family == Family::Clip,
            Some((_, Some("quick_gelu"))) => true,
            Some((_, Some("gelu"))) => false,
            Some((value, _)) => return Err(wrong("hidden_act", value, "quick_gelu or gelu")),
        };
        Ok(Self { heads, epsilon, quick_gelu })
    }
}

/// How many layers there are, by the name of a weight in each.
fn layers(weights: &Weights, name: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|&i| weights.has(&name(i))).count()
}

/// The vision transformer of a file.
pub(super) fn vit(weights: &Weights, family: Family, config: Option<&Value>) -> Result<VitConfig> {
    let path = weights.file().path();
    let [positions, width] = weights.shape("positions")?;
    let grid = positions.saturating_sub(1).isqrt();
    if grid == 0 || grid * grid + 1 != positions {
        let what = format!("it has {positions} position embeddings, expected 1 and a square");
        return Err(Error::encoder(path, what));
    }
    let own = config.map(|config| config.get("vision_config").unwrap_or(config));
    let Settings { heads, epsilon, quick_gelu } = Settings::new(family, width, own, path)?;
    let projected = weights.has("projection.weight");
    let projection = projected.then(|| weights.shape("projection.weight")).transpose()?;
    Ok(VitConfig {
        width,
        inner: weights.shape("layers.0.up.weight")?[0],
        layers: layers(weights, |i| format!("layers.{i}.norm1.weight")),
        heads,
        patch: weights.patch()?,
        grid,
        epsilon,
        quick_gelu,
        patch_bias: weights.has("patches.bias"),
        norm_first: weights.has("norm_first.weight"),
        layer_scale: weights.has("layers.0.scale1"),
        projection: projection.map(|[outputs, _]| outputs),
        interpolation: match weights.layout() {
            Layout::FacebookDino | Layout::FacebookDinov2 => Interpolation::Offset(0.1),
            _ => Interpolation::Sides,
        },
    })
}

/// The text tower of a CLIP.
pub(super) fn text(weights: &Weights, config: Option<&Value>) -> Result<TextConfig> {
    let embeddings = "text_model.embeddings";
    let [vocab_size, width] = weights.shape(&format!("{embeddings}.token_embedding.weight"))?;
    let [positions, _] = weights.shape(&format!("{embeddings}.position_embedding.weight"))?;
    let layer = |i: usize, part: &str| format!("text_model.encoder.layers.{i}.{part}.weight");
    let own = config.and_then(|config| config.get("text_config"));
    let path = weights.file().path();
    let Settings { heads, epsilon, quick_gelu } = Settings::new(Family::Clip, width, own, path)?;
    let json = serde_json::json!({
        "vocab_size": vocab_size,
        "hidden_size": width,
        "intermediate_size": weights.shape(&layer(0, "mlp.fc1"))?[0],
        "num_hidden_layers": layers(weights, |i| layer(i, "layer_norm1")),
        "num_attention_heads": heads,
        "max_position_embeddings": positions,
        "hidden_act": if quick_gelu { "quick_gelu" } else { "gelu" },
        "layer_norm_eps": epsilon,
    });
    Ok(TextConfig::from_json(&json, path)?)
}
