//! The training program on a model that is small enough for a test.

mod encoders;
mod exporting;
mod learning;
mod small;
