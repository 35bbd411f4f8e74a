//! The `vico` binary: arguments in, one call, an exit code out.

mod arguments;
mod documents;
mod terminal;

use std::{path::Path, process::ExitCode};

use app::{Compute, DeviceName, Error, Result};
use arguments::{Arguments, Command, described, parse};
use terminal::Terminal;

fn main() -> ExitCode {
    let mut terminal = Terminal::new();
    match parse().and_then(|arguments| run(arguments, &mut terminal)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.fail(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments, terminal: &mut Terminal) -> Result<()> {
    let compute = compute(&arguments, terminal)?;
    compute.guarded("ask for less at a time", || done(arguments.command, &compute, terminal))
}

fn done(command: Command, compute: &Compute, terminal: &mut Terminal) -> Result<()> {
    match command {
        Command::Train(options) => app::train::run(&options, compute, terminal),
        Command::Demo(options) => app::demo::run(&options, compute, terminal),
        Command::Generate(options) => app::generate::run(&options, compute, terminal),
        Command::Evaluate(options) => {
            let table = app::evaluate::run(&options, compute, terminal)?;
            terminal.print(&table);
            Ok(())
        }
        Command::Benchmark(options) => {
            let table = app::benchmark::run(&options, compute, terminal)?;
            terminal.print(&table);
            Ok(())
        }
        Command::Mask(options) => app::mask::run(&options, compute, terminal),
        Command::Import(options) => app::import::run(&options, compute, terminal),
        Command::Export(options) => app::export::run(&options, compute, terminal),
        Command::Inspect(path) => {
            terminal.print(&app::inspect::run(&path)?);
            Ok(())
        }
        Command::Bench { options, json } => {
            let measured = app::bench::run(&options, compute, terminal)?;
            terminal.print(&if json { vec![measured.json()] } else { measured.lines() });
            Ok(())
        }
        Command::Devices => {
            let lines = app::devices::list(terminal);
            terminal.print(&lines);
            Ok(())
        }
        Command::Pull(id) => app::hub::pull(&id, terminal).map(drop),
        Command::ListModels => {
            terminal.print(&app::hub::list()?);
            Ok(())
        }
        Command::Completions(shell) => {
            terminal.print(&[documents::completions(described(), shell)]);
            Ok(())
        }
        Command::Man(folder) => man(folder.as_deref(), terminal),
    }
}

/// Where and how the command computes, if it is one that does.
fn compute(arguments: &Arguments, terminal: &mut Terminal) -> Result<Compute> {
    let Arguments { threads, device, trust_device, precision, memory, offload, command } =
        arguments;
    let compute = Compute::new(*threads, *precision, *memory)?;
    match command {
        Command::Train(_)
        | Command::Demo(_)
        | Command::Generate(_)
        | Command::Evaluate(_)
        | Command::Benchmark(_)
        | Command::Mask(_)
        | Command::Import(_)
        | Command::Bench { .. } => {
            let name = device.map_or_else(DeviceName::from_environment, Ok);
            let name = name.map_err(|e| Error::Usage(e.to_string()))?;
            compute.offloading(*offload).on(name, *trust_device, terminal)
        }
        _ => Ok(compute),
    }
}

fn man(folder: Option<&Path>, terminal: &Terminal) -> Result<()> {
    let written = match folder {
        Some(folder) => documents::write_man_pages(described(), folder),
        None => documents::man_page(&described()).map(|page| terminal.print(&[page])),
    };
    written.map_err(|e| Error::Path {
        path: folder.unwrap_or(Path::new("-")).to_owned(),
        what: e.to_string(),
    })
}
