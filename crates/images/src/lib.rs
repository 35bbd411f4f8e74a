//! Photos in, pictures out.
//!
//! Reads what cameras, phones and the web produce into one simple form, an upright 8-bit RGB
//! [`Picture`], and writes pictures as PNG files. It knows nothing of what the photos are for.

mod error;
mod file;
mod folder;
mod jpeg_file;
mod label;
pub mod limits;
mod map;
mod mask;
mod overlay;
mod photo;
mod picture;
mod png_file;
mod resize;
mod sheet;

pub use error::{Error, Result};
pub use folder::{Folder, list_photos, read_folder};
pub use jpeg_file::jpeg;
pub use map::{heatmap, mask_picture};
pub use mask::{mask_path, read_mask};
pub use overlay::overlay;
pub use photo::read_photo;
pub use picture::Picture;
pub use png_file::{read_png_text, write_png};
pub use resize::{Filter, cover, crop, resize};
pub use sheet::{contact_sheet, labelled_sheet};
