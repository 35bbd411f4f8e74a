//! The program as its users run it, on the small golden model.

mod architecture;
mod drawing;
mod full_size;
mod mistakes;
mod training;
mod vico;
mod weights;
