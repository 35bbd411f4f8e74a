//! Running the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use images::{Picture, write_png};
use tempfile::TempDir;

/// A folder of its own, with photos in it.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("photos")).unwrap();
        for i in 0..3 {
            write_png(dir.path().join(format!("photos/{i}.png")), &photo(i), NO_TEXT).unwrap();
        }
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `vico` in the folder, not yet run.
    pub fn command(&self, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vico"));
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    /// Runs `vico` in the folder.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap(), arguments)
    }

    /// Trains `adapter.safetensors` with further arguments.
    pub fn train(&self, more: &[&str]) -> Run {
        let base = base();
        let mut arguments =
            vec!["train", "photos", "--base", &base, "--init-word", "toy", "--output"];
        arguments.extend(["adapter.safetensors", "--steps", "4", "--batch", "2"]);
        arguments.extend(more);
        self.run(&arguments)
    }

    /// Draws with `adapter.safetensors` and further arguments.
    pub fn generate(&self, prompt: &str, output: &str, more: &[&str]) -> Run {
        let base = base();
        let mut arguments = vec!["generate", prompt, "--base", &base, "--adapter"];
        arguments.extend(["adapter.safetensors", "--steps", "3", "--output", output]);
        arguments.extend(more);
        self.run(&arguments)
    }

    /// Files in a folder, sorted.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub const NO_TEXT: &[(&str, &str)] = &[];

/// The small golden model.
pub fn base() -> String {
    let path: PathBuf = golden::path("tiny-sd").canonicalize().unwrap();
    path.to_str().unwrap().to_owned()
}

/// A photo with a bright disc on a dark ground; each another.
pub fn photo(number: usize) -> Picture {
    let side = 96;
    let middle = 30.0 + 12.0 * number as f64;
    let pixel = |i: usize| {
        let (x, y) = ((i % side) as f64, (i / side) as f64);
        let inside = (x - middle).powi(2) + (y - 48.0).powi(2) < 20.0f64.powi(2);
        if inside { [220, 60 + 30 * number as u8, 40] } else { [30, 40, (x + y) as u8 / 2] }
    };
    Picture::from_rgb(side, side, (0..side * side).flat_map(pixel).collect())
}

/// A run that ended.
pub struct Run {
    output: Output,
    arguments: String,
}

impl Run {
    pub fn of(output: Output, arguments: &[&str]) -> Self {
        Self { output, arguments: arguments.join(" ") }
    }

    pub fn said(&self) -> String {
        let both = [&self.output.stdout[..], &self.output.stderr[..]].concat();
        String::from_utf8_lossy(&both).into_owned()
    }

    /// The run succeeded.
    pub fn done(self) -> Self {
        self.ended(0)
    }

    /// The run failed in words that hold all of `words`.
    pub fn failed(self, code: i32, words: &[&str]) {
        let run = self.ended(code);
        let said = run.said();
        assert!(!said.contains("panicked"), "{said}");
        for word in words {
            assert!(said.contains(word), "vico {}: \"{word}\" in:\n{said}", run.arguments);
        }
    }

    fn ended(self, code: i32) -> Self {
        let (found, said) = (self.output.status.code(), self.said());
        assert_eq!(found, Some(code), "vico {}:\n{said}", self.arguments);
        self
    }
}

pub fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}
