//! The reference stream: what image attention reads from the reference photo.

use std::collections::BTreeMap;

use diffusion::unet::{Processor, Recording, Replay, Site, UNet};
use engine::{
    Tensor,
    ops::KeyMask,
    replay::{Gradients, Seeds},
};

use super::mask::{Otsu, otsu};
use crate::ObjectMask;

/// Positions that steer the reference stream, of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The placeholder's first position; the end of the text for a prompt
    /// without it.
    pub placeholder: usize,
    /// The first end-of-text position.
    pub end_of_text: usize,
}

impl Positions {
    /// Of a prompt whose placeholder, if it has one, and whose text's end stand there.
    pub fn new(placeholder: Option<usize>, end_of_text: usize) -> Self {
        Self { placeholder: placeholder.unwrap_or(end_of_text), end_of_text }
    }
}

/// What the reference stream leaves at one transformer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Tokens behind the frozen block: `[rows, n, channels]`.
    pub tokens: Tensor<3>,
    /// How much each patch looks at the placeholder and at the end of the
    /// text: `[rows, 2, n]`.
    pub maps: Tensor<3>,
    /// The automatic mask of each row; empty where nothing is masked.
    pub masks: Vec<Otsu>,
    /// The patches that are read: those of the automatic mask, or of a drawn one in
    /// its place; all where nothing is masked.
    pub keep: Option<KeyMask>,
}

impl Layer {
    fn masked(tokens: Tensor<3>, maps: Tensor<3>, drawn: Vec<Option<Vec<bool>>>) -> Self {
        let [rows, _, keys] = maps.dims();
        let placeholder = engine::values(maps.clone().narrow(1, 0, 1));
        let masks: Vec<Otsu> = placeholder.chunks(keys).map(otsu).collect();
        let mut drawn = drawn.into_iter();
        let keep = masks.iter().flat_map(|mask| match drawn.next().flatten() {
            Some(patches) => patches,
            None => mask.keep.clone(),
        });
        let keep = Some(KeyMask { rows, keys, keep: keep.collect() });
        Self { tokens, maps, masks, keep }
    }

    fn whole(tokens: Tensor<3>, maps: Tensor<3>) -> Self {
        Self { tokens, maps, masks: Vec::new(), keep: None }
    }

    /// This layer and the same one of another reference as one: their patches lie side
    /// by side, each under its own mask.
    fn beside(self, other: Self) -> Self {
        let both = |a, b, dimension| Tensor::cat(vec![a, b], dimension);
        let keep = self.keep.zip(other.keep).map(|(a, b)| KeyMask {
            rows: a.rows,
            keys: a.keys + b.keys,
            keep: a
                .keep
                .chunks(a.keys)
                .zip(b.keep.chunks(b.keys))
                .flat_map(|(a, b)| [a, b].concat())
                .collect(),
        });
        Self {
            tokens: both(self.tokens, other.tokens, 1),
            maps: both(self.maps, other.maps, 2),
            masks: self.masks.into_iter().chain(other.masks).collect(),
            keep,
        }
    }
}

/// The layers of image attention by transformer number.
pub type Layers = BTreeMap<usize, Layer>;

/// The layers of several references as those of one, see [`Layer::tokens`].
///
/// # Panics
/// If there is none, or they are of other transformers.
pub fn side_by_side(all: impl IntoIterator<Item = Layers>) -> Layers {
    let join = |a: Layers, b: Layers| {
        assert!(a.keys().eq(b.keys()), "the same transformers");
        a.into_iter().zip(b).map(|((site, a), (_, b))| (site, a.beside(b))).collect()
    };
    all.into_iter().reduce(join).expect("a reference")
}

/// Gathers the layers while the reference goes through the U-Net.
pub struct Capture {
    columns: BTreeMap<usize, Vec<Vec<usize>>>,
    mask: bool,
    drawn: Vec<Option<ObjectMask>>,
    /// What was gathered.
    pub layers: Layers,
}

impl Capture {
    /// For the given sites and one pair of positions a row; with the automatic mask
    /// or without one.
    pub fn new(sites: &[Site], positions: &[Positions], mask: bool) -> Self {
        let columns: Vec<Vec<usize>> =
            positions.iter().map(|p| vec![p.placeholder, p.end_of_text]).collect();
        let columns = sites.iter().map(|site| (site.index, columns.clone())).collect();
        Self { columns, mask, drawn: Vec::new(), layers: Layers::new() }
    }

    /// With drawn masks in the place of the automatic ones, one a row or none at all.
    pub fn drawn(self, drawn: &[Option<ObjectMask>]) -> Self {
        Self { drawn: drawn.to_vec(), ..self }
    }

    /// Sends the reference through the U-Net, only as far as it is needed.
    ///
    /// # Shapes
    /// `reference [rows, height, width, channels]`, a row of `context` for each.
    pub fn run(
        &mut self,
        unet: &UNet,
        reference: Tensor<4>,
        timesteps: &[f64],
        context: &Tensor<3>,
    ) {
        if let Some(last) = self.last() {
            unet.forward_until(last, reference, timesteps, context, self);
        }
    }

    /// The same, so that it can be replayed.
    pub fn record(
        &mut self,
        unet: &UNet,
        reference: Tensor<4>,
        timesteps: &[f64],
        context: &Tensor<3>,
    ) -> Recording {
        let last = self.last();
        unet.record(reference, timesteps, context, self, last).1
    }

    /// The last site, behind which nothing is needed.
    fn last(&self) -> Option<usize> {
        self.columns.keys().next_back().copied()
    }
}

impl Processor for Capture {
    fn columns(&self, site: &Site) -> Option<&[Vec<usize>]> {
        self.columns.get(&site.index).map(Vec::as_slice)
    }

    fn after_block(
        &mut self,
        site: &Site,
        tokens: Tensor<3>,
        maps: Option<Tensor<3>>,
    ) -> Tensor<3> {
        if let Some(maps) = maps {
            let patches = |mask: &Option<ObjectMask>| mask.as_ref().map(|m| m.patches(site.stride));
            let layer = match self.mask {
                true => {
                    Layer::masked(tokens.clone(), maps, self.drawn.iter().map(patches).collect())
                }
                false => Layer::whole(tokens.clone(), maps),
            };
            self.layers.insert(site.index, layer);
        }
        tokens
    }
}

/// Gradients that arrive at one layer from outside the reference stream.
#[derive(Default)]
pub struct LayerGradient {
    /// Of the tokens, from image attention.
    pub tokens: Option<Tensor<3>>,
    /// Of the maps, from the regulariser.
    pub maps: Option<Tensor<3>>,
}

/// The reference stream on the way back.
pub struct CaptureBack {
    columns: BTreeMap<usize, Vec<Vec<usize>>>,
    arriving: BTreeMap<usize, LayerGradient>,
    /// Tokens and maps, by transformer number, that stayed on a tape or were run again.
    taped: BTreeMap<usize, (Tensor<3>, Option<Tensor<3>>)>,
}

impl CaptureBack {
    /// For a capture that was recorded, and the gradients of its layers.
    pub fn new(forward: &Capture, arriving: BTreeMap<usize, LayerGradient>) -> Self {
        let taped = forward.layers.iter().filter(|(_, layer)| layer.tokens.is_tracked());
        let both = |layer: &Layer| (layer.tokens.clone(), Some(layer.maps.clone()));
        let taped = taped.map(|(&site, layer)| (site, both(layer))).collect();
        Self { columns: forward.columns.clone(), arriving, taped }
    }
}

impl Processor for CaptureBack {
    /// Only where a gradient arrives at the maps.
    fn columns(&self, site: &Site) -> Option<&[Vec<usize>]> {
        self.arriving.get(&site.index)?.maps.as_ref()?;
        self.columns.get(&site.index).map(Vec::as_slice)
    }

    fn after_block(
        &mut self,
        site: &Site,
        tokens: Tensor<3>,
        maps: Option<Tensor<3>>,
    ) -> Tensor<3> {
        if self.arriving.contains_key(&site.index) {
            self.taped.insert(site.index, (tokens.clone(), maps));
        }
        tokens
    }
}

impl Replay for CaptureBack {
    fn seeds(&mut self, site: &Site, seeds: &mut Seeds) {
        let Some((tokens, maps)) = self.taped.remove(&site.index) else { return };
        let gradient = self.arriving.remove(&site.index).unwrap_or_default();
        if let Some(gradient) = gradient.tokens {
            seeds.add(tokens, gradient);
        }
        if let (Some(maps), Some(gradient)) = (maps, gradient.maps) {
            seeds.add(maps, gradient);
        }
    }

    fn collect(&mut self, _: Option<&Site>, _: &mut Gradients) {}
}
