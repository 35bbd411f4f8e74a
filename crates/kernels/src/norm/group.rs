use rayon::prelude::*;

use super::sums::{Terms, channel_sums, rows_at_once};
use crate::activation::{Function, Swish};
use crate::elementwise::{load_up_to, store_up_to};
use crate::simd::{Kernel, Level, Simd, dispatch};

/// Group norm over channels-last images (Wu & He 2018, arXiv 1803.08494), with SiLU
/// behind it if asked.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm<'a> {
    /// The instructions to use.
    pub level: Level,
    /// Height times width of an image.
    pub pixels: usize,
    /// Groups of neighbouring channels; divides their number.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether `x sigmoid(x)` follows.
    pub silu: bool,
    /// Factor of each channel.
    pub weight: &'a [f32],
    /// Summand of each channel.
    pub bias: &'a [f32],
}

/// What an image's pixels have in common, one vector of each a channel.
///
/// # Shapes
/// `[channels]` each
struct Affine<'a> {
    mean: Vec<f32>,
    rstd: Vec<f32>,
    weight: &'a [f32],
    bias: &'a [f32],
}

impl GroupNorm<'_> {
    /// Normalises `x`, and writes mean and reciprocal deviation of each group to
    /// `moments`, for [`GroupNorm::backward`].
    ///
    /// # Shapes
    /// `x, out [batch, pixels, channels]`, `moments [batch, groups, 2]`
    ///
    /// # Panics
    /// If the lengths do not fit that.
    pub fn forward(&self, x: &[f32], out: &mut [f32], moments: &mut [f32]) {
        let batch = self.batch(x.len(), out.len(), moments.len());
        let channels = self.weight.len();
        let sums =
            channel_sums(self.level, batch, self.pixels, channels, |_| Spread { x, channels });
        for (image, moments) in moments.chunks_exact_mut(2 * self.groups).enumerate() {
            self.settle_moments(&sums[image * 2 * channels..][..2 * channels], moments);
        }
        let affine = self.affine(moments);
        self.in_parts(out, |image, start, out| {
            let (x, affine) = (&x[start..][..out.len()], &affine[image]);
            dispatch(self.level, Normalise { x, affine, silu: self.silu, out });
        });
    }

    /// The gradient to `x`, and to weight and bias if asked.
    ///
    /// # Shapes
    /// `x, dout, dx [batch, pixels, channels]`, `moments [batch, groups, 2]` from
    /// [`GroupNorm::forward`]; `affine` are the gradients of weight and bias,
    /// `[channels]` each.
    ///
    /// # Panics
    /// If the lengths do not fit that.
    pub fn backward(
        &self,
        x: &[f32],
        moments: &[f32],
        dout: &[f32],
        dx: &mut [f32],
        affine: Option<[&mut [f32]; 2]>,
    ) {
        let batch = self.batch(x.len(), dout.len(), moments.len());
        assert_eq!(x.len(), dx.len(), "the input and its gradient differ in length");
        let channels = self.weight.len();
        let silu = self.silu;
        let shared = self.affine(moments);
        let sums = channel_sums(self.level, batch, self.pixels, channels, |image| Slopes {
            x,
            dout,
            affine: &shared[image],
            silu,
        });
        let means = self.gradient_means(&sums, moments);
        self.in_parts(dx, |image, start, dx| {
            let (x, dout) = (&x[start..][..dx.len()], &dout[start..][..dx.len()]);
            let (affine, means) = (&shared[image], &means[image]);
            dispatch(self.level, ToInput { x, dout, affine, means, silu, dx });
        });
        if let Some([dweight, dbias]) = affine {
            for c in 0..channels {
                let total = |which| {
                    (0..batch).map(|image| sums[(2 * image + which) * channels + c]).sum::<f64>()
                };
                (dbias[c], dweight[c]) = (total(0) as f32, total(1) as f32);
            }
        }
    }

    /// Checks the lengths and gives the number of images.
    fn batch(&self, x: usize, other: usize, moments: usize) -> usize {
        let channels = self.weight.len();
        assert_eq!(channels, self.bias.len(), "weight and bias differ in length");
        assert!(self.groups > 0 && channels.is_multiple_of(self.groups), "{channels} channels");
        assert!(channels > 0 && self.pixels > 0, "nothing to normalise over");
        assert!(x.is_multiple_of(self.pixels * channels), "{x} values are no whole images");
        assert_eq!(x, other, "the activations differ in length");
        let batch = x / (self.pixels * channels);
        assert_eq!(moments, batch * self.groups * 2, "mean and deviation of each group");
        batch
    }

    /// Mean and reciprocal deviation of the groups from the sums over one image.
    fn settle_moments(&self, sums: &[f64], moments: &mut [f32]) {
        let (sums, squares) = sums.split_at(self.weight.len());
        let width = self.weight.len() / self.groups;
        let count = (self.pixels * width) as f64;
        let groups = sums.chunks_exact(width).zip(squares.chunks_exact(width));
        for ((sums, squares), moments) in groups.zip(moments.chunks_exact_mut(2)) {
            let mean = sums.iter().sum::<f64>() / count;
            let variance = squares.iter().sum::<f64>() / count - mean * mean;
            moments[0] = mean as f32;
            moments[1] = (variance.max(0.0) + self.epsilon).sqrt().recip() as f32;
        }
    }

    /// Spreads the moments of each image over its channels.
    fn affine(&self, moments: &[f32]) -> Vec<Affine<'_>> {
        let width = self.weight.len() / self.groups;
        let spread = |moments: &[f32], which: usize| -> Vec<f32> {
            (0..self.weight.len()).map(|c| moments[c / width * 2 + which]).collect()
        };
        moments
            .chunks_exact(2 * self.groups)
            .map(|moments| Affine {
                mean: spread(moments, 0),
                rstd: spread(moments, 1),
                weight: self.weight,
                bias: self.bias,
            })
            .collect()
    }

    /// `rstd mean(dhat)` and `rstd mean(dhat hat)` of each image, spread over its
    /// channels.
    fn gradient_means(&self, sums: &[f64], moments: &[f32]) -> Vec<[Vec<f32>; 2]> {
        let channels = self.weight.len();
        let width = channels / self.groups;
        let count = (self.pixels * width) as f64;
        let images = sums.chunks_exact(2 * channels).zip(moments.chunks_exact(2 * self.groups));
        let mean = |sums: &[f64], moments: &[f32], group: usize| {
            let range = group * width..(group + 1) * width;
            let sum: f64 = range.map(|c| f64::from(self.weight[c]) * sums[c]).sum();
            (sum / count * f64::from(moments[2 * group + 1])) as f32
        };
        images
            .map(|(sums, moments)| {
                [&sums[..channels], &sums[channels..]].map(|sums| {
                    let groups = (0..self.groups).map(|group| mean(sums, moments, group));
                    groups.flat_map(|mean| std::iter::repeat_n(mean, width)).collect()
                })
            })
            .collect()
    }

    /// Calls `work` with the image, the first value and the values of each part of
    /// `out`, in parallel.
    fn in_parts(&self, out: &mut [f32], work: impl Fn(usize, usize, &mut [f32]) + Sync) {
        let channels = self.weight.len();
        let part = rows_at_once(channels) * channels;
        let image_len = self.pixels * channels;
        out.par_chunks_mut(image_len).enumerate().for_each(|(image, out)| {
            out.par_chunks_mut(part).enumerate().for_each(|(i, out)| {
                work(image, image * image_len + i * part, out);
            });
        });
    }
}

/// Sums of `x` and of its square.
#[derive(Clone, Copy)]
struct Spread<'a> {
    x: &'a [f32],
    channels: usize,
}

impl Terms for Spread<'_> {
    /// Distance from the block's first value, and its square. Thus the f32 sums
    /// lose no digits to a mean that is large against the deviation.
    #[inline(always)]
    unsafe fn at<S: Simd>(
        self,
        s: S,
        block: usize,
        row: usize,
        channel: usize,
        count: usize,
    ) -> [S::V; 2] {
        let at = |row: usize| self.x.as_ptr().wrapping_add(row * self.channels + channel);
        // SAFETY: the caller vouches for row, block and channels.
        let distance =
            unsafe { s.sub(load_up_to(s, at(row), count), load_up_to(s, at(block), count)) };
        [distance, s.mul(distance, distance)]
    }

    #[inline(always)]
    fn settle(self, block: usize, rows: usize, channel: usize, sums: [f32; 2]) -> [f64; 2] {
        let [sum, square] = sums.map(f64::from);
        let (origin, rows) = (f64::from(self.x[block * self.channels + channel]), rows as f64);
        [rows * origin + sum, square + origin * (2.0 * sum + rows * origin)]
    }
}

/// Sums of `dy` and of `dy hat`: the gradients of bias and weight.
#[derive(Clone, Copy)]
struct Slopes<'a> {
    x: &'a [f32],
    dout: &'a [f32],
    affine: &'a Affine<'a>,
    silu: bool,
}

impl Terms for Slopes<'_> {
    #[inline(always)]
    unsafe fn at<S: Simd>(
        self,
        s: S,
        _block: usize,
        row: usize,
        channel: usize,
        count: usize,
    ) -> [S::V; 2] {
        let at = row * self.affine.mean.len() + channel;
        // SAFETY: the caller vouches for row and channels.
        unsafe {
            let x = load_up_to(s, self.x.as_ptr().add(at), count);
            let dout = load_up_to(s, self.dout.as_ptr().add(at), count);
            let (hat, dy) = self.affine.slope(s, channel, count, x, dout, self.silu);
            [dy, s.mul(dy, hat)]
        }
    }
}

impl Affine<'_> {
    /// `hat`, the normalised value.
    ///
    /// # Safety
    /// `count` channels from `channel` on must exist.
    #[inline(always)]
    unsafe fn hat<S: Simd>(&self, s: S, channel: usize, count: usize, x: S::V) -> S::V {
        // SAFETY: the caller vouches for the channels.
        unsafe {
            let mean = load_up_to(s, self.mean.as_ptr().add(channel), count);
            s.mul(s.sub(x, mean), load_up_to(s, self.rstd.as_ptr().add(channel), count))
        }
    }

    /// `hat weight + bias`
    ///
    /// # Safety
    /// `count` channels from `channel` on must exist.
    #[inline(always)]
    unsafe fn scale<S: Simd>(&self, s: S, channel: usize, count: usize, hat: S::V) -> S::V {
        // SAFETY: the caller vouches for the channels.
        unsafe {
            let weight = load_up_to(s, self.weight.as_ptr().add(channel), count);
            s.mul_add(hat, weight, load_up_to(s, self.bias.as_ptr().add(channel), count))
        }
    }

    /// `hat` and the gradient to what it was scaled to.
    ///
    /// # Safety
    /// `count` channels from `channel` on must exist.
    #[inline(always)]
    unsafe fn slope<S: Simd>(
        &self,
        s: S,
        channel: usize,
        count: usize,
        x: S::V,
        dout: S::V,
        silu: bool,
    ) -> (S::V, S::V) {
        // SAFETY: the caller vouches for the channels.
        unsafe {
            let hat = self.hat(s, channel, count, x);
            if !silu {
                return (hat, dout);
            }
            let slope = Swish(1.0).derivative(s, self.scale(s, channel, count, hat));
            (hat, s.mul(dout, slope))
        }
    }
}

/// Whole pixels of the forward pass.
struct Normalise<'a> {
    x: &'a [f32],
    affine: &'a Affine<'a>,
    silu: bool,
    out: &'a mut [f32],
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, affine, silu, out } = self;
        let channels = affine.mean.len();
        for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            for c in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - c);
                // SAFETY: `count` channels are left behind `c`.
                unsafe {
                    let x = load_up_to(s, x.as_ptr().add(c), count);
                    let y = affine.scale(s, c, count, affine.hat(s, c, count, x));
                    let y = if silu { Swish(1.0).value(s, y) } else { y };
                    store_up_to(s, out.as_mut_ptr().add(c), count, y);
                }
            }
        }
    }
}

/// Whole pixels of the gradient to the input.
struct ToInput<'a> {
    x: &'a [f32],
    dout: &'a [f32],
    affine: &'a Affine<'a>,
    means: &'a [Vec<f32>; 2],
    silu: bool,
    dx: &'a mut [f32],
}

impl Kernel for ToInput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, dout, affine, means, silu, dx } = self;
        let channels = affine.mean.len();
        let pixels = x.chunks_exact(channels).zip(dout.chunks_exact(channels));
        for ((x, dout), dx) in pixels.zip(dx.chunks_exact_mut(channels)) {
            for c in (0..channels).step_by(S::LANES) {
                let count = S::LANES.min(channels - c);
                // SAFETY: `count` channels are left behind `c`.
                unsafe {
                    let at = |row: &[f32]| load_up_to(s, row.as_ptr().add(c), count);
                    let (hat, dy) = affine.slope(s, c, count, at(x), at(dout), silu);
                    let factor = s.mul(at(affine.weight), at(&affine.rstd));
                    let rest = s.mul_add(hat, at(&means[1]), at(&means[0]));
                    let slope = s.sub(s.mul(dy, factor), rest);
                    store_up_to(s, dx.as_mut_ptr().add(c), count, slope);
                }
            }
        }
    }
}
