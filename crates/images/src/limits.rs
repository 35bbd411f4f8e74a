//! How large a photo, and a folder of photos, may be.
//!
//! A file can claim any size in a few bytes, so the claim is checked before anything is allocated
//! for it.

/// The most pixels of a photo: 64 megapixels. Decoding one takes up to 0.4 GB as a JPEG and 0.7 GB as
/// a 16-bit PNG with transparency.
pub const MAX_PIXELS: u64 = 64_000_000;

/// The least width and height of a photo.
pub const MIN_SIDE: u32 = 16;

/// The most bytes of a photo's file: 256 MiB.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// The most bytes that a decoder may allocate for one photo, as far as it keeps count: 1 GiB.
pub(crate) const MAX_DECODER_BYTES: u64 = 1 << 30;

/// The most photos of a folder.
pub const MAX_FOLDER_PHOTOS: usize = 1000;

/// The most pixels of all photos of a folder together: 1000 megapixels, 3 GB of memory.
pub const MAX_FOLDER_PIXELS: u64 = 1_000_000_000;
