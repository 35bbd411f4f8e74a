//! Integration tests of the engine.

mod attention;
#[cfg(feature = "vulkan")]
mod devices;
mod golden_rng;
mod layers;
mod twins;
