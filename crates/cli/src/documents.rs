//! What the arguments say of themselves: completions for shells, and man pages.

use std::{io, path::Path};

use clap::{
    Command,
    builder::{Resettable, StyledStr},
};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

/// Exit codes and what they mean.
pub const EXIT_CODES: [(u8, &str); 4] = [
    (0, "done"),
    (1, "failed, as the last line of standard error says"),
    (2, "a mistake in what was typed"),
    (130, "stopped by Ctrl-C, what was finished is saved"),
];

/// The exit codes as a line of `--help`.
pub fn exit_codes() -> String {
    let one = |(code, meaning): (u8, &str)| format!("{code} {meaning}");
    format!("Exit codes: {}.", EXIT_CODES.map(one).join("; "))
}

/// A script that completes the arguments in a shell.
pub fn completions(mut command: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The man page of a command.
///
/// # Errors
/// Never: it is written into memory.
pub fn man_page(command: &Command) -> io::Result<String> {
    // The codes have a section of their own.
    let man = Man::new(command.clone().after_help(Resettable::<StyledStr>::Reset));
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    page.push_str(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in EXIT_CODES {
        page.push_str(&format!(".TP\n\\fB{code}\\fR\n{meaning}\n"));
    }
    Ok(page)
}

/// Writes the man pages of the program and its commands into a folder:
/// `vico.1`, `vico-train.1`, ..
///
/// # Errors
/// If the folder cannot be written to.
pub fn write_man_pages(mut command: Command, folder: &Path) -> io::Result<()> {
    // Gives the commands their full names.
    command.build();
    std::fs::create_dir_all(folder)?;
    write(&command, folder)
}

/// Writes the pages of a command and of those below it.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(folder.join(format!("{name}.1")), man_page(command)?)?;
    let mut below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    below.try_for_each(|sub| write(sub, folder))
}
