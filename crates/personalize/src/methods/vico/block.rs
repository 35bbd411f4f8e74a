//! Where image attention sits, and what it is made of.

use diffusion::unet::{Frame, Site};
use engine::{
    Tensor,
    nn::{CrossAttention, CrossAttentionShape, Linear, WeightSource},
    ops::{self, KeyMask},
    params::{Param, Params},
};

use super::variant::{Injection, Variant};
use crate::draw::Draw;

/// Name of a block's weights, as in the released checkpoints.
pub fn prefix(site: &Site) -> String {
    format!("diffusion_model.{}.image_cross_attention", site.original)
}

/// A transformer block over the noisy tokens that reads the reference's in its
/// middle part.
pub struct ImageBlock {
    frame: Frame,
    reading: Reading,
}

enum Reading {
    Attention(CrossAttention),
    /// Both streams' features side by side.
    Concat(Mlp),
    /// Their sum.
    Add(Mlp),
}

/// Two linear layers with a GELU between.
struct Mlp {
    first: Linear,
    second: Linear,
}

/// Inputs, hidden values and outputs of an [`Mlp`] in a block of `d` channels: about
/// as many weights as the `4 d^2 + d` of the cross-attention whose place it takes.
type Widths = [usize; 3];

fn concat_widths(d: usize) -> Widths {
    [2 * d, (4 * d).div_ceil(3), d]
}

fn add_widths(d: usize) -> Widths {
    [d, 2 * d, d]
}

/// Names of the MLP's layers.
const FIRST: &str = "fuse.0";
const SECOND: &str = "fuse.2";

/// Names and shapes of a block's weights: `20 d^2 + 17 d` values with attention.
pub fn weights(site: &Site, injection: Injection) -> Vec<(String, Vec<usize>)> {
    let d = site.channels;
    let mut all = attention("attn1", d);
    all.extend(match injection {
        Injection::Attention => attention("attn2", d),
        Injection::Concat => mlp(concat_widths(d)),
        Injection::Add => mlp(add_widths(d)),
    });
    all.extend(linear("ff.net.0.proj", d, 8 * d));
    all.extend(linear("ff.net.2", 4 * d, d));
    for norm in ["norm1", "norm2", "norm3"] {
        all.push((format!("{norm}.weight"), vec![d]));
        all.push((format!("{norm}.bias"), vec![d]));
    }
    let prefix = prefix(site);
    all.into_iter().map(|(name, shape)| (format!("{prefix}.{name}"), shape)).collect()
}

fn attention(name: &str, d: usize) -> Vec<(String, Vec<usize>)> {
    let inputs = ["to_q", "to_k", "to_v"].map(|p| (format!("{name}.{p}.weight"), vec![d, d]));
    inputs.into_iter().chain(linear(&format!("{name}.to_out.0"), d, d)).collect()
}

fn mlp([inputs, hidden, outputs]: Widths) -> Vec<(String, Vec<usize>)> {
    [linear(FIRST, inputs, hidden), linear(SECOND, hidden, outputs)].concat()
}

fn linear(name: &str, inputs: usize, outputs: usize) -> [(String, Vec<usize>); 2] {
    [(format!("{name}.weight"), vec![outputs, inputs]), (format!("{name}.bias"), vec![outputs])]
}

/// Layers whose output is added to the noisy stream: the block does nothing while
/// they are zero.
const OUTPUTS: [&str; 4] = [".attn1.to_out.0.", ".attn2.to_out.0.", ".fuse.2.", ".ff.net.2."];

/// Adds a fresh block's weights to `params`: PyTorch's default for linear
/// layers, uniform in `+-1/sqrt(inputs)` for weights and biases; norms 1 and 0.
/// With `zero_init` its outputs are zero.
pub fn initialise(
    site: &Site,
    variant: Variant,
    params: &mut Params,
    draw: &Draw,
    device: &engine::Device,
) {
    // A layer's bias stands behind its weight, whose inputs bound both.
    let mut inputs = 0;
    for (name, shape) in weights(site, variant.injection) {
        let count: usize = shape.iter().product();
        inputs = shape.get(1).copied().unwrap_or(inputs);
        let values = if name.contains(".norm") {
            vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; count]
        } else if variant.zero_init && OUTPUTS.iter().any(|part| name.contains(part)) {
            vec![0.0; count]
        } else {
            let bound = (inputs as f32).sqrt().recip();
            draw.uniform(&name, count).into_iter().map(|u| (2.0 * u - 1.0) * bound).collect()
        };
        params.insert(name, Param::new(values, &shape, device));
    }
}

impl ImageBlock {
    /// The block of a site, from weights with the released names.
    pub fn build<S: WeightSource>(
        source: &S,
        site: &Site,
        injection: Injection,
    ) -> Result<Self, S::Error> {
        let (width, heads, prefix) = (site.channels, site.heads, prefix(site));
        let mlp = |widths| Mlp::build(source, &prefix, widths);
        let reading = match injection {
            Injection::Attention => {
                let shape = CrossAttentionShape { width, context: width, heads, bias: false };
                let name = format!("{prefix}.attn2");
                Reading::Attention(CrossAttention::build(source, &name, shape)?)
            }
            Injection::Concat => Reading::Concat(mlp(concat_widths(width))?),
            Injection::Add => Reading::Add(mlp(add_widths(width))?),
        };
        Ok(Self { frame: Frame::build(source, &prefix, width, heads)?, reading })
    }

    /// # Shapes
    /// `x [batch, n, width]`; `reference [batch or a divisor of it, m, width]`, with
    /// one row of `keep` for each of its rows; `m = n` unless it is read by
    /// attention; result as `x`.
    pub fn forward(
        &self,
        x: Tensor<3>,
        reference: &Tensor<3>,
        keep: Option<&KeyMask>,
    ) -> Tensor<3> {
        let patches = |n: &Tensor<3>| patch_by_patch(reference, keep, n.dims()[0]);
        self.frame.forward(x, |n| match &self.reading {
            Reading::Attention(attention) => attention.forward(n, reference, keep),
            Reading::Concat(mlp) => mlp.forward(Tensor::cat(vec![n.clone(), patches(&n)], 2)),
            Reading::Add(mlp) => mlp.forward(ops::add(patches(&n), n)),
        })
    }
}

impl Mlp {
    fn build<S: WeightSource>(
        source: &S,
        prefix: &str,
        [inputs, hidden, outputs]: Widths,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            first: source.linear(&format!("{prefix}.{FIRST}"), inputs, hidden, true)?,
            second: source.linear(&format!("{prefix}.{SECOND}"), hidden, outputs, true)?,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.second.forward(ops::gelu(self.first.forward(x)))
    }
}

/// The reference's tokens for `batch` rows, with zeros where the mask takes a patch
/// away; consecutive rows share one of the reference's.
fn patch_by_patch(reference: &Tensor<3>, keep: Option<&KeyMask>, batch: usize) -> Tensor<3> {
    let [rows, n, width] = reference.dims();
    let kept = match keep {
        None => reference.clone(),
        Some(mask) => {
            let flags: Vec<f32> = mask.keep.iter().map(|&keep| f32::from(keep)).collect();
            reference.clone() * engine::tensor(flags, [rows, n, 1], &reference.device())
        }
    };
    let share = batch / rows;
    kept.reshape([rows, 1, n, width]).repeat_dim(1, share).reshape([batch, n, width])
}
