//! Every operation against its twin: values, and the gradient of every input. The twins
//! compute on the processor, or on the device that `VICO_DEVICE` names.

use engine::{
    Device, Tensor, cpu, device,
    ops::{self, Resize, twins},
    replay::{Seeds, leaf},
    rng::TorchRng,
    tensor, values,
};

const TOLERANCE: f64 = 1e-5;

/// A differentiable function of flat tensors.
pub type Function<'a> = &'a dyn Fn(&[Tensor<1>]) -> Tensor<1>;

/// Checks that an operation and its twin agree, and on another device than the processor the
/// operation there.
pub fn assert_twins(what: &str, lengths: &[usize], kernel: Function, twin: Function) {
    assert_twins_within(what, lengths, kernel, twin, TOLERANCE);
}

/// [`assert_twins`] with another tolerance.
pub fn assert_twins_within(
    what: &str,
    lengths: &[usize],
    kernel: Function,
    twin: Function,
    tolerance: f64,
) {
    assert_close_functions(what, lengths, kernel, twin, tolerance);
    if device::from_environment().unwrap() != cpu() {
        let what = format!("{what} on the device");
        assert_close_functions(&what, lengths, kernel, kernel, tolerance);
    }
}

/// Checks that two functions agree: in their values, and in the gradient of every
/// input, whichever of them are tracked.
pub fn assert_close_functions(
    what: &str,
    lengths: &[usize],
    kernel: Function,
    twin: Function,
    tolerance: f64,
) {
    let mut rng = TorchRng::new(lengths.iter().sum::<usize>() as u64);
    let drawn: Vec<Vec<f32>> = lengths.iter().map(|&n| rng.randn(n)).collect();
    let on = |device: &Device| -> Vec<Tensor<1>> {
        drawn.iter().map(|values| tensor(values.clone(), [values.len()], device)).collect()
    };
    let twins_on = device::from_environment().unwrap();
    let (inputs, twin_inputs) = (on(&cpu()), on(&twins_on));
    let want = values(twin(&twin_inputs));
    assert_close(what, &values(kernel(&inputs)), &want, tolerance);
    let gradient = rng.randn(want.len());
    let [gradient, twin_gradient] =
        [&cpu(), &twins_on].map(|device| tensor(gradient.clone(), [want.len()], device));
    for tracked in 1..1_usize << inputs.len() {
        let is_tracked = |i: usize| tracked >> i & 1 == 1;
        let got = gradients(&inputs, is_tracked, &gradient, kernel);
        let want = gradients(&twin_inputs, is_tracked, &twin_gradient, twin);
        for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
            assert_eq!((got.is_some(), want.is_some()), (is_tracked(i), is_tracked(i)));
            if let (Some(got), Some(want)) = (got, want) {
                let what = format!("{what}: gradient of input {i} of set {tracked:b}");
                assert_close(&what, &values(got), &values(want), tolerance);
            }
        }
    }
}

/// Compares two results. Those that cancel to nothing are off by the rounding error
/// of their terms, which are about 1.
fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want.iter().fold(0.1, |scale: f32, v| scale.max(v.abs()));
    let limit = (tolerance * f64::from(scale)) as f32;
    let off =
        got.iter().zip(want).position(|(a, b)| (a - b).abs() > limit || a.is_nan() || b.is_nan());
    if let Some(i) = off {
        panic!("{what}: {} is not {} at {i}, within {limit:.1e}", got[i], want[i]);
    }
}

/// The gradients of the inputs that are tracked; the others are constants.
fn gradients(
    inputs: &[Tensor<1>],
    is_tracked: impl Fn(usize) -> bool,
    gradient: &Tensor<1>,
    function: Function,
) -> Vec<Option<Tensor<1>>> {
    let leaves: Vec<Tensor<1>> = inputs
        .iter()
        .enumerate()
        .map(|(i, input)| if is_tracked(i) { leaf(input) } else { input.clone() })
        .collect();
    let mut seeds = Seeds::default();
    seeds.add(function(&leaves), gradient.clone());
    let mut found = seeds.backward();
    leaves.iter().map(|input| found.take(input)).collect()
}

/// The values of a tensor of any rank.
pub fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let length = x.shape().num_elements();
    x.reshape([length])
}

#[test]
fn activations() {
    type Pair = [fn(Tensor<2>) -> Tensor<2>; 2];
    let pairs: [(&str, Pair); 3] = [
        ("silu", [ops::silu, twins::silu]),
        ("quick_gelu", [ops::quick_gelu, twins::quick_gelu]),
        ("gelu", [ops::gelu, twins::gelu]),
    ];
    for (name, pair) in pairs {
        for shape in [[1, 1], [7, 13], [3, 64]] {
            let [kernel, twin] =
                pair.map(|f| move |x: &[Tensor<1>]| flat(f(x[0].clone().reshape(shape))));
            assert_twins(&format!("{name} {shape:?}"), &[shape[0] * shape[1]], &kernel, &twin);
        }
    }
}

#[test]
fn add() {
    for shape in [[1, 1], [7, 13], [3, 64]] {
        let pair = [ops::add as fn(_, _) -> Tensor<2>, twins::add];
        let [kernel, twin] = pair.map(|f| {
            move |x: &[Tensor<1>]| flat(f(x[0].clone().reshape(shape), x[1].clone().reshape(shape)))
        });
        let length = shape.iter().product();
        assert_twins(&format!("add {shape:?}"), &[length, length], &kernel, &twin);
    }
}

#[test]
fn sums_leave_shared_memory_alone() {
    let constant = |v: f32| tensor(vec![v; 6], [1, 2, 1, 3], &cpu());
    let (a, b) = (constant(1.0), constant(2.0));
    assert_eq!(values(ops::add(a.clone(), b.clone())), [3.0; 6]);
    assert_eq!(values(ops::add(a.clone(), constant(5.0))), [6.0; 6]);
    assert_eq!(values(ops::add(constant(5.0), b.clone())), [7.0; 6]);
    assert_eq!(
        values(ops::add(constant(5.0).narrow(1, 1, 1), a.clone().narrow(1, 0, 1))),
        [6.0; 3]
    );
    let shift = tensor([1.0, 2.0, 3.0], [1, 3], &cpu());
    assert_eq!(values(ops::add_to_pixels(a.clone(), shift)), [2.0, 3.0, 4.0, 2.0, 3.0, 4.0]);
    assert_eq!((values(a), values(b)), (vec![1.0; 6], vec![2.0; 6]));
}

#[test]
fn add_to_pixels() {
    for (shape, rows) in [([1, 1, 1, 1], 1), ([3, 2, 5, 7], 3), ([2, 9, 4, 32], 1)] {
        let pair = [ops::add_to_pixels as fn(_, _) -> _, twins::add_to_pixels];
        let [kernel, twin] = pair.map(|f| {
            move |x: &[Tensor<1>]| {
                flat(f(x[0].clone().reshape(shape), x[1].clone().reshape([rows, shape[3]])))
            }
        });
        let lengths = [shape.iter().product(), rows * shape[3]];
        assert_twins(&format!("add_to_pixels {shape:?} {rows}"), &lengths, &kernel, &twin);
    }
}

#[test]
fn join() {
    for ([b, h, w], n, m) in [([1, 1, 1], 1, 1), ([2, 3, 5], 7, 3), ([1, 9, 4], 32, 64)] {
        let pair = [ops::join as fn(_, _) -> _, twins::join];
        let [kernel, twin] = pair.map(|f| {
            move |x: &[Tensor<1>]| {
                flat(f(x[0].clone().reshape([b, h, w, n]), x[1].clone().reshape([b, h, w, m])))
            }
        });
        let lengths = [b * h * w * n, b * h * w * m];
        assert_twins(&format!("join {b} {h} {w} {n} {m}"), &lengths, &kernel, &twin);
    }
}

#[test]
fn geglu() {
    for [b, n, width] in [[1, 1, 1], [2, 5, 7], [3, 4, 32]] {
        let pair = [ops::geglu as fn(_) -> _, twins::geglu];
        let [kernel, twin] =
            pair.map(|f| move |x: &[Tensor<1>]| flat(f(x[0].clone().reshape([b, n, 2 * width]))));
        assert_twins(&format!("geglu {b} {n} {width}"), &[b * n * 2 * width], &kernel, &twin);
    }
}

#[test]
fn upsample_nearest() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 4, 2, 32]] {
        let pair = [ops::upsample_nearest as fn(_) -> _, twins::upsample_nearest];
        let [kernel, twin] =
            pair.map(|f| move |x: &[Tensor<1>]| flat(f(x[0].clone().reshape(shape))));
        let length = shape.iter().product();
        assert_twins(&format!("upsample_nearest {shape:?}"), &[length], &kernel, &twin);
    }
}

#[test]
fn layer_norm() {
    for shape in [[1, 1, 3], [2, 5, 33], [3, 7, 64]] {
        let pair = [ops::layer_norm as fn(_, _, _, _) -> _, twins::layer_norm];
        let [kernel, twin] = pair.map(|f| {
            move |x: &[Tensor<1>]| {
                flat(f(x[0].clone().reshape(shape), x[1].clone(), x[2].clone(), 1e-5))
            }
        });
        let c = shape[2];
        let lengths = [shape.iter().product(), c, c];
        assert_twins(&format!("layer_norm {shape:?}"), &lengths, &kernel, &twin);
    }
}

#[test]
fn group_norm() {
    for (shape, groups) in [([1, 1, 2, 6], 3), ([2, 3, 5, 8], 2), ([3, 4, 4, 64], 32)] {
        for silu in [false, true] {
            let pair = [ops::group_norm as fn(_, _, _, _, _, _) -> _, twins::group_norm];
            let [kernel, twin] = pair.map(|f| {
                move |x: &[Tensor<1>]| {
                    let image = x[0].clone().reshape(shape);
                    flat(f(image, x[1].clone(), x[2].clone(), groups, 1e-6, silu))
                }
            });
            let c = shape[3];
            let lengths = [shape.iter().product(), c, c];
            let what = format!("group_norm {shape:?} {groups} silu {silu}");
            assert_twins(&what, &lengths, &kernel, &twin);
        }
    }
}

#[test]
fn linear() {
    for ([b, n, inputs], outputs) in [([1, 1, 1], 1), ([2, 5, 7], 9), ([3, 4, 64], 32)] {
        for bias in [false, true] {
            let pair = [ops::linear as fn(_, _, _) -> Tensor<3>, twins::linear];
            let [kernel, twin] = pair.map(|f| {
                move |x: &[Tensor<1>]| {
                    let rows = x[0].clone().reshape([b, n, inputs]);
                    flat(f(rows, x[1].clone().reshape([outputs, inputs]), x.get(2).cloned()))
                }
            });
            let lengths = [b * n * inputs, outputs * inputs, outputs];
            let what = format!("linear {b} {n} {inputs} {outputs} bias {bias}");
            assert_twins(&what, &lengths[..2 + usize::from(bias)], &kernel, &twin);
        }
    }
}

#[test]
fn conv3x3() {
    let resizes = [Resize::Keep, Resize::Double, Resize::HalveAround, Resize::HalveBottomRight];
    for ([b, h, w, inputs], outputs) in [([1, 2, 4, 1], 1), ([2, 6, 4, 5], 7), ([1, 8, 10, 32], 16)]
    {
        for resize in resizes {
            let pair = [ops::conv3x3 as fn(_, _, _, _) -> _, twins::conv3x3];
            let [kernel, twin] = pair.map(|f| {
                move |x: &[Tensor<1>]| {
                    let image = x[0].clone().reshape([b, h, w, inputs]);
                    let weight = x[1].clone().reshape([outputs, inputs, 3, 3]);
                    flat(f(image, weight, x[2].clone(), resize))
                }
            });
            let lengths = [b * h * w * inputs, outputs * inputs * 9, outputs];
            let what = format!("conv3x3 {b} {h} {w} {inputs} {outputs} {resize:?}");
            assert_twins(&what, &lengths, &kernel, &twin);
        }
    }
}

#[test]
fn inputs_may_be_views() {
    let x = tensor(TorchRng::new(1).randn(4 * 6 * 5), [4, 6, 5], &cpu());
    let views = [
        x.clone().narrow(0, 1, 2),
        x.clone().narrow(1, 2, 3),
        x.clone().swap_dims(1, 2),
        x.narrow(2, 0, 1).expand([4, 6, 8]),
    ];
    for view in views {
        let width = view.dims()[2];
        let weight = tensor(TorchRng::new(2).randn(3 * width), [3, width], &cpu());
        let got = ops::linear(view.clone(), weight.clone(), None);
        let want = twins::linear(view, weight, None);
        assert_close("a view", &values(got), &values(want), TOLERANCE);
    }
}
