//! Which vector instructions a kernel runs with.

use std::sync::OnceLock;

/// A family of vector instructions, from the widest to the plainest.
///
/// All variants exist on every architecture, so that a setting can be read and
/// written anywhere; [`Level::is_available`] says whether this processor has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// x86-64-v4: 16 lanes, masks, 32 registers.
    Avx512,
    /// x86-64-v3: 8 lanes with fused multiply-add, 16 registers.
    Avx2,
    /// aarch64: 4 lanes, 32 registers.
    Neon,
    /// Plain Rust over arrays of 8, vectorised as far as the compiler does it.
    Portable,
}

/// The environment variable that lowers the level: `avx512`, `avx2`, `neon` or `portable`.
pub const LEVEL_VARIABLE: &str = "VICO_SIMD";

impl Level {
    /// Every level, best first.
    pub const ALL: [Level; 4] = [Level::Avx512, Level::Avx2, Level::Neon, Level::Portable];

    /// Whether this processor (and operating system) has the instructions.
    pub fn is_available(self) -> bool {
        static AVAILABLE: OnceLock<[bool; 4]> = OnceLock::new();
        AVAILABLE.get_or_init(|| Level::ALL.map(detect))[self as usize]
    }

    /// The levels of this processor, best first; never empty.
    pub fn available() -> impl Iterator<Item = Level> {
        Level::ALL.into_iter().filter(|level| level.is_available())
    }

    /// Lanes of a vector.
    pub const fn lanes(self) -> usize {
        match self {
            Level::Avx512 => 16,
            Level::Avx2 | Level::Portable => 8,
            Level::Neon => 4,
        }
    }

    /// The name that [`LEVEL_VARIABLE`] knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Level::Avx512 => "avx512",
            Level::Avx2 => "avx2",
            Level::Neon => "neon",
            Level::Portable => "portable",
        }
    }

    /// The best available level that is not above the named one.
    ///
    /// `None` when the name is unknown.
    pub fn from_name(name: &str) -> Option<Level> {
        let wanted = Level::ALL.into_iter().find(|level| level.name() == name)?;
        Level::ALL.into_iter().skip(wanted as usize).find(|level| level.is_available())
    }
}

/// [`LEVEL_VARIABLE`] holds a word that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{LEVEL_VARIABLE} is set to {found:?}, which names no vector instructions: \
     set it to avx512, avx2, neon or portable, or leave it unset"
)]
pub struct UnknownLevel {
    /// What it holds.
    pub found: String,
}

/// The processor's best level, lowered by [`LEVEL_VARIABLE`]: one that the processor
/// lacks falls to the next lower one.
///
/// # Errors
/// If the variable holds a word that names no level.
pub fn level_setting() -> Result<Level, UnknownLevel> {
    let Some(found) = std::env::var_os(LEVEL_VARIABLE) else {
        return Ok(Level::available().next().unwrap_or(Level::Portable));
    };
    let found = found.to_string_lossy().into_owned();
    Level::from_name(&found).ok_or(UnknownLevel { found })
}

/// The level that kernels use unless they are given another: [`level_setting`], read
/// once.
///
/// # Panics
/// If the setting is an error. A program reads [`level_setting`] first, to say so.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| level_setting().unwrap_or_else(|error| panic!("{error}")))
}

#[cfg(target_arch = "x86_64")]
fn detect(level: Level) -> bool {
    use std::arch::is_x86_feature_detected as has;
    match level {
        Level::Avx512 => {
            detect(Level::Avx2)
                && has!("avx512f")
                && has!("avx512bw")
                && has!("avx512dq")
                && has!("avx512vl")
        }
        Level::Avx2 => has!("avx2") && has!("fma"),
        Level::Neon => false,
        Level::Portable => true,
    }
}

#[cfg(target_arch = "aarch64")]
fn detect(level: Level) -> bool {
    match level {
        Level::Avx512 | Level::Avx2 => false,
        Level::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        Level::Portable => true,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect(level: Level) -> bool {
    level == Level::Portable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unavailable_level_falls_to_a_lower_one() {
        for wanted in Level::ALL {
            let got = Level::from_name(wanted.name()).unwrap();
            assert!(got.is_available());
            assert!(got as usize >= wanted as usize);
            assert!(!wanted.is_available() || got == wanted);
        }
        assert_eq!(Level::from_name("sse"), None);
    }
}
