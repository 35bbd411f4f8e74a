//! What a 3x3 convolution looks at, laid out as rows of a matrix.

use burn::tensor::DType;
use burn_cubecl::{
    cubecl::{self, calculate_cube_count_elemwise, prelude::*},
    tensor::CubeTensor,
};

use super::{product::kind, tensors::empty};

/// Where the nine taps of an output's pixel lie in the input, or of an input's pixel in the
/// gradient of the output.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Height and width of what is looked at.
    pub from: [usize; 2],
    /// Height and width of what looks.
    pub to: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros before the first pixel of a row or column.
    pub before: usize,
}

/// Which way a window looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// From outputs to the inputs they are made of.
    Inputs,
    /// From inputs to the outputs they were used for.
    Outputs,
}

/// The rows `first..first + count` of all windows `[batch * height * width, 9 * channels]` as
/// numbers of that kind; what lies outside is zero.
///
/// `x [batch, height, width, channels]` must be contiguous f32.
pub fn patches(
    x: &CubeTensor,
    window: Window,
    towards: Towards,
    first: usize,
    count: usize,
    dtype: DType,
) -> CubeTensor {
    let channels = x.meta.shape()[3];
    let rows = empty(x, [count, 9 * channels], dtype);
    let width = [4, 2, 1].into_iter().find(|width| channels.is_multiple_of(*width)).unwrap_or(1);
    let units = count * 9 * channels / width;
    let cube_dim = CubeDim::new(&x.client, units);
    let cubes = calculate_cube_count_elemwise(&x.client, units, cube_dim);
    let [height, columns] = window.from;
    let place = PlaceLaunch::new(
        height,
        columns,
        window.to[0],
        window.to[1],
        channels / width,
        window.stride,
        window.before,
        first,
        units,
    );
    gather::launch(
        &x.client,
        cubes,
        cube_dim,
        width,
        x.clone().into_tensor_arg(),
        rows.clone().into_tensor_arg(),
        place,
        towards == Towards::Outputs,
        kind(&rows),
    );
    rows
}

/// [`Window`], and which part of the rows.
#[derive(CubeLaunch, CubeType)]
struct Place {
    height: usize,
    width: usize,
    to_height: usize,
    to_width: usize,
    /// Vectors of a pixel.
    channels: usize,
    stride: usize,
    before: usize,
    first: usize,
    /// Vectors in all.
    count: usize,
}

/// One vector of channels of one tap for each unit.
#[cube(launch)]
fn gather<E: Numeric, N: Size>(
    x: &Tensor<Vector<f32, N>>,
    rows: &mut Tensor<Vector<E, N>>,
    place: Place,
    #[comptime] outwards: bool,
    #[define(E)] _kind: ElemType,
) {
    if ABSOLUTE_POS >= place.count {
        terminate!();
    }
    let channel = ABSOLUTE_POS % place.channels;
    let tap = ABSOLUTE_POS / place.channels % 9;
    let row = place.first + ABSOLUTE_POS / place.channels / 9;
    let column = row % place.to_width;
    let line = row / place.to_width % place.to_height;
    let picture = row / place.to_width / place.to_height;

    let mut value = Vector::<f32, N>::broadcast(0.0f32);
    if outwards {
        let y = line + place.before;
        let x_at = column + place.before;
        if y >= tap / 3 && x_at >= tap % 3 {
            let y = y - tap / 3;
            let x_at = x_at - tap % 3;
            let inside = y.is_multiple_of(place.stride)
                && x_at.is_multiple_of(place.stride)
                && y / place.stride < place.height
                && x_at / place.stride < place.width;
            if inside {
                let pixel =
                    (picture * place.height + y / place.stride) * place.width + x_at / place.stride;
                value = x[pixel * place.channels + channel];
            }
        }
    } else {
        let y = line * place.stride + tap / 3;
        let x_at = column * place.stride + tap % 3;
        let inside = y >= place.before
            && x_at >= place.before
            && y < place.height + place.before
            && x_at < place.width + place.before;
        if inside {
            let pixel =
                (picture * place.height + y - place.before) * place.width + x_at - place.before;
            value = x[pixel * place.channels + channel];
        }
    }
    rows[ABSOLUTE_POS] = Vector::cast_from(value);
}
