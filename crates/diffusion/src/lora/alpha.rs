//! Alphas that are not among the tensors: PEFT's configuration, in the metadata
//! of diffusers' files or in `adapter_config.json` beside PEFT's own.

use std::{fs, path::Path};

use formats::TensorFile;
use serde_json::Value;

use super::{PEFT_PREFIX, Part};
use crate::{Error, Result};

const METADATA: &str = "lora_adapter_metadata";
const BESIDE: &str = "adapter_config.json";

/// The most that a configuration may hold.
const LIMIT: u64 = 1 << 20;

/// PEFT's configurations of a LoRA.
pub(super) struct Alphas {
    configs: Vec<(Option<Part>, Config)>,
}

struct Config {
    alpha: Option<f64>,
    /// Alphas of single layers, by the ends of their names.
    layers: Vec<(String, f64)>,
    /// Divided by the root of the rank (Kalajdzievski 2023).
    by_root: bool,
}

impl Alphas {
    /// # Errors
    /// If a configuration is damaged or of a DoRA.
    pub fn read(file: &TensorFile) -> Result<Self> {
        let wrong =
            |what: String| Error::Lora { path: file.path().to_owned(), key: METADATA.into(), what };
        let parse = |text: &str| -> Result<Value> {
            serde_json::from_str(text).map_err(|e| wrong(format!("it is no JSON ({e})")))
        };
        let mut configs = Vec::new();
        if let Some(text) = file.metadata().get(METADATA) {
            let value = parse(text)?;
            for (part, prefix) in [(Part::Unet, "unet."), (Part::Text, "text_encoder.")] {
                configs.push((Some(part), Config::new(&value, prefix).map_err(wrong)?));
            }
        }
        if file.names().any(|name| name.starts_with(PEFT_PREFIX))
            && let Some(text) = beside(file.path())
        {
            configs.push((None, Config::new(&parse(&text)?, "").map_err(wrong)?));
        }
        Ok(Self { configs })
    }

    /// What a layer's product is multiplied by; 1 where nothing is said.
    pub fn scale(&self, part: Part, module: &str, rank: usize) -> f64 {
        let fits = |(of, _): &&(Option<Part>, Config)| of.is_none_or(|of| of == part);
        let config = self.configs.iter().find(fits).map(|(_, config)| config);
        let Some(config) = config else { return 1.0 };
        let layer = config.layers.iter().find(|(name, _)| {
            let end = module.strip_suffix(name.as_str());
            end.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        let Some(alpha) = layer.map(|(_, alpha)| *alpha).or(config.alpha) else { return 1.0 };
        let rank = rank as f64;
        if config.by_root { alpha / rank.sqrt() } else { alpha / rank }
    }
}

impl Config {
    fn new(value: &Value, prefix: &str) -> std::result::Result<Self, String> {
        let get = |key: &str| &value[format!("{prefix}{key}")];
        if get("use_dora") == true {
            return Err("it is a DoRA, which is not read".into());
        }
        let layers = get("alpha_pattern").as_object().into_iter().flatten();
        let layers = layers.filter_map(|(name, alpha)| Some((name.clone(), alpha.as_f64()?)));
        Ok(Self {
            alpha: get("lora_alpha").as_f64(),
            layers: layers.collect(),
            by_root: get("use_rslora") == true,
        })
    }
}

/// The configuration that PEFT saves beside the weights.
fn beside(file: &Path) -> Option<String> {
    let path = file.with_file_name(BESIDE);
    let small = fs::metadata(&path).is_ok_and(|data| data.is_file() && data.len() <= LIMIT);
    small.then(|| fs::read_to_string(path).ok()).flatten()
}
