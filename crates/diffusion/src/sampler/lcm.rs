use engine::Tensor;

use super::run::Run;
use crate::{Result, schedule::Level};

/// Spread of the pictures that the consistency function assumes.
const DATA: f64 = 0.5;

/// Factor of the timestep in it.
const TIMESTEP_SCALE: f64 = 10.0;

/// Latent consistency sampling (Luo et al. 2023): jump to the picture, add
/// fresh noise for the next level, jump again. For models distilled for it.
pub(super) fn lcm(run: &mut Run, latents: Tensor<4>) -> Result<Tensor<4>> {
    let mut x = latents;
    for (from, to) in run.steps() {
        let noise = run.noise_in(&x, from)?;
        let picture = consistent(x, noise, from);
        x = picture * to.alpha.sqrt();
        if to.sigma() > 0.0 {
            x = x + run.fresh() * (1.0 - to.alpha).sqrt();
        }
        run.show(&x)?;
    }
    Ok(x)
}

/// The consistency function: the predicted picture, and near timestep 0 more and
/// more of the latents themselves.
fn consistent(x: Tensor<4>, noise: Tensor<4>, at: Level) -> Tensor<4> {
    let t = TIMESTEP_SCALE * at.timestep;
    let whole = t * t + DATA * DATA;
    let picture = (x.clone() - noise * (1.0 - at.alpha).sqrt()) / at.alpha.sqrt();
    picture * (t / whole.sqrt()) + x * (DATA * DATA / whole)
}
