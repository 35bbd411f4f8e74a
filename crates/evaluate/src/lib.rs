//! How good drawn pictures are: the scores of personalised text-to-image, and a report.
//!
//! - [`encoder`]: CLIP, DINO and DINOv2, which turn pictures and texts into features;
//! - [`study`]: what is judged: concepts, methods, prompts and samples;
//! - [`prompts`]: sets of prompts, and what of a prompt a picture is compared with;
//! - [`features`]: all of it as an encoder sees it;
//! - [`scores`]: similarities, with [`statistics`] of how far they can be trusted;
//! - [`report`]: all of it as a table, JSON, CSV and one HTML page.
//!
//! Nothing here knows how the pictures were drawn.

pub mod encoder;
mod error;
pub mod features;
pub mod prompts;
pub mod report;
pub mod scores;
pub mod statistics;
pub mod study;

pub use encoder::Encoder;
pub use error::{Error, Result};
pub use features::Features;
pub use study::Study;
