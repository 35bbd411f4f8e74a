//! Position embeddings for pictures of another size than a model was trained on.

use engine::Tensor;

/// Where the points of the new grid lie in the old one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interpolation {
    /// By the ratio of the sides, as transformers does it.
    Sides,
    /// By the ratio of the sides after the new one was made longer by so much, as
    /// facebookresearch's programs do it (`interpolate_offset`).
    Offset(f64),
}

/// Fits position embeddings to another grid by cubic convolution with a = -0.75, no
/// antialiasing, as `torch.nn.functional.interpolate(mode="bicubic")`. The first row,
/// that of the class token, stays.
///
/// # Shapes
/// `positions [1 + grid * grid, width]`; `[1 + rows * columns, width]`
pub(super) fn resized(
    positions: &Tensor<2>,
    grid: usize,
    [rows, columns]: [usize; 2],
    how: Interpolation,
) -> Tensor<2> {
    let [_, width] = positions.dims();
    let device = positions.device();
    let values = engine::values(positions.clone());
    let (class, patches) = values.split_at(width);
    let down = taps(grid, rows, how);
    let across = taps(grid, columns, how);
    let mut new = class.to_vec();
    for row in &down {
        for column in &across {
            let mut sum = vec![0.0; width];
            for (y, by_row) in row {
                for (x, by_column) in column {
                    let old = &patches[(y * grid + x) * width..][..width];
                    let weight = by_row * by_column;
                    sum.iter_mut().zip(old).for_each(|(s, &v)| *s += weight * f64::from(v));
                }
            }
            new.extend(sum.into_iter().map(|value| value as f32));
        }
    }
    engine::tensor(new, [1 + rows * columns, width], &device)
}

/// For each new point along a side four old ones, with their weights; those beyond the
/// edge are the edge's.
fn taps(old: usize, new: usize, how: Interpolation) -> Vec<[(usize, f64); 4]> {
    let step = match how {
        Interpolation::Sides => old as f64 / new as f64,
        Interpolation::Offset(offset) => old as f64 / (new as f64 + offset),
    };
    let point = |i: usize| {
        let place = (i as f64 + 0.5) * step - 0.5;
        let (whole, part) = (place.floor(), place - place.floor());
        let weights = [far(1.0 + part), near(part), near(1.0 - part), far(2.0 - part)];
        let at = |k: f64| (whole + k).clamp(0.0, old as f64 - 1.0) as usize;
        [
            (at(-1.0), weights[0]),
            (at(0.0), weights[1]),
            (at(1.0), weights[2]),
            (at(2.0), weights[3]),
        ]
    };
    (0..new).map(point).collect()
}

/// PyTorch's parameter of cubic convolution (Keys 1981).
const A: f64 = -0.75;

/// Weight at a distance of at most one.
fn near(x: f64) -> f64 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// Weight at a distance between one and two.
fn far(x: f64) -> f64 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}
