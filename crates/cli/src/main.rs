//! The `vico` binary: arguments in, one call, an exit code out.

mod arguments;
mod terminal;

use std::process::ExitCode;

use app::{Compute, Result};
use arguments::{Arguments, Command, parse};
use terminal::Terminal;

fn main() -> ExitCode {
    let arguments = parse();
    let mut terminal = Terminal::new();
    match run(arguments, &mut terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.fail(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<()> {
    let compute = Compute::new(arguments.threads, arguments.precision, arguments.memory)?;
    match arguments.command {
        Command::Train(options) => app::train::run(&options, &compute, terminal),
        Command::Demo(options) => app::demo::run(&options, &compute, terminal),
        Command::Generate(options) => app::generate::run(&options, &compute, terminal),
        Command::Mask(options) => app::mask::run(&options, &compute, terminal),
        Command::Inspect(path) => {
            terminal.print(&app::inspect::run(&path)?);
            Ok(())
        }
        Command::Bench { options, json } => {
            let measured = app::bench::run(&options, &compute, terminal)?;
            terminal.print(&if json { vec![measured.json()] } else { measured.lines() });
            Ok(())
        }
    }
}
