//! LoRAs that are merged into the base model as it is loaded.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use diffusion::{Base, Lora};
use serde::{Deserialize, Serialize};

use crate::{
    Compute, Error, Events, Result,
    hub::{self, Id},
};

/// A LoRA and how much of it: `FILE`, or `FILE:WEIGHT`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoraFile {
    /// The file, or a folder with one.
    pub path: PathBuf,
    /// 1 as it was trained; 0 is nothing.
    pub weight: f64,
}

/// The largest weight, in either direction.
const MOST: f64 = 10.0;

impl FromStr for LoraFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |tail: &str| tail.parse::<f64>().ok();
        let weighted = text.rsplit_once(':').and_then(|(path, tail)| Some((path, number(tail)?)));
        let (path, weight) = weighted.unwrap_or((text, 1.0));
        if path.is_empty() || !(weight.is_finite() && weight.abs() <= MOST) {
            return Err(Error::Usage(format!(
                "--lora is {text}, expected FILE or FILE:WEIGHT with a weight from -{MOST} to {MOST}"
            )));
        }
        Ok(Self { path: path.into(), weight })
    }
}

impl fmt::Display for LoraFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.weight)
    }
}

impl TryFrom<String> for LoraFile {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<LoraFile> for String {
    fn from(file: LoraFile) -> Self {
        file.to_string()
    }
}

/// A base model, by its path or its id at the hub, with LoRAs.
pub(crate) fn open_base(
    compute: &Compute,
    path: &Path,
    loras: &[LoraFile],
    events: &mut dyn Events,
) -> Result<Base> {
    let open = |file: &LoraFile| Lora::open(&file.path, file.weight);
    let loras = loras.iter().map(open).collect::<diffusion::Result<Vec<_>>>()?;
    let base = match Id::of_base(path) {
        Some(id) => compute.base(&hub::find(&id, &hub::BASE, events)?)?.named(id.name()),
        None => compute.base(path)?,
    };
    Ok(base.with_loras(loras)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_may_follow() {
        for (text, path, weight) in [
            ("style.safetensors", "style.safetensors", 1.0),
            ("style.safetensors:0.8", "style.safetensors", 0.8),
            ("C:\\loras\\style.safetensors", "C:\\loras\\style.safetensors", 1.0),
            ("C:\\style.safetensors:-0.5", "C:\\style.safetensors", -0.5),
        ] {
            let parsed: LoraFile = text.parse().unwrap();
            assert_eq!(parsed, LoraFile { path: path.into(), weight }, "{text}");
            assert_eq!(parsed.to_string().parse::<LoraFile>().unwrap(), parsed);
        }
        for wrong in ["", ":0.5", "style.safetensors:nan", "style.safetensors:11"] {
            let refused = wrong.parse::<LoraFile>().unwrap_err().to_string();
            assert!(refused.contains("FILE:WEIGHT"), "{wrong}: {refused}");
        }
    }
}
