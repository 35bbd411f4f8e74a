//! Frozen layers, whose weights are packed, against the twins, and against those that are
//! plain tensors.

use engine::{
    Tensor, cpu, device,
    nn::{Conv2d, ConvShape, Convolutions, Frozen, Linear, Precision, Resize},
    ops::twins,
    rng::TorchRng,
    tensor,
};

use super::twins::{assert_close_functions, flat};

/// Weights of the size that a trained layer has.
fn weights(seed: u64, count: usize, inputs: usize) -> Vec<f32> {
    let scale = (inputs as f32).sqrt().recip();
    TorchRng::new(seed).randn(count).into_iter().map(|w| w * scale).collect()
}

/// How layers may be kept, and the error that it costs.
fn ways() -> [(Frozen, f64); 5] {
    let keep = |convolutions| Frozen { convolutions, ..Frozen::new(&cpu()) };
    let [fast, balanced, compact] =
        [Convolutions::Fast, Convolutions::Balanced, Convolutions::Compact].map(keep);
    let half = |way: &Frozen| Frozen { precision: Precision::Bf16, ..way.clone() };
    // bf16 has 8 bits; Winograd's sums of weights lose some of them.
    [(half(&fast), 3e-2), (half(&compact), 2e-2), (fast, 1e-4), (balanced, 1e-5), (compact, 1e-5)]
}

#[test]
fn linear() {
    for (way, tolerance) in ways() {
        for ([n, inputs], outputs) in [([1, 1], 1), ([5, 7], 9), ([13, 64], 96)] {
            for bias in [false, true] {
                let weight = weights(1, outputs * inputs, inputs);
                let bias = bias.then(|| weights(2, outputs, 1));
                let layer = way.linear(inputs, outputs, weight.clone(), bias.clone());
                let kernel =
                    |x: &[Tensor<1>]| flat(layer.forward(x[0].clone().reshape([n, inputs])));
                let twin = |x: &[Tensor<1>]| {
                    let device = x[0].device().inner();
                    let weight = tensor(weight.clone(), [outputs, inputs], &device);
                    let bias = bias.clone().map(|bias| tensor(bias, [outputs], &device));
                    flat(twins::linear(x[0].clone().reshape([n, inputs]), weight, bias))
                };
                let what = format!("linear {n} {inputs} {outputs} {way:?}");
                assert_close_functions(&what, &[n * inputs], &kernel, &twin, tolerance);
            }
        }
    }
}

#[test]
fn conv() {
    let resizes = [Resize::Keep, Resize::Double, Resize::HalveAround, Resize::HalveBottomRight];
    for (way, tolerance) in ways() {
        for ([b, h, w], inputs, outputs, side) in
            [([1, 2, 4], 4, 3, 64), ([2, 5, 7], 20, 33, 8), ([1, 18, 17], 32, 32, 64)]
        {
            for resize in resizes {
                let shape = ConvShape { inputs, outputs, resize, side };
                let weight = weights(1, outputs * inputs * 9, inputs * 9);
                let bias = weights(2, outputs, 1);
                let layer = way.conv(shape, weight.clone(), bias.clone());
                let image = |x: &[Tensor<1>]| x[0].clone().reshape([b, h, w, inputs]);
                let kernel = |x: &[Tensor<1>]| flat(layer.forward(image(x)));
                let twin = |x: &[Tensor<1>]| {
                    let device = x[0].device().inner();
                    let weight = tensor(weight.clone(), [outputs, inputs, 3, 3], &device);
                    let bias = tensor(bias.clone(), [outputs], &device);
                    flat(twins::conv3x3(image(x), weight, bias, resize))
                };
                let what = format!("conv {b} {h} {w} {shape:?} {way:?}");
                assert_close_functions(&what, &[b * h * w * inputs], &kernel, &twin, tolerance);
            }
        }
    }
}

/// How layers may be kept where the kernels do not serve, and the error that it costs.
fn ways_without_kernels() -> Vec<(Frozen, f64)> {
    let device = device::from_environment().unwrap();
    let known = |(precision, _): &(Precision, f64)| precision.is_known_to(&device);
    let errors = [(Precision::F32, 1e-5), (Precision::F16, 2e-3), (Precision::Bf16, 2e-2)];
    let ways = |(precision, error): (Precision, f64)| {
        [true, false]
            .map(|streamed| (Frozen { precision, streamed, ..Frozen::new(&device) }, error))
    };
    errors.into_iter().filter(known).flat_map(ways).collect()
}

#[test]
fn linear_without_kernels() {
    let ([n, inputs], outputs) = ([13, 64], 96);
    let build = |way: &Frozen| {
        let bias = Some(weights(2, outputs, 1));
        way.linear(inputs, outputs, weights(1, outputs * inputs, inputs), bias)
    };
    let packed = build(&Frozen::new(&cpu()));
    let through =
        |layer: &Linear, x: &[Tensor<1>]| flat(layer.forward(x[0].clone().reshape([n, inputs])));
    for (way, tolerance) in ways_without_kernels() {
        let kept = build(&way);
        let (kernel, twin) =
            (|x: &[Tensor<1>]| through(&packed, x), |x: &[Tensor<1>]| through(&kept, x));
        let what = format!("linear {way:?}");
        assert_close_functions(&what, &[n * inputs], &kernel, &twin, tolerance);
    }
}

#[test]
fn conv_without_kernels() {
    let resizes = [Resize::Keep, Resize::Double, Resize::HalveAround, Resize::HalveBottomRight];
    let ([b, h, w], inputs, outputs) = ([2, 6, 8], 20, 33);
    for resize in resizes {
        let build = |way: &Frozen| {
            let shape = ConvShape { inputs, outputs, resize, side: 8 };
            let weight = weights(1, outputs * inputs * 9, inputs * 9);
            way.conv(shape, weight, weights(2, outputs, 1))
        };
        let packed = build(&Frozen::new(&cpu()));
        let through = |layer: &Conv2d, x: &[Tensor<1>]| {
            flat(layer.forward(x[0].clone().reshape([b, h, w, inputs])))
        };
        for (way, tolerance) in ways_without_kernels() {
            let kept = build(&way);
            let (kernel, twin) =
                (|x: &[Tensor<1>]| through(&packed, x), |x: &[Tensor<1>]| through(&kept, x));
            let what = format!("conv {resize:?} {way:?}");
            assert_close_functions(&what, &[b * h * w * inputs], &kernel, &twin, tolerance);
        }
    }
}
