//! What the processor offers, and how much of it is used.

use crate::{Error, Result, flex};

/// Computes with `threads` threads, all cores if 0. To be called once, before
/// anything is computed.
///
/// # Errors
/// If threads were set up before, or the system refuses so many.
pub fn set_threads(threads: usize) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().map_err(|source| Error::Threads { threads, source })
}

/// Checks that the environment asks for vector instructions that have a name
/// (`VICO_SIMD`). To be called once, before anything is computed.
///
/// # Errors
/// If it names something else.
pub fn check_instructions() -> Result<()> {
    kernels::level_setting().map(drop).map_err(Error::Instructions)
}

/// How this machine computes, in a line for reports: instructions, whether bf16 is
/// multiplied as such, threads.
pub fn features() -> String {
    if flex::twins_are_forced() {
        return format!("plain tensor operations ({}=1)", flex::TWINS_VARIABLE);
    }
    let level = kernels::level();
    let bf16 = match kernels::multiplies_bf16(level) {
        true => "bf16 products",
        false => "bf16 for storage only",
    };
    format!("{}, {bf16}, {} threads", level.name(), rayon::current_num_threads())
}
