//! The vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) of CLIP, DINO
//! and DINOv2: one model, whose differences are data.

use engine::{
    Tensor,
    nn::{LayerNorm, Linear, WeightSource},
    ops::{self, Attention},
};

use super::positions::{Interpolation, resized};

/// What tells one vision transformer from another.
#[derive(Clone, Debug, PartialEq)]
pub struct VitConfig {
    /// Channels of a token.
    pub width: usize,
    /// Channels inside the MLPs.
    pub inner: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads, dividing `width`.
    pub heads: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Patches along a side of the pictures it was trained on.
    pub grid: usize,
    /// Epsilon of the layer norms.
    pub epsilon: f64,
    /// CLIP's cheap GELU in place of the exact one.
    pub quick_gelu: bool,
    /// Patches have a bias.
    pub patch_bias: bool,
    /// A norm before the first layer (CLIP).
    pub norm_first: bool,
    /// Learned factors on what each layer adds (DINOv2; Touvron et al. 2021, arXiv 2103.17239).
    pub layer_scale: bool,
    /// Width of the features after a projection, if there is one (CLIP).
    pub projection: Option<usize>,
    /// How position embeddings are fitted to other grids.
    pub interpolation: Interpolation,
}

impl VitConfig {
    /// Values of a patch.
    fn patch_values(&self) -> usize {
        3 * self.patch * self.patch
    }
}

/// Pictures in, the class token's features out.
pub struct Vit {
    config: VitConfig,
    class: Tensor<2>,
    /// The class token's first, then the patches' row by row.
    positions: Tensor<2>,
    patches: Linear,
    norm_first: Option<LayerNorm>,
    layers: Vec<Layer>,
    norm_last: LayerNorm,
    projection: Option<Linear>,
}

struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    scale1: Option<Tensor<2>>,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
    scale2: Option<Tensor<2>>,
}

impl Vit {
    /// Builds the encoder from weights under our names (see [`Layout`](super::Layout)).
    pub fn build<S: WeightSource>(config: VitConfig, source: &S) -> Result<Self, S::Error> {
        let VitConfig { width, grid, epsilon, .. } = config;
        let norm = |name: &str| source.layer_norm(name, width, epsilon);
        Ok(Self {
            class: source.table("class", 1, width)?,
            positions: source.table("positions", 1 + grid * grid, width)?,
            patches: source.linear("patches", config.patch_values(), width, config.patch_bias)?,
            norm_first: config.norm_first.then(|| norm("norm_first")).transpose()?,
            layers: (0..config.layers)
                .map(|i| Layer::build(&config, source, i))
                .collect::<Result<_, _>>()?,
            norm_last: norm("norm_last")?,
            projection: config
                .projection
                .map(|outputs| source.linear("projection", width, outputs, false))
                .transpose()?,
            config,
        })
    }

    /// What it is like.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Features of pictures, not brought to any length.
    ///
    /// # Shapes
    /// `pixels [batch, 3, height, width]` row-major, sides multiples of the patch's;
    /// result `[batch, features]`.
    pub fn forward(&self, pixels: &[f32], [height, width]: [usize; 2]) -> Tensor<2> {
        let VitConfig { patch, grid, width: channels, .. } = self.config;
        let batch = pixels.len() / (3 * height * width);
        let sides = [height / patch, width / patch];
        let patches = patches(pixels, [height, width], patch);
        let shape = [batch, sides[0] * sides[1], self.config.patch_values()];
        let patches = engine::tensor(patches, shape, &self.class.device());
        let class = self.class.clone().unsqueeze::<3>().repeat_dim(0, batch);
        let positions = match sides == [grid, grid] {
            true => self.positions.clone(),
            false => resized(&self.positions, grid, sides, self.config.interpolation),
        };
        let mut x = Tensor::cat(vec![class, self.patches.forward(patches)], 1);
        x = x + positions.unsqueeze::<3>();
        if let Some(norm) = &self.norm_first {
            x = norm.forward(x);
        }
        for layer in &self.layers {
            x = layer.forward(x, &self.config);
        }
        let class = self.norm_last.forward(x.narrow(1, 0, 1)).reshape([batch, channels]);
        match &self.projection {
            Some(projection) => projection.forward(class),
            None => class,
        }
    }
}

impl Layer {
    fn build<S: WeightSource>(
        config: &VitConfig,
        source: &S,
        index: usize,
    ) -> Result<Self, S::Error> {
        let name = |part: &str| format!("layers.{index}.{part}");
        let VitConfig { width, inner, epsilon, .. } = *config;
        let norm = |part: &str| source.layer_norm(&name(part), width, epsilon);
        let square = |part: &str| source.linear(&name(part), width, width, true);
        let scale = |part: &str| {
            config.layer_scale.then(|| source.table(&name(part), 1, width)).transpose()
        };
        Ok(Self {
            norm1: norm("norm1")?,
            query: square("query")?,
            key: square("key")?,
            value: square("value")?,
            out: square("out")?,
            scale1: scale("scale1")?,
            norm2: norm("norm2")?,
            up: source.linear(&name("up"), width, inner, true)?,
            down: source.linear(&name("down"), inner, width, true)?,
            scale2: scale("scale2")?,
        })
    }

    fn forward(&self, x: Tensor<3>, config: &VitConfig) -> Tensor<3> {
        let n = self.norm1.forward(x.clone());
        let (q, k) = (self.query.forward(n.clone()), self.key.forward(n.clone()));
        let how = Attention::heads(config.heads);
        let mixed = self.out.forward(ops::attention(q, k, self.value.forward(n), &how));
        let x = ops::add(x, scaled(mixed, self.scale1.as_ref()));
        let inner = self.up.forward(self.norm2.forward(x.clone()));
        let inner = if config.quick_gelu { ops::quick_gelu(inner) } else { ops::gelu(inner) };
        ops::add(x, scaled(self.down.forward(inner), self.scale2.as_ref()))
    }
}

fn scaled(x: Tensor<3>, scale: Option<&Tensor<2>>) -> Tensor<3> {
    match scale {
        Some(scale) => x * scale.clone().unsqueeze::<3>(),
        None => x,
    }
}

/// Cuts pictures into patches, each in the order of a convolution's weights: channel,
/// row, column.
fn patches(pixels: &[f32], [height, width]: [usize; 2], patch: usize) -> Vec<f32> {
    let mut patches = Vec::with_capacity(pixels.len());
    for picture in pixels.chunks_exact(3 * height * width) {
        for top in (0..height).step_by(patch) {
            for left in (0..width).step_by(patch) {
                for channel in 0..3 {
                    for y in top..top + patch {
                        let at = (channel * height + y) * width + left;
                        patches.extend_from_slice(&picture[at..at + patch]);
                    }
                }
            }
        }
    }
    patches
}
