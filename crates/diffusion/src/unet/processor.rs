use engine::Tensor;

use super::Site;

/// The seam by which a method enters the frozen U-Net: it may look at the text
/// attention of a transformer and change the tokens that leave its block.
pub trait Processor {
    /// The key positions, one list of equal length a sample, whose columns of
    /// the head-averaged text-attention probabilities this transformer shall
    /// hand to [`Processor::after_block`].
    fn columns(&self, site: &Site) -> Option<&[Vec<usize>]> {
        let _ = site;
        None
    }

    /// Called between a transformer's frozen block and its projection out. Tokens that are
    /// tracked are on a tape from which gradients will be taken: what learns here must be a
    /// leaf then, and a constant otherwise.
    ///
    /// # Shapes
    /// `tokens [batch, height * width, channels]`, returned in the same shape;
    /// `maps [batch, columns, height * width]` if columns were asked for.
    fn after_block(&mut self, site: &Site, tokens: Tensor<3>, maps: Option<Tensor<3>>)
    -> Tensor<3>;
}

/// The U-Net as it is.
pub struct Plain;

impl Processor for Plain {
    fn after_block(&mut self, _: &Site, tokens: Tensor<3>, _: Option<Tensor<3>>) -> Tensor<3> {
        tokens
    }
}
