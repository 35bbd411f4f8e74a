use engine::Tensor;

use super::run::{Run, log_ratio};
use crate::Result;

/// DPM-Solver++ (2M) (Lu et al. 2022, algorithm 2): exact for a picture that
/// changes linearly in `ln sigma`, which is extrapolated from the last two.
pub(super) fn dpmpp_2m(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = run.unscaled(latents);
    let mut last = None;
    for (from, to) in run.steps() {
        let picture = run.denoised(&x, from)?;
        let width = log_ratio(from, to);
        let ahead = extrapolated(&picture, last, width);
        x = x * (-width).exp() - ahead * (-width).exp_m1();
        last = Some((picture, width));
        run.show(&x)?;
    }
    Ok(x)
}

/// The picture in the middle of a step of `width`, by the last one and how far
/// it lies back. The last step, which is without end, takes the newest.
pub(super) fn extrapolated(
    picture: &Tensor<4>,
    last: Option<(Tensor<4>, f64)>,
    width: f64,
) -> Tensor<4> {
    match last {
        Some((old, back)) if width.is_finite() => {
            picture.clone() + (picture.clone() - old) * (width / back / 2.0)
        }
        _ => picture.clone(),
    }
}
