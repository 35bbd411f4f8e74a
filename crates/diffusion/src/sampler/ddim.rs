use engine::Tensor;

use super::run::Run;
use crate::{Result, schedule::Level};

/// DDIM (Song et al. 2021, equation 12).
pub(super) fn ddim(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = latents;
    for (from, to) in run.steps() {
        let noise = run.noise_in(&x, from)?;
        let variance = (1.0 - to.alpha) / (1.0 - from.alpha) * (1.0 - from.alpha / to.alpha);
        let fresh = run.plan.eta * variance.max(0.0).sqrt();
        x = step(x, noise, from, to, fresh);
        if fresh > 0.0 {
            x = x + run.fresh() * fresh;
        }
        run.show(&x)?;
    }
    Ok(x)
}

/// Scaled latents at `to`, in which room is left for fresh noise of a standard
/// deviation.
pub(super) fn step(
    x: Tensor<4>,
    noise: Tensor<4>,
    from: Level,
    to: Level,
    fresh: f64,
) -> Tensor<4> {
    let picture = (x - noise.clone() * (1.0 - from.alpha).sqrt()) / from.alpha.sqrt();
    let direction = (1.0 - to.alpha - fresh.powi(2)).max(0.0).sqrt();
    picture * to.alpha.sqrt() + noise * direction
}
