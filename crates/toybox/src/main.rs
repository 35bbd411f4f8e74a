//! The training program of the base model inside vico: see `toybox --help`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = arguments::parse();
    // On a thread of the pool, which works on its own parts of each operation instead of
    // waiting for others to be woken.
    let result = match engine::set_threads(arguments.threads) {
        Ok(()) => rayon::scope(|_| commands::run(arguments)),
        Err(error) => Err(toybox::Error::path("--threads", error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
