//! Integration tests of the engine.

mod golden_rng;
mod layers;
mod twins;
