//! AUTOMATIC1111's text; what is read is written, and read the same.

#![no_main]

use app::infotext::Infotext;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let read = Infotext::parse(text);
    let again = Infotext::parse(&read.to_string());
    // A prompt may end like a list of parameters; then there is none to compare.
    if read.entries.len() >= 3 {
        assert_eq!(again.entries, read.entries);
    }
});
