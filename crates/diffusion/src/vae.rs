//! The KL autoencoder: pictures to latents and back.

use engine::{
    Tensor,
    nn::{
        Conv2d, ConvShape, CrossAttention, CrossAttentionShape, GroupNorm, Linear, Resize,
        WeightSource,
    },
    ops,
};

use crate::{
    config::VaeConfig,
    resnet::{Resnet, ResnetShape},
};

/// Epsilon of all its norms.
const EPSILON: f64 = 1e-6;

/// Side of the pictures that are expected.
const SIDE: usize = 512;

/// Pictures to the distribution of their latents.
pub struct Encoder {
    conv_in: Conv2d,
    levels: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    quant: Linear,
    scale: f64,
}

/// Latents to pictures.
pub struct Decoder {
    post_quant: Linear,
    conv_in: Conv2d,
    middle: Middle,
    levels: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    scale: f64,
}

/// The diagonal normal distribution of a picture's latents.
pub struct Posterior {
    /// `[batch, height, width, 2 * latent channels]`: means, then logarithms
    /// of the variances.
    moments: Tensor<4>,
    scale: f64,
}

impl Posterior {
    /// Means and log variances as the encoder gave them, not scaled.
    pub fn moments(&self) -> Tensor<4> {
        self.moments.clone()
    }

    /// The means, not scaled: `[batch, height, width, latent channels]`.
    pub fn mean(&self) -> Tensor<4> {
        let channels = self.moments.dims()[3] / 2;
        self.moments.clone().narrow(3, 0, channels)
    }

    /// Standard deviations, not scaled; log variances are clamped to -30..20.
    pub fn std(&self) -> Tensor<4> {
        let channels = self.moments.dims()[3] / 2;
        (self.moments.clone().narrow(3, channels, channels).clamp(-30.0, 20.0) * 0.5).exp()
    }

    /// A sample as the U-Net wants it, `(mean + std * noise) * scale`.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        (self.mean() + self.std() * noise) * self.scale
    }

    /// The most likely latents, as the U-Net wants them.
    pub fn mode(&self) -> Tensor<4> {
        self.mean() * self.scale
    }
}

impl Encoder {
    /// Builds the encoder from weights with diffusers' names.
    pub fn build<S: WeightSource>(config: &VaeConfig, source: &S) -> Result<Self, S::Error> {
        let widths = &config.block_out_channels;
        let last = widths[widths.len() - 1];
        let moments = 2 * config.latent_channels;
        let side = SIDE >> (widths.len() - 1);
        let mut levels = Vec::new();
        let mut inputs = widths[0];
        for (level, &outputs) in widths.iter().enumerate() {
            let name = format!("encoder.down_blocks.{level}");
            let side = SIDE >> level;
            let count = config.layers_per_block;
            let resnets = resnets(config, source, &name, count, [inputs, outputs], side)?;
            let down = (level + 1 < widths.len())
                .then(|| {
                    let shape = ConvShape::resizing(outputs, Resize::HalveBottomRight, side);
                    source.conv(&format!("{name}.downsamplers.0.conv"), shape)
                })
                .transpose()?;
            levels.push((resnets, down));
            inputs = outputs;
        }
        Ok(Self {
            conv_in: source
                .conv("encoder.conv_in", ConvShape::same(config.in_channels, widths[0], SIDE))?,
            levels,
            middle: Middle::build(config, source, "encoder.mid_block", last, side)?,
            norm_out: source.group_norm(
                "encoder.conv_norm_out",
                config.norm_num_groups,
                last,
                EPSILON,
            )?,
            conv_out: source.conv("encoder.conv_out", ConvShape::same(last, moments, side))?,
            quant: source.linear("quant_conv", moments, moments, true)?,
            scale: config.scaling_factor,
        })
    }

    /// # Shapes
    /// `pictures [batch, height, width, 3]` in -1..1, height and width
    /// multiples of the factor (8).
    pub fn forward(&self, pictures: Tensor<4>) -> Posterior {
        let mut h = self.conv_in.forward(pictures);
        for (resnets, down) in &self.levels {
            for resnet in resnets {
                h = resnet.forward(h, None);
            }
            if let Some(down) = down {
                h = down.forward(h);
            }
        }
        let h = self.conv_out.forward(self.norm_out.forward_silu(self.middle.forward(h)));
        Posterior { moments: self.quant.forward(h), scale: self.scale }
    }
}

impl Decoder {
    /// Builds the decoder from weights with diffusers' names.
    pub fn build<S: WeightSource>(config: &VaeConfig, source: &S) -> Result<Self, S::Error> {
        let widths: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (first, last) = (widths[0], widths[widths.len() - 1]);
        let channels = config.latent_channels;
        let side = SIDE >> (widths.len() - 1);
        let mut levels = Vec::new();
        let mut inputs = first;
        for (level, &outputs) in widths.iter().enumerate() {
            let name = format!("decoder.up_blocks.{level}");
            let count = config.layers_per_block + 1;
            let side = SIDE >> (widths.len() - 1 - level);
            let resnets = resnets(config, source, &name, count, [inputs, outputs], side)?;
            let up = (level + 1 < widths.len())
                .then(|| {
                    let shape = ConvShape::resizing(outputs, Resize::Double, side);
                    source.conv(&format!("{name}.upsamplers.0.conv"), shape)
                })
                .transpose()?;
            levels.push((resnets, up));
            inputs = outputs;
        }
        Ok(Self {
            post_quant: source.linear("post_quant_conv", channels, channels, true)?,
            conv_in: source.conv("decoder.conv_in", ConvShape::same(channels, first, side))?,
            middle: Middle::build(config, source, "decoder.mid_block", first, side)?,
            levels,
            norm_out: source.group_norm(
                "decoder.conv_norm_out",
                config.norm_num_groups,
                last,
                EPSILON,
            )?,
            conv_out: source
                .conv("decoder.conv_out", ConvShape::same(last, config.out_channels, SIDE))?,
            scale: config.scaling_factor,
        })
    }

    /// # Shapes
    /// `latents [batch, height, width, latent channels]` as the U-Net has
    /// them; result `[batch, 8 height, 8 width, 3]`, about -1..1, not clamped.
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let h = self.post_quant.forward(latents / self.scale);
        let mut h = self.middle.forward(self.conv_in.forward(h));
        for (resnets, up) in &self.levels {
            for resnet in resnets {
                h = resnet.forward(h, None);
            }
            if let Some(up) = up {
                h = up.forward(h);
            }
        }
        self.conv_out.forward(self.norm_out.forward_silu(h))
    }
}

fn resnets<S: WeightSource>(
    config: &VaeConfig,
    source: &S,
    level: &str,
    count: usize,
    [inputs, outputs]: [usize; 2],
    side: usize,
) -> Result<Vec<Resnet>, S::Error> {
    (0..count)
        .map(|j| {
            let inputs = if j == 0 { inputs } else { outputs };
            let shape = shape(config, inputs, outputs, side);
            Resnet::build(source, &format!("{level}.resnets.{j}"), shape)
        })
        .collect()
}

fn shape(config: &VaeConfig, inputs: usize, outputs: usize, side: usize) -> ResnetShape {
    let groups = config.norm_num_groups;
    ResnetShape { inputs, outputs, groups, epsilon: EPSILON, side, time: None }
}

/// Resnet, single-head attention over all pixels, resnet.
struct Middle {
    first: Resnet,
    norm: GroupNorm,
    attention: CrossAttention,
    second: Resnet,
}

impl Middle {
    fn build<S: WeightSource>(
        config: &VaeConfig,
        source: &S,
        name: &str,
        width: usize,
        side: usize,
    ) -> Result<Self, S::Error> {
        let attention = format!("{name}.attentions.0");
        let square = CrossAttentionShape { width, context: width, heads: 1, bias: true };
        let resnet = |j: usize| {
            let shape = shape(config, width, width, side);
            Resnet::build(source, &format!("{name}.resnets.{j}"), shape)
        };
        Ok(Self {
            first: resnet(0)?,
            norm: source.group_norm(
                &format!("{attention}.group_norm"),
                config.norm_num_groups,
                width,
                EPSILON,
            )?,
            attention: CrossAttention::build(source, &attention, square)?,
            second: resnet(1)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.first.forward(x, None);
        let [b, h, w, c] = x.dims();
        let n = self.norm.forward(x.clone()).reshape([b, h * w, c]);
        let change = self.attention.forward(n.clone(), &n, None).reshape([b, h, w, c]);
        let x = ops::add(x, change);
        self.second.forward(x, None)
    }
}
