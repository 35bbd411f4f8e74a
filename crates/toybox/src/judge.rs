//! The judge: which object and which scene are in a picture.

use engine::{
    Device, Tensor,
    nn::{Conv2d, ConvShape, GroupNorm, Linear, Resize, WeightSource},
    ops,
    params::Params,
    values,
};

use crate::Fresh;

/// Channels of the judge's levels.
const WIDTHS: [usize; 4] = [32, 64, 128, 256];
/// Values of its description of a picture.
pub const FEATURES: usize = 256;
const GROUPS: usize = 8;
const EPSILON: f64 = 1e-5;

/// A small residual network (He et al. 2016) with two heads.
pub struct Judge {
    stem: Conv2d,
    levels: Vec<(Conv2d, Vec<Residual>)>,
    norm: GroupNorm,
    object: Linear,
    scene: Linear,
}

struct Residual {
    norms: [GroupNorm; 2],
    convs: [Conv2d; 2],
}

/// What the judge thinks of pictures.
pub struct Opinion {
    /// Its description `[pictures, FEATURES]`.
    pub features: Tensor<2>,
    /// Logits `[pictures, objects]`.
    pub objects: Tensor<2>,
    /// Logits `[pictures, scenes]`.
    pub scenes: Tensor<2>,
}

impl Judge {
    /// Builds it for pictures of a side, over so many objects and scenes.
    pub fn build<S: WeightSource>(
        source: &S,
        side: usize,
        objects: usize,
        scenes: usize,
    ) -> Result<Self, S::Error> {
        let mut levels = Vec::new();
        let mut inputs = WIDTHS[0];
        for (level, &width) in WIDTHS.iter().enumerate() {
            let side = side >> level;
            let down = ConvShape { inputs, outputs: width, resize: Resize::HalveAround, side };
            let conv = source.conv(&format!("levels.{level}.down"), down)?;
            let residuals = (0..if level == 0 { 0 } else { 2 })
                .map(|i| Residual::build(source, &format!("levels.{level}.{i}"), width, side / 2))
                .collect::<Result<_, _>>()?;
            levels.push((conv, residuals));
            inputs = width;
        }
        Ok(Self {
            stem: source.conv("stem", ConvShape::same(3, WIDTHS[0], side))?,
            levels,
            norm: source.group_norm("norm", GROUPS, FEATURES, EPSILON)?,
            object: source.linear("object", FEATURES, objects, true)?,
            scene: source.linear("scene", FEATURES, scenes, true)?,
        })
    }

    /// Random parameters.
    pub fn fresh(side: usize, objects: usize, scenes: usize, seed: u64, device: &Device) -> Params {
        let source = Fresh::new(seed, device);
        let Ok(_) = Self::build(&source, side, objects, scenes);
        source.into_params()
    }

    /// Looks at pictures `[pictures, side, side, 3]` in -1..1.
    pub fn look(&self, pictures: Tensor<4>) -> Opinion {
        let mut h = self.stem.forward(pictures);
        for (down, residuals) in &self.levels {
            h = down.forward(h);
            for residual in residuals {
                h = residual.forward(h);
            }
        }
        let h = self.norm.forward_silu(h);
        let [pictures, height, width, channels] = h.dims();
        let features: Tensor<2> =
            h.reshape([pictures, height * width, channels]).mean_dim(1).squeeze_dim(1);
        Opinion {
            objects: self.object.forward(features.clone()),
            scenes: self.scene.forward(features.clone()),
            features,
        }
    }
}

impl Residual {
    fn build<S: WeightSource>(
        source: &S,
        name: &str,
        width: usize,
        side: usize,
    ) -> Result<Self, S::Error> {
        let norm = |i| source.group_norm(&format!("{name}.norm{i}"), GROUPS, width, EPSILON);
        let conv = |i| source.conv(&format!("{name}.conv{i}"), ConvShape::same(width, width, side));
        Ok(Self { norms: [norm(1)?, norm(2)?], convs: [conv(1)?, conv(2)?] })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut h = x.clone();
        for (norm, conv) in self.norms.iter().zip(&self.convs) {
            h = conv.forward(norm.forward_silu(h));
        }
        ops::add(x, h)
    }
}

/// Mean cross-entropy of logits `[pictures, classes]`.
pub fn cross_entropy(logits: Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let [pictures, classes] = logits.dims();
    let mut wanted = vec![0.0; pictures * classes];
    for (picture, &label) in labels.iter().enumerate() {
        wanted[picture * classes + label] = 1.0;
    }
    let wanted = engine::tensor(wanted, [pictures, classes], &logits.device());
    let most = logits.clone().max_dim(1).detach();
    let shifted = logits - most;
    let total = shifted.clone().exp().sum_dim(1).log();
    ((total - shifted) * wanted).sum() / pictures as f64
}

/// The most likely class of each picture.
pub fn answers(logits: Tensor<2>) -> Vec<usize> {
    let classes = logits.dims()[1];
    let best = |row: &[f32]| {
        (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("at least one class")
    };
    values(logits).chunks(classes).map(best).collect()
}
