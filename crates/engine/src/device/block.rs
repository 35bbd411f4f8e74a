//! One block with everything that the models are made of, for the self-test.

use std::convert::Infallible;

use crate::{
    Device, Tensor,
    nn::{
        Conv2d, ConvShape, CrossAttention, CrossAttentionShape, Frozen, GroupNorm, LayerNorm,
        Linear, Resize, WeightSource,
    },
    ops::{self, Attention, KeyMask},
    params::{Gradients, Param, Params},
    replay::{Seeds, leaf},
    rng::TorchRng,
    tensor, values,
};

const BATCH: usize = 2;
const SIDE: usize = 16;
const CHANNELS: usize = 64;
const GROUPS: usize = 8;
const HEADS: usize = 2;

/// Words of a prompt.
const WORDS: usize = 11;

/// Width of a word.
const CONTEXT: usize = 48;

/// Weights, each with a bias of its first length unless it makes queries, keys or values:
/// those that are frozen, ...
const FROZEN: [(&str, &[usize]); 18] = [
    ("norm1", &[CHANNELS]),
    ("conv1", &[CHANNELS, CHANNELS, 3, 3]),
    ("norm2", &[CHANNELS]),
    ("conv2", &[CHANNELS, CHANNELS, 3, 3]),
    ("down", &[CHANNELS, CHANNELS, 3, 3]),
    ("up", &[CHANNELS, CHANNELS, 3, 3]),
    ("skip", &[CHANNELS, 2 * CHANNELS]),
    ("norm3", &[CHANNELS]),
    ("text.to_q", &[CHANNELS, CHANNELS]),
    ("text.to_k", &[CHANNELS, CONTEXT]),
    ("text.to_v", &[CHANNELS, CONTEXT]),
    ("text.to_out.0", &[CHANNELS, CHANNELS]),
    ("self.to_q", &[CHANNELS, CHANNELS]),
    ("self.to_k", &[CHANNELS, CHANNELS]),
    ("self.to_v", &[CHANNELS, CHANNELS]),
    ("self.to_out.0", &[CHANNELS, CHANNELS]),
    ("ff.in", &[8 * CHANNELS, CHANNELS]),
    ("ff.out", &[CHANNELS, 4 * CHANNELS]),
];

/// ... and those that are learned: a layer of image attention.
const LEARNED: [(&str, &[usize]); 5] = [
    ("norm", &[CHANNELS]),
    ("image.to_q", &[CHANNELS, CHANNELS]),
    ("image.to_k", &[CHANNELS, CHANNELS]),
    ("image.to_v", &[CHANNELS, CHANNELS]),
    ("image.to_out.0", &[CHANNELS, CHANNELS]),
];

/// Results by name: what comes out, and the gradient of every input and of everything
/// learned. One that does not arrive is empty. Frozen layers are kept as told.
pub(super) fn results(kept: &Frozen) -> Vec<(String, Vec<f32>)> {
    let device = &kept.device;
    let mut rng = TorchRng::new(7);
    let frozen = parameters(&FROZEN, &mut rng, device);
    let learned = parameters(&LEARNED, &mut rng, device).leaves();
    let inputs = Inputs::drawn(&mut rng, device);
    let Ok(block) = Block::build(&frozen.frozen(kept), &learned);
    let (out, maps) = block.forward(&inputs);
    let mut found = vec![
        ("prediction".to_owned(), values(out.clone())),
        ("attention's columns".to_owned(), values(maps.clone())),
    ];
    let mut drawn = |shape: [usize; 3]| tensor(rng.randn(shape.iter().product()), shape, device);
    let (of_out, of_maps) = (drawn(out.dims()), drawn(maps.dims()));
    let mut seeds = Seeds::through(kept.precision);
    seeds.add(out, of_out);
    seeds.add(maps, of_maps);
    let mut arrived = seeds.backward();
    let mut note = |what: &str, gradient: Option<Vec<f32>>| {
        found.push((format!("gradient of {what}"), gradient.unwrap_or_default()));
    };
    note("x", arrived.take(&inputs.x).map(values));
    note("shift", arrived.take(&inputs.shift).map(values));
    note("context", arrived.take(&inputs.context).map(values));
    note("reference", arrived.take(&inputs.reference).map(values));
    let mut sums = Gradients::default();
    learned.collect(&mut arrived, &mut sums);
    for (name, _) in learned.iter() {
        note(name, sums.remove(name).map(values));
    }
    found
}

/// Random layers of the size that trained ones have.
fn parameters(layers: &[(&str, &[usize])], rng: &mut TorchRng, device: &Device) -> Params {
    let mut params = Params::default();
    for &(name, shape) in layers {
        let fan_in: usize = shape[1..].iter().product();
        let (scale, mean) = match shape.len() {
            1 => (0.1, 1.0),
            _ => ((fan_in as f32).sqrt().recip(), 0.0),
        };
        let mut draw = |count, scale, mean| -> Vec<f32> {
            rng.randn(count).into_iter().map(|v| mean + scale * v).collect()
        };
        let weight = Param::new(draw(shape.iter().product(), scale, mean), shape, device);
        params.insert(format!("{name}.weight"), weight);
        if [".to_q", ".to_k", ".to_v"].iter().any(|end| name.ends_with(end)) {
            // As in the U-Net. (The gradient of keys' biases is nothing but rounding.)
            continue;
        }
        let bias = Param::new(draw(shape[0], 0.1, 0.0), &shape[..1], device);
        params.insert(format!("{name}.bias"), bias);
    }
    params
}

/// What flows in, each a leaf.
struct Inputs {
    x: Tensor<4>,
    /// Of the timestep.
    shift: Tensor<2>,
    /// One prompt for all samples.
    context: Tensor<3>,
    /// The tokens of a reference picture, of which some are masked.
    reference: Tensor<3>,
    mask: KeyMask,
}

impl Inputs {
    fn drawn(rng: &mut TorchRng, device: &Device) -> Self {
        let keys = SIDE * SIDE;
        let keep = rng.rand(BATCH * keys).into_iter().map(|coin| coin < 0.5).collect();
        let x = rng.randn(BATCH * keys * CHANNELS);
        let shift = rng.randn(BATCH * CHANNELS);
        let context = rng.randn(WORDS * CONTEXT);
        let reference = rng.randn(BATCH * keys * CHANNELS);
        Self {
            x: leaf(&tensor(x, [BATCH, SIDE, SIDE, CHANNELS], device)),
            shift: leaf(&tensor(shift, [BATCH, CHANNELS], device)),
            context: leaf(&tensor(context, [1, WORDS, CONTEXT], device)),
            reference: leaf(&tensor(reference, [BATCH, keys, CHANNELS], device)),
            mask: KeyMask { rows: BATCH, keys, keep },
        }
    }
}

/// A residual block, a change of size and back, and a transformer with image attention.
struct Block {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    down: Conv2d,
    up: Conv2d,
    skip: Linear,
    norm3: LayerNorm,
    text: CrossAttention,
    own: CrossAttention,
    norm: LayerNorm,
    image: CrossAttention,
    wide: Linear,
    narrow: Linear,
}

impl Block {
    fn build(
        frozen: &impl WeightSource<Error = Infallible>,
        learned: &impl WeightSource<Error = Infallible>,
    ) -> Result<Self, Infallible> {
        let same = ConvShape::same(CHANNELS, CHANNELS, SIDE);
        let resizing = |resize| ConvShape::resizing(CHANNELS, resize, SIDE);
        let attention =
            |context| CrossAttentionShape { width: CHANNELS, context, heads: HEADS, bias: false };
        Ok(Self {
            norm1: frozen.group_norm("norm1", GROUPS, CHANNELS, 1e-5)?,
            conv1: frozen.conv("conv1", same)?,
            norm2: frozen.group_norm("norm2", GROUPS, CHANNELS, 1e-5)?,
            conv2: frozen.conv("conv2", same)?,
            down: frozen.conv("down", resizing(Resize::HalveAround))?,
            up: frozen.conv("up", resizing(Resize::Double))?,
            skip: frozen.linear("skip", 2 * CHANNELS, CHANNELS, true)?,
            norm3: frozen.layer_norm("norm3", CHANNELS, 1e-5)?,
            text: CrossAttention::build(frozen, "text", attention(CONTEXT))?,
            own: CrossAttention::build(frozen, "self", attention(CHANNELS))?,
            norm: learned.layer_norm("norm", CHANNELS, 1e-5)?,
            image: CrossAttention::build(learned, "image", attention(CHANNELS))?,
            wide: frozen.linear("ff.in", CHANNELS, 8 * CHANNELS, true)?,
            narrow: frozen.linear("ff.out", 4 * CHANNELS, CHANNELS, true)?,
        })
    }

    /// The block's tokens, and two columns of its text attention.
    fn forward(&self, inputs: &Inputs) -> (Tensor<3>, Tensor<3>) {
        let x = &inputs.x;
        let y = self.conv1.forward(self.norm1.forward_silu(x.clone()));
        let y = ops::add_to_pixels(y, inputs.shift.clone());
        let x = ops::add(x.clone(), self.conv2.forward(self.norm2.forward_silu(y)));
        let small = ops::silu(self.down.forward(x.clone()));
        let x = self.skip.forward(ops::join(self.up.forward(small), x));

        let x = x.reshape([BATCH, SIDE * SIDE, CHANNELS]);
        let normed = self.norm3.forward(x.clone());
        let x = ops::add(x, self.own.forward(normed.clone(), &normed, None));
        let normed = self.norm3.forward(x.clone());
        let columns = vec![vec![2, WORDS - 1]; BATCH];
        let (mixed, maps) = self.text.forward_columns(normed, &inputs.context, &columns);
        let x = ops::add(x, mixed);
        let normed = self.norm.forward(x.clone());
        let x = ops::add(x, self.image.forward(normed, &inputs.reference, Some(&inputs.mask)));
        let y = ops::geglu(self.wide.forward(self.norm3.forward(x.clone())));
        let x = ops::add(x, self.narrow.forward(y));
        // As the text encoder has them.
        let causal = Attention { causal: true, ..Attention::heads(HEADS) };
        let normed = self.norm3.forward(x.clone());
        let seen = ops::attention(normed.clone(), normed.clone(), normed, &causal);
        (ops::add(x, ops::quick_gelu(seen)), maps)
    }
}
