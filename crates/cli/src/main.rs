//! The `vico` binary.
fn main() {}
