//! Encoders against transformers, and the way from pictures to a report.

mod encoders;
mod full_size;
mod reporting;
mod scoring;
