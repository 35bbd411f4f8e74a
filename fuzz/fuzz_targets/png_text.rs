//! Texts in pictures.

#![no_main]

mod common;

use images::read_png_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_png_text(common::file(bytes, ".png"));
});
