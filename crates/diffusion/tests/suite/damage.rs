//! Files of other programs with bytes changed at random: read or refused, but
//! never a panic.

use std::{fs, path::Path};

use diffusion::{Embedding, Lora};
use tempfile::TempDir;

/// Changed copies of each file.
const COPIES: u32 = 400;

/// Numbers that look random and are always the same (Marsaglia's xorshift).
struct Random(u32);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % limit
    }
}

/// Hands changed copies of the files in a folder of fixtures to a reader, and
/// tells how many it refused.
fn damaged(folder: &str, read: impl Fn(&Path) -> bool) -> u32 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(folder);
    let place = TempDir::new().unwrap();
    let path = place.path().join("changed.safetensors");
    let (mut random, mut refused) = (Random(7), 0);
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let weights = [".safetensors", ".pt", ".bin"].iter().any(|end| name.ends_with(end));
        if !weights || name.starts_with("merged-") {
            continue;
        }
        let whole = fs::read(entry.path()).unwrap();
        for _ in 0..COPIES {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.below(4) {
                // Most of the bytes are values; names and shapes stand first.
                let within = [bytes.len(), bytes.len().min(1500)][random.below(2)];
                let at = random.below(within);
                bytes[at] = [random.below(256) as u8, b'9', b'"', 0xff][random.below(4)];
            }
            fs::write(&path, bytes).unwrap();
            refused += u32::from(!read(&path));
        }
    }
    refused
}

#[test]
fn damaged_embeddings_are_read_or_refused() {
    assert!(damaged("embeddings", |path| Embedding::load(path).is_ok()) > COPIES);
}

#[test]
fn damaged_loras_are_read_or_refused() {
    let base = super::tiny();
    let refused = damaged("loras", |path| {
        let Ok(lora) = Lora::open(path, 1.0) else { return false };
        let Ok(merged) = super::tiny().with_loras(vec![lora]) else { return false };
        merged.bare_fingerprint().unwrap() == base.bare_fingerprint().unwrap()
    });
    assert!(refused > COPIES);
}
