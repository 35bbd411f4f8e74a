//! Memory, before long work starts.

use diffusion::{
    Base,
    unet::{Site, sites},
};
use engine::{nn::Precision, ops};
use personalize::{Recipe, methods};

use crate::{Compute, Error, Result};

/// Bytes of a value.
const F32: u64 = 4;

/// What a training will need at its peak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Weights of the frozen text encoder and U-Net; if they are streamed, what lies on the
    /// device at a time.
    pub frozen: u64,
    /// Those that are streamed, in the machine's memory.
    pub streamed: u64,
    /// What is learned: weights, gradients, and AdamW's two moments.
    pub learned: u64,
    /// What passes through: in a training the inputs of all blocks and the tape
    /// of one.
    pub activations: u64,
    /// Tapes of a training that stay in memory from the pass forward to the way back.
    pub tapes: u64,
}

impl Memory {
    /// Of a training of `learned` values.
    pub fn of_training(compute: &Compute, base: &Base, learned: usize, recipe: &Recipe) -> Self {
        let counts = base.parameters();
        let inputs = match compute.weights().precision {
            Precision::F32 | Precision::Tf32 | Precision::F16 => BLOCK_INPUTS,
            Precision::Bf16 => BLOCK_INPUTS / 2,
        };
        let tensors = match compute.card() {
            None => recipe.batch * (inputs + TAPE),
            Some(_) => recipe.batch * STEP_ON_CARD,
        };
        let size = (recipe.size, recipe.size);
        let scores = PARTS * scores(compute, base, size, recipe.batch);
        let gradients = if recipe.accumulate > 1 { 2 } else { 1 };
        let [text, unet] = [counts.text, counts.unet].map(|count| compute.frozen_bytes(count));
        let (unet, streamed) = split(compute, unet);
        Self {
            // The text encoder's tape holds all of it.
            frozen: text + unet,
            streamed,
            learned: (3 + gradients) * F32 * learned as u64,
            activations: with_resting(tensors as u64 * widest(base, size)) + scores,
            tapes: 0,
        }
    }

    /// The same with the tapes that can stay, if there is memory for them: that saves a
    /// third of a step's time and changes no result.
    pub fn with_tapes(self, compute: &Compute, base: &Base, recipe: &Recipe) -> Self {
        // What is free may soon not be: others run here too.
        let some = |bytes: u64| bytes / 10 * 9;
        let there = match compute.card() {
            None => [compute.memory(), available().map(some)].into_iter().flatten().min(),
            Some(card) => card.memory.map(some),
        };
        let with = Self { tapes: tapes(compute, base, recipe), ..self };
        match there {
            Some(there) if with.total() <= there => with,
            _ => self,
        }
    }

    /// Of drawing pictures with an adapter of `learned` values, `batch` at a time.
    pub fn of_drawing(
        compute: &Compute,
        base: &Base,
        learned: usize,
        batch: usize,
        size: (usize, usize),
    ) -> Self {
        let counts = base.parameters();
        let [text, unet] = [counts.text, counts.unet].map(|count| compute.frozen_bytes(count));
        let frozen = text + unet + compute.vae_bytes(counts.vae) / 2;
        let (frozen, streamed) = split(compute, frozen);
        // With guidance each picture is two samples; pictures are decoded one by one.
        let scores = PARTS * scores(compute, base, size, 2 * batch);
        let pass = (2 * batch * PASS) as u64 * widest(base, size) + scores;
        let channels = base.configs().vae.block_out_channels[0];
        let decoding = F32 * (DECODING * size.0 * size.1 * channels) as u64;
        Self {
            frozen,
            streamed,
            // As it was read, and packed.
            learned: 2 * F32 * learned as u64,
            activations: with_resting(pass.max(decoding)),
            tapes: 0,
        }
    }

    /// All of it where the computing is done.
    pub fn total(&self) -> u64 {
        self.frozen + self.learned + self.activations + self.tapes
    }

    /// A sentence for people.
    pub fn sentence(&self) -> String {
        let streamed = match self.streamed {
            0 => String::new(),
            bytes => format!(" (and {} of the machine's for the others)", size_text(bytes)),
        };
        format!(
            "about {} of memory: {} frozen weights{streamed}, {} for what is learned, {} activations",
            size_text(self.total()),
            size_text(self.frozen),
            size_text(self.learned),
            size_text(self.activations + self.tapes)
        )
    }

    /// Refuses what cannot fit into the memory that is free, or into the device's.
    pub fn check(&self, compute: &Compute, advice: &str) -> Result<()> {
        match compute.card() {
            None => self.check_within(available(), "are free", advice),
            Some(card) => {
                if let Some(there) = available().filter(|&there| self.streamed > there) {
                    let (streamed, there) = (size_text(self.streamed), size_text(there));
                    return Err(Error::Memory(format!(
                        "--offload keeps {streamed} of weights in the machine's memory, of which \
                         {there} are free: leave it out, or add --precision f16 or bf16"
                    )));
                }
                let has = format!("are all that {} has", card.name());
                self.check_within(card.memory, &has, advice)
            }
        }
    }

    fn check_within(&self, there: Option<u64>, has: &str, advice: &str) -> Result<()> {
        let Some(there) = there.filter(|&there| self.total() > there) else {
            return Ok(());
        };
        Err(Error::Memory(format!(
            "this needs {}, and {} {has}: {advice}",
            self.sentence(),
            size_text(there)
        )))
    }
}

/// Of the weights of a model the bytes that are on the device at a time, and those that
/// are streamed to it.
fn split(compute: &Compute, weights: u64) -> (u64, u64) {
    match compute.offload() {
        true => (weights / STREAMED_AT_A_TIME, weights),
        false => (weights, 0),
    }
}

/// The part of a U-Net's weights that its largest step has: a tenth in Stable Diffusion
/// 1.x, and as it comes and goes some of the step before lies beside it.
const STREAMED_AT_A_TIME: u64 = 7;

/// Bytes of the largest activation of one sample between the U-Net's blocks.
fn widest(base: &Base, size: (usize, usize)) -> u64 {
    let channels = base.configs().unet.block_out_channels.iter().enumerate();
    let level = |(i, &channels): (usize, &usize)| (pixels(base, size) >> (2 * i)) * channels;
    F32 * channels.map(level).max().unwrap_or(0) as u64
}

/// Pixels of the latents.
fn pixels(base: &Base, (width, height): (usize, usize)) -> usize {
    let factor = base.configs().vae.factor();
    (width / factor) * (height / factor)
}

/// Bytes of the scores of the largest attention of so many samples that are computed at a
/// time, where there are scores in memory at all.
fn scores(compute: &Compute, base: &Base, size: (usize, usize), samples: usize) -> u64 {
    if compute.card().is_none() {
        return 0;
    }
    let unet = &base.configs().unet;
    let level = |i: usize| {
        let tokens = (pixels(base, size) >> (2 * i)) as u64;
        F32 * tokens * tokens * (samples * unet.attention_head_dim.at(i)) as u64
    };
    let all = (0..unet.block_out_channels.len()).map(level).max().unwrap_or(0);
    all.min(F32 * ops::MOST_SCORES as u64)
}

/// Bytes of the tapes that can stay in a training: where products have f32.
fn tapes(compute: &Compute, base: &Base, recipe: &Recipe) -> u64 {
    let passes = methods::passes_with_tapes(recipe);
    if !matches!(compute.weights().precision, Precision::F32 | Precision::Tf32) {
        return 0;
    }
    let pixels = pixels(base, (recipe.size, recipe.size));
    let tokens = |sites: &[Site]| -> usize {
        let one = |site: &Site| pixels / (site.stride * site.stride) * site.channels;
        sites.iter().map(one).sum()
    };
    let all = sites(&base.configs().unet);
    let with_image_attention = match methods::looks_at_references(&recipe.method) {
        true => recipe.vico.image_attention.sites(&all),
        false => Vec::new(),
    };
    let tensors = passes * TAPE_OF_TRANSFORMER * tokens(&all)
        + TAPE_OF_IMAGE_ATTENTION * tokens(&with_image_attention);
    let bytes = F32 * (recipe.batch * tensors) as u64;
    // There more operations are plain ones, which keep what passes between them.
    if compute.card().is_some() { bytes * 8 / 5 } else { bytes }
}

/// The block inputs of both streams, in tensors of that size.
const BLOCK_INPUTS: usize = 26;

/// The tape of the largest block, in the same tensors; measured, as what follows.
const TAPE: usize = 100;

/// What stays of a transformer and the residual blocks beside it, in its tokens.
const TAPE_OF_TRANSFORMER: usize = 16;

/// What stays of a block of image attention, in the same.
const TAPE_OF_IMAGE_ATTENTION: usize = 11;

/// A pass without a tape, in the same tensors.
const PASS: usize = 20;

/// On graphics cards the inputs of blocks and the tape of one, in the same tensors. Measured by
/// `vico bench --dry-run`, as what follows.
const STEP_ON_CARD: usize = 70;

/// How often the scores that are computed at a time lie in memory, or as large a part of a
/// convolution's patches.
const PARTS: u64 = 2;

/// Decoding, in tensors of the VAE's first width at the picture's size.
const DECODING: usize = 5;

/// What is in use, and the buffers of other sizes that rest beside it.
fn with_resting(bytes: u64) -> u64 {
    bytes + bytes.min(256 << 20)
}

/// The machine's memory, bytes, or as much of it as this process may have; if the system
/// tells.
pub(crate) fn total_memory() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let limit = system.cgroup_limits().map(|limits| limits.total_memory);
    let total = system.total_memory();
    let total = limit.map_or(total, |limit| limit.min(total));
    (total > 0).then_some(total)
}

/// Memory that is free for this process, if the system tells.
fn available() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // Its own figure of what is free counts files that lie in memory as used, which make way.
    let limit = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    let free = system.available_memory();
    let free = limit.map_or(free, |limit| limit.min(free));
    (free > 0).then_some(free)
}

/// The most memory this process ever had, bytes. Linux tells.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

/// Lets [`peak_memory`] begin anew; whether the system can. Linux does.
pub(crate) fn reset_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// `3.4 GB`.
pub(crate) fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// `1 h 05 min`.
pub(crate) fn time_text(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..100 => format!("{seconds:.0} s"),
        100..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let memory = Memory { frozen: 6_000_000_000, learned: 900_000_000, ..Memory::default() };
        for enough in [None, Some(memory.total()), Some(u64::MAX)] {
            memory.check_within(enough, "are free", "").unwrap();
        }
        let refused =
            memory.check_within(Some(memory.total() - 1), "are free", "lower --batch").unwrap_err();
        assert!(matches!(refused, Error::Memory(_)), "{refused:?}");
        assert_eq!(
            refused.to_string(),
            "this needs about 6.9 GB of memory: 6.0 GB frozen weights, 900 MB for what is learned, \
             0 kB activations, and 6.9 GB are free: lower --batch"
        );
    }
}
