//! Pictures of what a method takes for the object.

use diffusion::unet::Site;
use images::{Filter, Picture, labelled_sheet, overlay, resize};

/// The automatic mask of one layer over one photo.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskView {
    /// The transformer it belongs to.
    pub site: Site,
    /// Width of the layer's grid.
    pub width: usize,
    /// Height of the layer's grid.
    pub height: usize,
    /// How much each patch looks at the placeholder, row by row.
    pub map: Vec<f32>,
    /// Patches of the object.
    pub keep: Vec<bool>,
    /// The threshold on the normalised map.
    pub threshold: f32,
}

impl MaskView {
    /// Share of the photo that is taken for the object, 0 to 1.
    pub fn share(&self) -> f64 {
        let kept = self.keep.iter().filter(|&&keep| keep).count();
        kept as f64 / self.keep.len() as f64
    }

    fn over(&self, photo: &Picture) -> Picture {
        overlay(photo, &self.map, self.width, self.height, Some(&self.keep))
    }
}

/// Gap between the pictures of a sheet, pixels.
const GAP: usize = 8;

/// Longer side of the photos on a sheet, pixels.
const SHOWN: f64 = 320.0;

/// The photo under each layer's mask, in one row with the layers' numbers.
///
/// # Panics
/// If there are no views.
pub fn sheet(photo: &Picture, views: &[MaskView]) -> Picture {
    let layers: Vec<String> = views
        .iter()
        .map(|v| format!("{}: {}x{}, {:.0} %", v.site.index, v.width, v.height, 100.0 * v.share()))
        .collect();
    let scale = SHOWN / photo.width().max(photo.height()) as f64;
    let side = |pixels: usize| ((pixels as f64 * scale).round() as usize).max(1);
    let photo = &resize(photo, side(photo.width()), side(photo.height()), Filter::Bicubic);
    let pictures = views.iter().map(|view| view.over(photo)).collect();
    labelled_sheet(
        &[(format!("layer: patches, share of object | {}", layers.join(" | ")), pictures)],
        GAP,
    )
}
