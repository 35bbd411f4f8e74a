//! The `vico` binary: arguments in, one call, an exit code out.

mod arguments;
mod terminal;

use std::process::ExitCode;

use app::{Error, Events};
use arguments::{Command, parse};
use terminal::Terminal;

fn main() -> ExitCode {
    let (command, device) = (parse(), engine::cpu());
    let mut terminal = Terminal::new();
    let events: &mut dyn Events = &mut terminal;
    let result = match command {
        Command::Train(options) => app::train::run(&options, &device, events),
        Command::Generate(options) => app::generate::run(&options, &device, events),
        Command::Mask(options) => app::mask::run(&options, &device, events),
        Command::Inspect(path) => app::inspect::run(&path).map(|lines| terminal.print(&lines)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.fail(&error);
            ExitCode::from(Error::exit_code(&error))
        }
    }
}
