//! Encoders of the published sizes, if `VICO_ENCODERS_DIR` names a folder of them that
//! `fixtures/transformers/full_size.py` made.

use std::{fs, time::Instant};

use evaluate::Encoder;
use formats::TensorFile;
use images::read_photo;

use crate::encoders::{cosine, fixture, unit};

#[test]
#[allow(clippy::print_stderr, reason = "its figures are what it is run for")]
fn published_sizes() {
    let Some(folder) = std::env::var_os("VICO_ENCODERS_DIR") else { return };
    let photos = ["photo.png", "photo.jpg"].map(|name| read_photo(fixture(name)).unwrap());
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let want = TensorFile::open(folder.join("features.safetensors")).unwrap();
        let read = |name: &str| unit(&want.f32(name).unwrap());
        let started = Instant::now();
        let encoder = Encoder::open(&folder, &engine::cpu()).unwrap();
        let opened = started.elapsed().as_secs_f64();
        let name = encoder.description().name.clone();
        let [png, jpeg] = encoder.pictures(&photos).try_into().unwrap();
        let seen = started.elapsed().as_secs_f64() - opened;
        let error = golden::relative_error(&png, &read("image"));
        let likeness = cosine(&jpeg, &read("jpeg"));
        eprintln!("{name}: {error:.1e}, from a JPEG {likeness:.6}; {opened:.1} s + {seen:.1} s");
        assert!(error <= 1e-4 && likeness >= 1.0 - 1e-3, "{name}: {error:e} {likeness}");
        if encoder.knows_texts() {
            let text = want.metadata()["text"].clone();
            let got = encoder.texts(&[text]).unwrap().remove(0);
            golden::assert_close(&name, &got, &read("text"), 1e-4);
        }
    }
}
