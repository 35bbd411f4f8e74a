use std::{collections::BTreeMap, path::Path};

use formats::{Array, write_safetensors};

use super::Part;
use crate::Result;

/// A layer's LoRA, `W + up down`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// The model that the layer belongs to.
    pub part: Part,
    /// The layer by diffusers' name.
    pub module: String,
    /// `[rank, inputs]`, row-major.
    pub down: Vec<f32>,
    /// `[outputs, rank]`, row-major.
    pub up: Vec<f32>,
    /// Inputs of the layer.
    pub inputs: usize,
    /// Outputs of the layer.
    pub outputs: usize,
    /// Rank of the product.
    pub rank: usize,
}

impl Factors {
    /// The layer's name in kohya's files.
    fn flat_name(&self) -> String {
        let part = match self.part {
            Part::Unet => "lora_unet",
            Part::Text => "lora_te",
        };
        format!("{part}_{}", self.module.replace('.', "_"))
    }
}

/// Writes a LoRA as kohya's sd-scripts do, with an alpha equal to the rank: AUTOMATIC1111,
/// ComfyUI, diffusers and `--lora` read it.
///
/// # Errors
/// If the file cannot be written.
pub fn write_kohya(path: &Path, layers: &[Factors]) -> Result<()> {
    let alphas: Vec<[f32; 1]> = layers.iter().map(|layer| [layer.rank as f32]).collect();
    let mut arrays = BTreeMap::new();
    for (layer, alpha) in layers.iter().zip(&alphas) {
        let Factors { down, up, inputs, outputs, rank, .. } = layer;
        let name = layer.flat_name();
        arrays.insert(format!("{name}.lora_down.weight"), Array::f32(&[*rank, *inputs], down));
        arrays.insert(format!("{name}.lora_up.weight"), Array::f32(&[*outputs, *rank], up));
        arrays.insert(format!("{name}.alpha"), Array::f32(&[], alpha));
    }
    let ranks: Vec<usize> = layers.iter().map(|layer| layer.rank).collect();
    let rank = ranks.iter().max().copied().unwrap_or_default().to_string();
    let metadata = BTreeMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("ss_network_module".to_owned(), "networks.lora".to_owned()),
        ("ss_network_dim".to_owned(), rank.clone()),
        ("ss_network_alpha".to_owned(), rank),
    ]);
    Ok(write_safetensors(path, &arrays, &metadata)?)
}
