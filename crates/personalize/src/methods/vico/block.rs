use diffusion::unet::{Part, Site};
use engine::{
    Tensor,
    nn::{LayerNorm, Linear, WeightSource},
    ops::{self, Attention, KeyMask},
    params::{Param, Params},
};

use crate::draw::Draw;

/// Epsilon of its layer norms.
const EPSILON: f64 = 1e-5;

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
            let inputs = if name.ends_with("ff.net.2.bias") { 4 * shape[0] } else { inputs(&shape, site) };
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

/// A transformer block that reads from the reference: self-attention,
/// cross-attention to the reference's tokens, gated MLP.
pub struct ImageBlock {
    norm1: LayerNorm,
    own: Projections,
    norm2: LayerNorm,
    image: Projections,
    norm3: LayerNorm,
    gate: Linear,
    down: Linear,
}

struct Projections {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl ImageBlock {
    /// Builds the block of a site from weights with the released names.
    pub fn build<S: WeightSource>(source: &S, site: &Site) -> Result<Self, S::Error> {
        let (prefix, d) = (prefix(site), site.channels);
        let part = |p: &str| format!("{prefix}.{p}");
        Ok(Self {
            norm1: source.layer_norm(&part("norm1"), d, EPSILON)?,
            own: Projections::build(source, &part("attn1"), site)?,
            norm2: source.layer_norm(&part("norm2"), d, EPSILON)?,
            image: Projections::build(source, &part("attn2"), site)?,
            norm3: source.layer_norm(&part("norm3"), d, EPSILON)?,
            gate: source.linear(&part("ff.net.0.proj"), d, 8 * d, true)?,
            down: source.linear(&part("ff.net.2"), 4 * d, d, true)?,
        })
    }

    /// # Shapes
    /// `x [batch, n, channels]`; `reference [batch or a divisor of it, m,
    /// channels]`, with one row of `keep` for each of its rows.
    pub fn forward(&self, x: Tensor<3>, reference: Tensor<3>, keep: &KeyMask) -> Tensor<3> {
        let n = self.norm1.forward(x.clone());
        let x = x + self.own.forward(n.clone(), n, None);
        let n = self.norm2.forward(x.clone());
        let x = x + self.image.forward(n, reference, Some(keep));
        let n = self.norm3.forward(x.clone());
        x + self.down.forward(ops::geglu(self.gate.forward(n)))
    }
}

impl Projections {
    fn build<S: WeightSource>(source: &S, name: &str, site: &Site) -> Result<Self, S::Error> {
        let d = site.channels;
        Ok(Self {
            query: source.linear(&format!("{name}.to_q"), d, d, false)?,
            key: source.linear(&format!("{name}.to_k"), d, d, false)?,
            value: source.linear(&format!("{name}.to_v"), d, d, false)?,
            out: source.linear(&format!("{name}.to_out.0"), d, d, true)?,
            heads: site.heads,
        })
    }

    fn forward(&self, x: Tensor<3>, from: Tensor<3>, keep: Option<&KeyMask>) -> Tensor<3> {
        let how = Attention { keep: keep.cloned(), ..Attention::heads(self.heads) };
        let (k, v) = (self.key.forward(from.clone()), self.value.forward(from));
        self.out.forward(ops::attention(self.query.forward(x), k, v, &how))
    }
}
