//! For tests only: the golden numbers, where they lie, and how near is near.
//!
//! The folder is `fixtures/golden` of this repository, or the one that the
//! environment variable `VICO_GOLDEN_DIR` names: the same files exist with
//! other seeds, shapes and step counts, so tests take all of these from the
//! files and the manifest.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use formats::TensorFile;
use serde_json::Value;

/// The folder of golden numbers.
pub fn dir() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden");
    std::env::var_os("VICO_GOLDEN_DIR").map_or_else(own, PathBuf::from)
}

/// A file or folder of it.
pub fn path(name: &str) -> PathBuf {
    dir().join(name)
}

/// A file or folder of `fixtures`, which stays the same when `VICO_GOLDEN_DIR`
/// names other golden numbers.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// `manifest.json`.
///
/// # Panics
/// If it is missing or no JSON.
pub fn manifest() -> Value {
    json("manifest.json")
}

/// A JSON file of the folder.
///
/// # Panics
/// If it is missing or no JSON.
pub fn json(name: &str) -> Value {
    let path = path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // Python writes numbers that JSON does not have; no test reads them.
    let text = text.replace("-Infinity", "null");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file of golden tensors.
pub struct Golden {
    file: TensorFile,
}

impl Golden {
    /// # Panics
    /// If the file is missing or damaged.
    pub fn open(name: &str) -> Self {
        Self::at(path(name))
    }

    /// A file of [`fixture`].
    ///
    /// # Panics
    /// If the file is missing or damaged.
    pub fn fixture(name: &str) -> Self {
        Self::at(fixture(name))
    }

    fn at(path: PathBuf) -> Self {
        Self { file: TensorFile::open(path).unwrap_or_else(|e| panic!("{e}")) }
    }

    /// What the file says of itself.
    ///
    /// # Panics
    /// If it does not.
    pub fn metadata(&self, key: &str) -> &str {
        self.file.metadata().get(key).unwrap_or_else(|| panic!("no metadata {key}"))
    }

    /// Values of a tensor.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.file.f32(name).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Values of a tensor of whole numbers.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn i64(&self, name: &str) -> Vec<i64> {
        self.file.i64(name).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Shape of a tensor of known rank.
    ///
    /// # Panics
    /// If there is no such tensor or its rank is another.
    pub fn shape<const D: usize>(&self, name: &str) -> [usize; D] {
        self.dims(name).try_into().unwrap_or_else(|_| panic!("rank of {name}"))
    }

    /// Shape of a tensor of any rank.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn dims(&self, name: &str) -> Vec<usize> {
        let info = self.file.get(name).unwrap_or_else(|| panic!("no golden tensor {name}"));
        info.shape.clone()
    }

    /// True if there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.file.contains(name)
    }

    /// All names.
    pub fn names(&self) -> Vec<String> {
        self.file.names().map(str::to_owned).collect()
    }

    /// The cases of a file: what stands before `suffix` in its names.
    ///
    /// # Panics
    /// If there is none, since a test over no case cannot fail.
    pub fn cases(&self, suffix: &str) -> Vec<String> {
        self.cases_between("", suffix)
    }

    /// What stands between `prefix` and `suffix` in the names with both.
    ///
    /// # Panics
    /// If there is none.
    pub fn cases_between(&self, prefix: &str, suffix: &str) -> Vec<String> {
        let between =
            |name: &str| name.strip_prefix(prefix)?.strip_suffix(suffix).map(str::to_owned);
        let cases: Vec<String> = self.file.names().filter_map(between).collect();
        assert!(!cases.is_empty(), "no golden name begins with {prefix} and ends with {suffix}");
        cases
    }
}

/// The largest difference, relative to the largest expected value.
///
/// # Panics
/// If the lengths differ.
pub fn relative_error(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len(), "number of values");
    let scale = want.iter().map(|v| f64::from(v.abs())).fold(0.0, f64::max);
    let error = got
        .iter()
        .zip(want)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs())
        .fold(0.0, |worst, e| if e <= worst { worst } else { e });
    if error == 0.0 { 0.0 } else { error / scale }
}

/// Checks a result against the golden one.
///
/// # Panics
/// If the relative error is above `tolerance` or not a number.
pub fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f64) {
    let error = relative_error(got, want);
    assert!(error <= tolerance, "{what}: relative error {error:.2e}, at most {tolerance:.0e}");
}

/// Says that a test could not test anything. Past the test harness, which shows what a
/// test prints only where it fails.
pub fn skipped(why: &str) {
    // Who closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}
