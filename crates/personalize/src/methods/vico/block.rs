//! Where image attention sits, and what it is made of.

use diffusion::unet::{Block, Part, Site};
use engine::{
    nn::WeightSource,
    params::{Param, Params},
};

use crate::draw::Draw;

/// The transformers that carry image attention: every second one of the
/// decoder (SD 1.x: 8, 10, 12, 14).
pub fn sites(all: &[Site]) -> Vec<Site> {
    let decoder = all.iter().filter(|site| site.part == Part::Decoder);
    decoder.skip(1).step_by(2).cloned().collect()
}

/// Name of a block's weights, as in the released checkpoints.
pub fn prefix(site: &Site) -> String {
    format!("diffusion_model.{}.image_cross_attention", site.original)
}

/// Names and shapes of a block's weights: `20 d^2 + 17 d` values.
pub fn weights(site: &Site) -> Vec<(String, Vec<usize>)> {
    let d = site.channels;
    let mut all = Vec::new();
    for attention in ["attn1", "attn2"] {
        for part in ["to_q", "to_k", "to_v", "to_out.0"] {
            all.push((format!("{attention}.{part}.weight"), vec![d, d]));
        }
        all.push((format!("{attention}.to_out.0.bias"), vec![d]));
    }
    all.push(("ff.net.0.proj.weight".into(), vec![8 * d, d]));
    all.push(("ff.net.0.proj.bias".into(), vec![8 * d]));
    all.push(("ff.net.2.weight".into(), vec![d, 4 * d]));
    all.push(("ff.net.2.bias".into(), vec![d]));
    for norm in ["norm1", "norm2", "norm3"] {
        all.push((format!("{norm}.weight"), vec![d]));
        all.push((format!("{norm}.bias"), vec![d]));
    }
    let prefix = prefix(site);
    all.into_iter().map(|(name, shape)| (format!("{prefix}.{name}"), shape)).collect()
}

/// Adds a fresh block's weights to `params`: PyTorch's default for linear
/// layers, uniform in `+-1/sqrt(inputs)` for weights and biases; norms 1 and 0.
pub fn initialise(site: &Site, params: &mut Params, draw: &Draw, device: &engine::Device) {
    for (name, shape) in weights(site) {
        let count: usize = shape.iter().product();
        let values = if name.contains(".norm") {
            vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count]
        } else {
            let inputs =
                if name.ends_with("ff.net.2.bias") { 4 * shape[0] } else { inputs(&shape, site) };
            let bound = (inputs as f32).sqrt().recip();
            draw.uniform(&name, count).into_iter().map(|u| (2.0 * u - 1.0) * bound).collect()
        };
        params.insert(name, Param::new(values, &shape, device));
    }
}

/// Inputs of the layer that a weight or bias belongs to.
fn inputs(shape: &[usize], site: &Site) -> usize {
    shape.get(1).copied().unwrap_or(site.channels)
}

/// The block of a site, from weights with the released names: a transformer
/// block whose context is the reference's tokens.
pub fn build<S: WeightSource>(source: &S, site: &Site) -> Result<Block, S::Error> {
    let width = site.channels;
    Block::build(source, &prefix(site), width, width, site.heads)
}
