use crate::{
    Tensor,
    flex::{self, Array, Operation},
};

/// Every pixel becomes two by two.
///
/// # Shapes
/// `[batch, height, width, channels] -> [batch, 2 height, 2 width, channels]`
pub fn upsample_nearest(x: Tensor<4>) -> Tensor<4> {
    if flex::serves(&x.device()) {
        return flex::apply(UpsampleNearest, [x.into_dispatch()]);
    }
    upsample_nearest_twin(x)
}

/// The twin of [`upsample_nearest`].
pub fn upsample_nearest_twin(x: Tensor<4>) -> Tensor<4> {
    let [b, h, w, c] = x.dims();
    x.reshape([b, h, 1, w, 1, c]).expand([b, h, 2, w, 2, c]).reshape([b, 2 * h, 2 * w, c])
}

#[derive(Clone, Debug)]
struct UpsampleNearest;

impl Operation<1> for UpsampleNearest {
    type Saved = ();

    fn forward(&self, [x]: [Array; 1], _: [bool; 1]) -> (Array, ()) {
        let [b, h, w, c] = x.dims();
        let shape = [b, 2 * h, 2 * w, c];
        (Array::filled(&shape, |y| kernels::upsample_nearest(w, c, &x, y)), ())
    }

    fn backward(&self, (): (), dy: Array, _: [bool; 1]) -> [Option<Array>; 1] {
        let [b, h, w, c] = dy.dims();
        let (shape, level) = ([b, h / 2, w / 2, c], kernels::level());
        [Some(Array::filled(&shape, |dx| {
            kernels::upsample_nearest_backward(level, w / 2, c, &dy, dx);
        }))]
    }
}
