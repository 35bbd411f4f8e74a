use engine::{
    Device, Tensor,
    nn::{Linear, WeightSource},
    ops,
};

use crate::config::UNetConfig;

/// Sinusoids of the timestep, then a two-layer MLP.
#[derive(Clone)]
pub(super) struct TimeEmbedding {
    first: Linear,
    second: Linear,
    width: usize,
    cosine_first: bool,
    shift: f64,
}

impl TimeEmbedding {
    pub fn build<S: WeightSource>(config: &UNetConfig, source: &S) -> Result<Self, S::Error> {
        let width = config.block_out_channels[0];
        Ok(Self {
            first: source.linear("time_embedding.linear_1", width, 4 * width, true)?,
            second: source.linear("time_embedding.linear_2", 4 * width, 4 * width, true)?,
            width,
            cosine_first: config.flip_sin_to_cos,
            shift: config.freq_shift,
        })
    }

    /// The embedding before its last SiLU.
    ///
    /// # Shapes
    /// One timestep a row; result `[rows, 4 * width]`.
    pub fn forward(&self, timesteps: &[f64], device: &Device) -> Tensor<2> {
        let half = self.width / 2;
        let frequency = |i: usize| {
            let exponent = -(10_000f64.ln()) * i as f64 / (half as f64 - self.shift);
            // The published models computed their frequencies in f32.
            f64::from(exponent.exp() as f32)
        };
        let mut values = Vec::with_capacity(timesteps.len() * self.width);
        for &t in timesteps {
            let angles = (0..half).map(|i| f64::from((t * frequency(i)) as f32));
            let sines: Vec<f32> = angles.clone().map(|a| a.sin() as f32).collect();
            let cosines = angles.map(|a| a.cos() as f32);
            if self.cosine_first {
                values.extend(cosines);
                values.extend(sines);
            } else {
                values.extend(sines);
                values.extend(cosines);
            }
        }
        let x = engine::tensor(values, [timesteps.len(), 2 * half], device);
        self.second.forward(ops::silu(self.first.forward(x)))
    }
}
