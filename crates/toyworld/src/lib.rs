//! A small world of pictures with captions: toys in painted places.
//!
//! The embedded little diffusion model is trained and judged on this world. It has the shape of
//! the real task, small enough to learn in hours: an object (of 152, each with a name) stands in a
//! scene (of 20, each with a phrase of the papers' prompts), and a caption says so. 48 objects are
//! never trained on: they are the "specific things" that a personalisation learns from photos.
//!
//! ```no_run
//! # use std::path::Path;
//! use toyworld::{Scene, World};
//!
//! let world = World::open(Path::new("package/assets"))?;
//! let picture = world.sample(7, 64); // 64 x 64 pixels, all of it from the seed 7
//! println!("{}", picture.caption); // such as "a photo of an owl in the snow"
//!
//! let unseen = world.held_out().next().unwrap();
//! let photo = world.plain(unseen, Scene::Beach, 1, 128);
//! # Ok::<(), toyworld::Error>(())
//! ```
//!
//! The way through: a `Scene` paints a `canvas` from `noise`; `compose` poses the `sprite` of an
//! object on it with its shadow; `caption` says what was done; [`World`] draws all of it from one
//! seed. The same seed gives the same bytes on every platform: random numbers are own code, and
//! only operations with one right result (or those of `libm`) are used.
//!
//! Objects are Microsoft's Fluent Emoji (MIT), read from a folder; see the README.

mod accessory;
mod canvas;
mod caption;
mod catalogue;
mod colour;
mod compose;
mod error;
mod noise;
mod plan;
mod random;
mod scene;
mod sewn;
mod sprite;
mod tint;
mod world;

pub use accessory::Accessory;
pub use caption::words;
pub use catalogue::{Entry, ObjectKind, catalogue};
pub use error::{Error, Result};
pub use scene::Scene;
pub use tint::Tint;
pub use world::{Kind, Object, Rendering, World};
