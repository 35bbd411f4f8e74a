//! Integration tests of the engine.

mod attention;
mod golden_rng;
mod layers;
mod twins;
