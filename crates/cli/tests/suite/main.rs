//! The program as its users run it, on the small golden model.

mod drawing;
mod mistakes;
mod training;
mod vico;
