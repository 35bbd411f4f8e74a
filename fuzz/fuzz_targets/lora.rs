//! LoRAs of other programs.

#![no_main]

mod common;

use diffusion::Lora;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Lora::open(&common::file(bytes, ".safetensors"), 1.0);
});
