//! Norms on graphics cards: one pass over the input for its moments, one for the result, and as
//! many on the way back.

mod kernels;

use burn::tensor::{DType, activation};
use burn_cubecl::{
    CubeBackend,
    cubecl::{CubeCount, CubeDim, calculate_cube_count_elemwise, client::Client},
    tensor::CubeTensor,
};
use kernels::{LayoutLaunch, gradient_of_input, gradient_sums, moments, normalise};

use super::tensors::{contiguous, empty};
use crate::{
    Tensor,
    operation::{Operation, Plain, apply_plain},
};

/// [`layer_norm`](crate::ops::layer_norm).
pub(crate) fn layer_norm(
    x: Tensor<3>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<3> {
    let [batch, tokens, channels] = x.dims();
    // Each token is a picture of one pixel, its channels one group.
    let x = x.reshape([batch * tokens, 1, 1, channels]);
    let norm = GroupNorm { groups: 1, epsilon, silu: false };
    norm.apply(x, weight, bias).reshape([batch, tokens, channels])
}

/// [`group_norm`](crate::ops::group_norm).
pub(crate) fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
    silu: bool,
) -> Tensor<4> {
    GroupNorm { groups, epsilon, silu }.apply(x, weight, bias)
}

#[derive(Clone, Debug)]
struct GroupNorm {
    groups: usize,
    epsilon: f64,
    silu: bool,
}

impl GroupNorm {
    fn apply(self, x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>) -> Tensor<4> {
        let inputs = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        apply_plain::<CubeBackend, 3, 4>(self, inputs)
    }
}

/// What the way back needs, all of it contiguous.
#[derive(Clone, Debug)]
struct Saved {
    x: CubeTensor,
    weight: CubeTensor,
    bias: CubeTensor,
    /// Mean and reciprocal deviation of each group `[batch, groups, 2]`.
    moments: CubeTensor,
}

impl Operation<3, Plain<CubeBackend>> for GroupNorm {
    type Saved = Saved;

    fn forward(
        &self,
        inputs: [Plain<CubeBackend>; 3],
        _: [bool; 3],
    ) -> (Plain<CubeBackend>, Saved) {
        let [x, weight, bias] = inputs.map(|input| contiguous(input.0));
        let moments = self.of_groups(&x, |launch| {
            let Launch { client, cubes, cube_dim, units, sums } = launch;
            moments::launch(
                client,
                cubes,
                cube_dim,
                x.clone().into_tensor_arg(),
                sums.into_tensor_arg(),
                self.layout(&x),
                self.epsilon as f32,
                units,
            );
        });
        let y = empty(&x, x.meta.shape().clone(), DType::F32);
        let (cubes, cube_dim) = elementwise(&x);
        normalise::launch(
            &x.client,
            cubes,
            cube_dim,
            x.clone().into_tensor_arg(),
            y.clone().into_tensor_arg(),
            moments.clone().into_tensor_arg(),
            weight.clone().into_tensor_arg(),
            bias.clone().into_tensor_arg(),
            self.layout(&x),
            self.silu,
        );
        (Plain(y), Saved { x, weight, bias, moments })
    }

    fn backward(
        &self,
        saved: Saved,
        gradient: Plain<CubeBackend>,
        wanted: [bool; 3],
    ) -> [Option<Plain<CubeBackend>>; 3] {
        let gradient = contiguous(gradient.0);
        let dx = wanted[0].then(|| Plain(self.of_input(&saved, &gradient)));
        let [dweight, dbias] = match wanted[1] || wanted[2] {
            true => self.of_affine(&saved, gradient).map(|it| Some(Plain::new(it))),
            false => [None, None],
        };
        [dx, dweight, dbias]
    }
}

impl GroupNorm {
    fn of_input(&self, saved: &Saved, gradient: &CubeTensor) -> CubeTensor {
        let Saved { x, weight, bias, moments } = saved;
        let sums = self.of_groups(x, |launch| {
            let Launch { client, cubes, cube_dim, units, sums } = launch;
            gradient_sums::launch(
                client,
                cubes,
                cube_dim,
                x.clone().into_tensor_arg(),
                gradient.clone().into_tensor_arg(),
                moments.clone().into_tensor_arg(),
                weight.clone().into_tensor_arg(),
                bias.clone().into_tensor_arg(),
                sums.into_tensor_arg(),
                self.layout(x),
                self.silu,
                units,
            );
        });
        let dx = empty(x, x.meta.shape().clone(), DType::F32);
        let (cubes, cube_dim) = elementwise(x);
        gradient_of_input::launch(
            &x.client,
            cubes,
            cube_dim,
            x.clone().into_tensor_arg(),
            gradient.clone().into_tensor_arg(),
            dx.clone().into_tensor_arg(),
            moments.clone().into_tensor_arg(),
            sums.into_tensor_arg(),
            weight.clone().into_tensor_arg(),
            bias.clone().into_tensor_arg(),
            self.layout(x),
            self.silu,
        );
        dx
    }

    /// The gradients of weight and bias, which are learned seldom: in plain tensor operations.
    fn of_affine(&self, saved: &Saved, gradient: CubeTensor) -> [Tensor<1>; 2] {
        let open = |tensor: &CubeTensor| Plain::<CubeBackend>(tensor.clone());
        let (x, gradient) = (open(&saved.x).tensor::<4>(), Plain::<CubeBackend>(gradient));
        let [b, h, w, c] = x.dims();
        let moments = open(&saved.moments).tensor::<3>().reshape([b, 1, self.groups, 2]);
        let [mean, scale] = [0, 1].map(|i| moments.clone().narrow(3, i, 1));
        let x = (x.reshape([b, h * w, self.groups, c / self.groups]) - mean) * scale;
        let x = x.reshape([b * h * w, c]);
        let mut gradient = gradient.tensor::<4>().reshape([b * h * w, c]);
        if self.silu {
            let row = |values: &CubeTensor| open(values).tensor::<1>().reshape([1, c]);
            let y = x.clone() * row(&saved.weight) + row(&saved.bias);
            let gate = activation::sigmoid(y.clone());
            gradient = gradient * gate.clone() * (y * (-gate + 1.0) + 1.0);
        }
        [gradient.clone() * x, gradient].map(|it| it.sum_dim(0).reshape([c]))
    }

    fn layout(&self, x: &CubeTensor) -> LayoutLaunch {
        let [_, height, width, channels] = x.meta.shape().dims();
        LayoutLaunch::new(height * width, channels, self.groups, x.meta.num_elements())
    }

    /// Two numbers for each group that `f` launches a kernel for, a cube a group.
    fn of_groups(&self, x: &CubeTensor, f: impl FnOnce(Launch)) -> CubeTensor {
        let [batch, height, width, channels] = x.meta.shape().dims();
        let sums = empty(x, [batch, self.groups, 2], DType::F32);
        let most = x.client.properties().hardware.max_cube_dim.0 as usize;
        let values = height * width * channels / self.groups;
        let units = values.div_ceil(4).next_power_of_two().clamp(32, 256).min(most);
        let cubes = calculate_cube_count_elemwise(
            &x.client,
            batch * self.groups * units,
            CubeDim::new_1d(units as u32),
        );
        f(Launch {
            client: &x.client,
            cubes,
            cube_dim: CubeDim::new_1d(units as u32),
            units,
            sums: sums.clone(),
        });
        sums
    }
}

/// How a kernel is launched that makes two numbers of each group.
struct Launch<'a> {
    client: &'a Client,
    cubes: CubeCount,
    cube_dim: CubeDim,
    /// Of a cube, a power of two.
    units: usize,
    sums: CubeTensor,
}

fn elementwise(x: &CubeTensor) -> (CubeCount, CubeDim) {
    let count = x.meta.num_elements();
    let cube_dim = CubeDim::new(&x.client, count);
    (calculate_cube_count_elemwise(&x.client, count, cube_dim), cube_dim)
}
