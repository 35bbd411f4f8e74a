//! The kernels of norms.

use burn_cubecl::cubecl::{self, prelude::*};

/// Of channels-last activations.
#[derive(CubeLaunch, CubeType)]
pub struct Layout {
    /// Of a picture.
    pixels: usize,
    channels: usize,
    groups: usize,
    /// Values in all.
    count: usize,
}

#[cube]
impl Layout {
    /// Values of a group.
    fn of_group(&self) -> usize {
        self.pixels * (self.channels / self.groups)
    }

    /// Groups in all.
    fn all_groups(&self) -> usize {
        self.count / self.of_group()
    }

    /// Where the value of that number lies in a group.
    fn place(&self, group: usize, value: usize) -> usize {
        let width = self.channels / self.groups;
        let picture = group / self.groups;
        let pixel = picture * self.pixels + value / width;
        pixel * self.channels + group % self.groups * width + value % width
    }

    /// Of which group the value in that place is.
    fn group(&self, place: usize) -> usize {
        let width = self.channels / self.groups;
        place / (self.pixels * self.channels) * self.groups + place % self.channels / width
    }
}

/// The sum of what the units of a cube hold.
#[cube]
fn sum(value: f32, shared: &mut Shared<[f32]>, #[comptime] units: usize) -> f32 {
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut step = units.runtime() / 2;
    while step > 0 {
        if (UNIT_POS as usize) < step {
            let other = shared[UNIT_POS as usize + step];
            shared[UNIT_POS as usize] += other;
        }
        sync_cube();
        step /= 2;
    }
    let total = shared[0];
    sync_cube();
    total
}

/// Mean and reciprocal deviation of each group.
#[cube(launch)]
pub fn moments(
    x: &Tensor<f32>,
    moments: &mut Tensor<f32>,
    layout: Layout,
    epsilon: f32,
    #[comptime] units: usize,
) {
    let group = CUBE_POS;
    if group >= layout.all_groups() {
        terminate!();
    }
    let mut shared = Shared::new_slice(units);
    let count = layout.of_group();
    let mut some = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < count {
        some += x[layout.place(group, i)];
        i += units;
    }
    let mean = sum(some, &mut shared, units) / f32::cast_from(count);
    let mut some = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < count {
        let from_mean = x[layout.place(group, i)] - mean;
        some += from_mean * from_mean;
        i += units;
    }
    let variance = sum(some, &mut shared, units) / f32::cast_from(count);
    if UNIT_POS == 0 {
        moments[2 * group] = mean;
        moments[2 * group + 1] = 1.0f32 / (variance + epsilon).sqrt();
    }
}

#[cube(launch)]
pub fn normalise(
    x: &Tensor<f32>,
    y: &mut Tensor<f32>,
    moments: &Tensor<f32>,
    weight: &Tensor<f32>,
    bias: &Tensor<f32>,
    layout: Layout,
    #[comptime] silu: bool,
) {
    if ABSOLUTE_POS >= layout.count {
        terminate!();
    }
    let group = layout.group(ABSOLUTE_POS);
    let channel = ABSOLUTE_POS % layout.channels;
    let value = (x[ABSOLUTE_POS] - moments[2 * group]) * moments[2 * group + 1];
    let value = value * weight[channel] + bias[channel];
    if silu {
        y[ABSOLUTE_POS] = value / (1.0f32 + (-value).exp());
    } else {
        y[ABSOLUTE_POS] = value;
    }
}

/// The gradient of a normalised value, before it is spread over its group.
#[cube]
fn inner_gradient(
    normalised: f32,
    gradient: f32,
    weight: f32,
    bias: f32,
    #[comptime] silu: bool,
) -> f32 {
    let mut outer = gradient;
    if silu {
        let value = normalised * weight + bias;
        let gate = 1.0f32 / (1.0f32 + (-value).exp());
        outer = gradient * gate * (1.0f32 + value * (1.0f32 - gate));
    }
    outer * weight
}

/// The means of the inner gradients of each group, plain and times the normalised values.
#[cube(launch)]
pub fn gradient_sums(
    x: &Tensor<f32>,
    gradient: &Tensor<f32>,
    moments: &Tensor<f32>,
    weight: &Tensor<f32>,
    bias: &Tensor<f32>,
    sums: &mut Tensor<f32>,
    layout: Layout,
    #[comptime] silu: bool,
    #[comptime] units: usize,
) {
    let group = CUBE_POS;
    if group >= layout.all_groups() {
        terminate!();
    }
    let mut shared = Shared::new_slice(units);
    let count = layout.of_group();
    let mut plain = 0.0f32;
    let mut weighted = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < count {
        let place = layout.place(group, i);
        let channel = place % layout.channels;
        let value = (x[place] - moments[2 * group]) * moments[2 * group + 1];
        let inner = inner_gradient(value, gradient[place], weight[channel], bias[channel], silu);
        plain += inner;
        weighted += inner * value;
        i += units;
    }
    let plain = sum(plain, &mut shared, units) / f32::cast_from(count);
    let weighted = sum(weighted, &mut shared, units) / f32::cast_from(count);
    if UNIT_POS == 0 {
        sums[2 * group] = plain;
        sums[2 * group + 1] = weighted;
    }
}

#[cube(launch)]
pub fn gradient_of_input(
    x: &Tensor<f32>,
    gradient: &Tensor<f32>,
    dx: &mut Tensor<f32>,
    moments: &Tensor<f32>,
    sums: &Tensor<f32>,
    weight: &Tensor<f32>,
    bias: &Tensor<f32>,
    layout: Layout,
    #[comptime] silu: bool,
) {
    if ABSOLUTE_POS >= layout.count {
        terminate!();
    }
    let group = layout.group(ABSOLUTE_POS);
    let channel = ABSOLUTE_POS % layout.channels;
    let scale = moments[2 * group + 1];
    let value = (x[ABSOLUTE_POS] - moments[2 * group]) * scale;
    let outer = gradient[ABSOLUTE_POS];
    let inner = inner_gradient(value, outer, weight[channel], bias[channel], silu);
    dx[ABSOLUTE_POS] = scale * (inner - sums[2 * group] - value * sums[2 * group + 1]);
}
