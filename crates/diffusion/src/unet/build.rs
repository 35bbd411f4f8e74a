//! Construction of the U-Net from its configuration.

use engine::nn::{ConvShape, Resize, WeightSource};

use super::{Layer, Site, Step, TimeEmbedding, Transformer, UNet, is_cross, sites};
use crate::{
    config::UNetConfig,
    resnet::{Resnet, ResnetShape},
};

impl UNet {
    /// Builds the U-Net from weights with diffusers' names.
    pub fn build<S: WeightSource>(config: &UNetConfig, source: &S) -> Result<Self, S::Error> {
        let sites = sites(config);
        let left = sites.clone().into_iter();
        let mut builder = Builder { config, source, steps: Vec::new(), left };
        builder.encoder()?;
        builder.middle()?;
        builder.decoder()?;
        let (steps, precision) = (builder.steps, source.precision());
        Ok(Self {
            time: TimeEmbedding::build(config, source)?,
            steps,
            sites,
            precision,
            tapes: false,
        })
    }
}

struct Builder<'a, S> {
    config: &'a UNetConfig,
    source: &'a S,
    steps: Vec<Step>,
    /// Transformers that are not built yet, in order.
    left: std::vec::IntoIter<Site>,
}

impl<S: WeightSource> Builder<'_, S> {
    fn encoder(&mut self) -> Result<(), S::Error> {
        let widths = &self.config.block_out_channels;
        let first = ConvShape::same(self.config.in_channels, widths[0], self.side(0));
        self.push(true, vec![Layer::Conv(self.source.conv("conv_in", first)?)]);
        let mut inputs = widths[0];
        for (level, &outputs) in widths.iter().enumerate() {
            let name = format!("down_blocks.{level}");
            let cross = is_cross(&self.config.down_block_types[level]);
            for j in 0..self.config.layers_per_block {
                let mut layers =
                    vec![self.resnet(&format!("{name}.resnets.{j}"), level, inputs, outputs)?];
                if cross {
                    layers.push(self.transformer()?);
                }
                self.push(true, layers);
                inputs = outputs;
            }
            if level + 1 < widths.len() {
                let shape = ConvShape::resizing(outputs, Resize::HalveAround, self.side(level));
                let conv = self.source.conv(&format!("{name}.downsamplers.0.conv"), shape)?;
                self.push(true, vec![Layer::Conv(conv)]);
            }
        }
        Ok(())
    }

    fn middle(&mut self) -> Result<(), S::Error> {
        let level = self.config.block_out_channels.len() - 1;
        let width = self.config.block_out_channels[level];
        let layers = vec![
            self.resnet("mid_block.resnets.0", level, width, width)?,
            self.transformer()?,
            self.resnet("mid_block.resnets.1", level, width, width)?,
        ];
        self.push(false, layers);
        Ok(())
    }

    fn decoder(&mut self) -> Result<(), S::Error> {
        let widths: Vec<usize> = self.config.block_out_channels.iter().rev().copied().collect();
        let per_level = self.config.layers_per_block + 1;
        let mut inputs = widths[0];
        for (up, &outputs) in widths.iter().enumerate() {
            let name = format!("up_blocks.{up}");
            let level = widths.len() - 1 - up;
            let cross = is_cross(&self.config.up_block_types[up]);
            // The last resnet of a level meets the output of the finer level's
            // downsampler, or of the first convolution.
            let finer = widths[(up + 1).min(widths.len() - 1)];
            for j in 0..per_level {
                let skip = if j + 1 == per_level { finer } else { outputs };
                let resnet = format!("{name}.resnets.{j}");
                let mut layers = vec![self.resnet(&resnet, level, inputs + skip, outputs)?];
                if cross {
                    layers.push(self.transformer()?);
                }
                self.steps.push(Step { pops: true, pushes: false, layers });
                inputs = outputs;
            }
            if up + 1 < widths.len() {
                let shape = ConvShape::resizing(outputs, Resize::Double, self.side(level));
                let conv = self.source.conv(&format!("{name}.upsamplers.0.conv"), shape)?;
                self.push(false, vec![Layer::Conv(conv)]);
            }
        }
        let config = self.config;
        let norm = self.source.group_norm(
            "conv_norm_out",
            config.norm_num_groups,
            inputs,
            config.norm_eps,
        )?;
        let conv = self
            .source
            .conv("conv_out", ConvShape::same(inputs, config.out_channels, self.side(0)))?;
        self.push(false, vec![Layer::Out(Box::new(norm), conv)]);
        Ok(())
    }

    fn push(&mut self, pushes: bool, layers: Vec<Layer>) {
        self.steps.push(Step { pops: false, pushes, layers });
    }

    /// Side of a level's images at the size the model was trained at.
    fn side(&self, level: usize) -> usize {
        self.config.sample_size >> level
    }

    fn resnet(
        &self,
        name: &str,
        level: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Layer, S::Error> {
        let shape = ResnetShape {
            inputs,
            outputs,
            groups: self.config.norm_num_groups,
            epsilon: self.config.norm_eps,
            side: self.side(level),
            time: Some(4 * self.config.block_out_channels[0]),
        };
        Ok(Layer::Resnet(Box::new(Resnet::build(self.source, name, shape)?)))
    }

    /// The next transformer in order.
    fn transformer(&mut self) -> Result<Layer, S::Error> {
        let site = self.left.next().expect("as many sites as transformers");
        let (groups, context) = (self.config.norm_num_groups, self.config.cross_attention_dim);
        Ok(Layer::Transformer(Box::new(Transformer::build(self.source, site, groups, context)?)))
    }
}
