use engine::Tensor;

use super::{
    dpmpp_2m::extrapolated,
    run::{Run, log_ratio},
};
use crate::Result;

/// SDE-DPM-Solver++ (2M) (Lu et al. 2022, appendix A): DPM-Solver++ for the
/// diffusion process backward, with fresh noise in every step, as diffusers'
/// `sde-dpmsolver++` in its midpoint form.
pub(super) fn dpmpp_2m_sde(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = run.unscaled(latents);
    let mut last = None;
    for (from, to) in run.steps() {
        let picture = run.denoised(&x, from)?;
        let width = log_ratio(from, to);
        let ahead = extrapolated(&picture, last, width);
        let share = -(-2.0 * width).exp_m1();
        x = x * (-2.0 * width).exp() + ahead * share;
        if to.sigma() > 0.0 {
            x = x + run.fresh() * (to.sigma() * share.sqrt());
        }
        last = Some((picture, width));
        run.show(&x)?;
    }
    Ok(x)
}
