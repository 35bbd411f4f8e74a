//! A run on a terminal: progress bars, notes, and Ctrl-C.

use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use app::{Error, Event, Events};
use indicatif::{ProgressBar, ProgressStyle};

/// Exit code of a process that was stopped by Ctrl-C.
const STOPPED: i32 = 130;

/// Shows events and hears Ctrl-C.
pub struct Terminal {
    stop: Arc<AtomicBool>,
    training: Option<ProgressBar>,
    /// Drawing or judging.
    counted: Option<ProgressBar>,
    /// The file that is being fetched.
    fetching: Option<(String, ProgressBar)>,
    /// Where in a benchmark this is, for the bars; empty elsewhere.
    cell: String,
}

impl Terminal {
    /// From now on the first Ctrl-C asks the run to end, the second ends it.
    pub fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let handler = move || {
            if seen.swap(true, Ordering::SeqCst) {
                std::process::exit(STOPPED);
            }
            say("stopping after this step (Ctrl-C again stops at once) ..");
        };
        // Without the handler Ctrl-C ends the process as it always does.
        if let Err(error) = ctrlc::set_handler(handler) {
            say(&format!("warning: Ctrl-C will end the run at once ({error})"));
        }
        Self { stop, training: None, counted: None, fetching: None, cell: String::new() }
    }

    /// Prints the lines of an answer to standard output.
    pub fn print(&self, lines: &[String]) {
        let mut out = std::io::stdout().lock();
        for line in lines {
            // A reader that closed the pipe has seen enough.
            if writeln!(out, "{line}").is_err() {
                return;
            }
        }
    }

    /// Says why the run ended.
    pub fn fail(&mut self, error: &Error) {
        self.finish();
        if error.is_stop() {
            say("stopped; `vico train --resume RUN_DIR` continues a training, the same command a \
                 benchmark");
        } else {
            say(&format!("error: {error}"));
        }
    }

    fn finish(&mut self) {
        let fetching = self.fetching.take().map(|(_, bar)| bar);
        let bars = [self.training.take(), self.counted.take(), fetching];
        for bar in bars.into_iter().flatten() {
            bar.abandon();
        }
    }

    /// A line above the bars.
    fn line(&self, text: &str) {
        match self.training.as_ref().or(self.counted.as_ref()) {
            Some(bar) if !bar.is_hidden() => bar.suspend(|| say(text)),
            _ => say(text),
        }
    }

    fn wrote(&self, path: &Path) {
        self.line(&format!("wrote {}", path.display()));
    }

    fn counting(&mut self, done: usize, total: usize, template: &str) {
        let cell = &self.cell;
        let bar = self
            .counted
            .get_or_insert_with(|| bar(total as u64, template).with_prefix(cell.clone()));
        bar.set_position(done as u64);
        if done == total {
            bar.finish_and_clear();
            self.counted = None;
        }
    }

    fn fetching(&mut self, file: &str, done: u64, total: u64) {
        if self.fetching.as_ref().is_none_or(|(name, _)| name != file) {
            let bar = bar(total, "{msg} {bar:30} {bytes}/{total_bytes}, {eta} left");
            bar.set_message(file.to_owned());
            if bar.is_hidden() {
                say(&format!("fetching {file} .."));
            }
            self.fetching = Some((file.to_owned(), bar));
        }
        if let Some((_, bar)) = &self.fetching {
            bar.set_length(total);
            bar.set_position(done);
            if done == total && total > 0 {
                bar.finish_and_clear();
            }
        }
    }

    fn cell(&mut self, name: &str, number: usize, total: usize, left: &str) {
        self.line(&format!("cell {number} of {total}: {name}; about {left} left in all"));
        self.cell = format!("[{number}/{total}, {left} left] ");
    }

    fn training(&mut self, done: u64, total: u64) {
        if let Some(before) = self.training.take() {
            before.finish_and_clear();
        }
        let bar = bar(total, "{prefix}training {bar:30} {pos}/{len}, {eta} left  {msg}")
            .with_prefix(self.cell.clone());
        bar.set_position(done);
        bar.reset_eta();
        self.training = Some(bar);
    }
}

impl Events for Terminal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Stage(text) => self.line(&format!("{text} ..")),
            Event::Note(text) => self.line(text),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            Event::Training { done, total } => self.training(*done, *total),
            Event::Step(report) => {
                let message = format!("loss {:.4}", report.loss);
                match &self.training {
                    Some(bar) if !bar.is_hidden() => {
                        bar.set_message(message);
                        bar.set_position(report.step);
                    }
                    // Without a terminal: a line now and then.
                    _ if report.step % 10 == 0 => say(&format!("step {}  {message}", report.step)),
                    _ => {}
                }
            }
            Event::Drawing { done, total } => {
                self.counting(
                    *done,
                    *total,
                    "{prefix}drawing  {bar:30} {pos}/{len} steps, {eta} left",
                );
            }
            Event::Judging { done, total } => {
                self.counting(*done, *total, "{prefix}judging  {bar:30} {pos}/{len}, {eta} left");
            }
            Event::Cell { name, number, total, left } => self.cell(name, *number, *total, left),
            Event::Fetching { file, done, total } => self.fetching(file, *done, *total),
            Event::Scored(scored) => self.line(&scored.to_string()),
            Event::Wrote(path) => self.wrote(path),
            Event::Preview { .. } => {}
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn bar(total: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("a template of this file");
    ProgressBar::new(total).with_style(style.progress_chars("=> "))
}

/// A line to standard error, where everything goes that is not an answer.
fn say(text: &str) {
    // There is nowhere left to complain to if this fails.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
