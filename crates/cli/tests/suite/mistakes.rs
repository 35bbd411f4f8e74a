//! What people get wrong, and what they are told.

use std::fs;

use formats::{Array, TensorFile, write_safetensors};

use super::vico::{Place, base};

/// Trains with one argument changed.
fn train_on(place: &Place, photos: &str, base: &str, more: &[&str]) -> super::vico::Run {
    let mut arguments = vec!["train", photos, "--base", base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--steps", "2"]);
    arguments.extend(more);
    place.run(&arguments)
}

#[test]
fn numbers_that_make_no_sense() {
    let place = Place::new();
    for (option, value, word) in [
        ("--steps", "0", "--steps is 0"),
        ("--batch", "0", "--batch is 0"),
        ("--accumulate", "0", "--accumulate is 0"),
        ("--size", "100", "multiples of 8"),
        ("--lr-token", "7", "--lr-token is 7"),
        ("--lr-attention", "NaN", "--lr-attention is NaN"),
        ("--placeholder", "two words", "--placeholder"),
        ("--init-word", "backpackdogtoy", "tokens"),
    ] {
        let base = base();
        let mut arguments = vec!["train", "photos", "--base", &base, "--output", "a.safetensors"];
        if option != "--init-word" {
            arguments.extend(["--init-word", "toy"]);
        }
        arguments.extend([option, value]);
        place.run(&arguments).failed(2, &[word]);
    }
    assert_eq!(place.list("."), ["photos"], "nothing was written");
    place.train(&[]).done();
    for (option, value, word) in [
        ("--guidance", "-1", "--guidance is -1"),
        ("--eta", "2", "eta is 2"),
        ("--steps", "0", "steps is 0"),
        ("--steps", "1001", "steps is 1001"),
        ("--count", "0", "--count is 0"),
        ("--batch", "0", "--batch is 0"),
        ("--width", "100", "multiples of 8"),
        ("--sampler", "magic", "unknown sampler"),
    ] {
        let base = base();
        let mut arguments = vec!["generate", "a *", "--base", &base, "--output", "x.png"];
        arguments.extend(["--adapter", "adapter.safetensors", option, value]);
        place.run(&arguments).failed(2, &[word]);
    }
}

#[test]
fn things_that_are_missing() {
    let place = Place::new();
    let base = base();
    place.run(&["train", "photos", "--init-word", "toy"]).failed(2, &["--output"]);
    let arguments = ["train", "photos", "--output", "a.safetensors"];
    place.run(&arguments).failed(2, &["--init-word"]);
    let arguments = ["train", "photos", "--output", "a.safetensors", "--base", &base];
    place.run(&arguments).failed(2, &["--init-word"]);
    train_on(&place, "nowhere", &base, &[]).failed(1, &["nowhere"]);
    train_on(&place, "photos", "nowhere", &[]).failed(1, &["nowhere"]);
    place.generate("a *", "x.png", &[]).failed(1, &["adapter.safetensors"]);
}

#[test]
fn photos_that_cannot_be_read() {
    let place = Place::new();
    let base = base();
    fs::create_dir(place.path("empty")).unwrap();
    train_on(&place, "empty", &base, &[]).failed(1, &["empty", "JPEG, PNG or WebP"]);
    fs::write(place.path("photos/z.jpg"), "").unwrap();
    train_on(&place, "photos", &base, &[]).failed(1, &["z.jpg", "0 bytes"]);
    let heic = [&[0, 0, 0, 24][..], b"ftypheic\0\0\0\0mif1heic", &[0; 64]].concat();
    fs::write(place.path("photos/z.jpg"), heic).unwrap();
    train_on(&place, "photos", &base, &[]).failed(1, &["z.jpg", "HEIC"]);
    assert!(!place.path("adapter.safetensors").exists());
}

/// Rights do not stop the superuser, whom many test machines run as.
#[cfg(unix)]
#[test]
fn places_without_rights() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let base = base();
    let closed = place.path("photos");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&closed).is_err() {
        train_on(&place, "photos", &base, &[]).failed(1, &["photos"]);
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    place.train(&[]).done();
    // A folder that nobody can make files in.
    place.generate("a *", "/proc/vico/x.png", &[]).failed(1, &["/proc/vico", "cannot be written"]);
}

#[test]
fn an_output_that_cannot_be_made_loses_nothing() {
    let place = Place::new();
    place.train(&[]).done();
    let before = super::vico::bytes(place.path("adapter.safetensors"));
    // The adapter's place is a file, not a folder.
    let more = ["--output", "adapter.safetensors/x.safetensors", "--run-dir", "other"];
    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--steps", "2"]);
    arguments.extend(more);
    place.run(&arguments).failed(1, &["adapter.safetensors"]);
    assert_eq!(super::vico::bytes(place.path("adapter.safetensors")), before);
}

#[test]
fn adapters_that_do_not_fit() {
    let place = Place::new();
    place.train(&[]).done();
    let path = place.path("adapter.safetensors");
    // Another shape, as from another base model.
    rewrite(&path, &place.path("bad.safetensors"), |name, shape, values| {
        if name.ends_with("norm1.weight") {
            shape[0] -= 1;
            values.pop();
        }
    });
    let base = base();
    let draw = |adapter: &str| {
        place.run(&["generate", "a *", "--base", &base, "--adapter", adapter, "--output", "x.png"])
    };
    draw("bad.safetensors").failed(1, &["norm1.weight", "another architecture"]);
    rewrite(&path, &place.path("nan.safetensors"), |name, _, values| {
        if name == "placeholder_embedding" {
            values[0] = f32::NAN;
        }
    });
    draw("nan.safetensors").failed(1, &["placeholder_embedding", "not finite"]);
    let embedding = golden::path("vico/checkpoints/embeddings_gs-399.pt").canonicalize().unwrap();
    draw(embedding.to_str().unwrap()).failed(1, &["not a vico adapter"]);
    fs::write(place.path("short.safetensors"), &super::vico::bytes(&path)[..1000]).unwrap();
    draw("short.safetensors").failed(1, &["short.safetensors"]);
    assert!(!place.path("x.png").exists());
}

/// Copies an adapter, changed.
fn rewrite(
    from: &std::path::Path,
    to: &std::path::Path,
    change: impl Fn(&str, &mut Vec<usize>, &mut Vec<f32>),
) {
    let file = TensorFile::open(from).unwrap();
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = file
        .names()
        .map(|name| {
            let mut shape = file.get(name).unwrap().shape.clone();
            let mut values = file.f32(name).unwrap();
            change(name, &mut shape, &mut values);
            (name.to_owned(), shape, values)
        })
        .collect();
    let arrays = tensors
        .iter()
        .map(|(name, shape, values)| (name.clone(), Array::f32(shape, values)))
        .collect();
    write_safetensors(to, &arrays, file.metadata()).unwrap();
}

#[test]
fn another_base_is_noticed() {
    let place = Place::new();
    place.train(&[]).done();
    let path = place.path("adapter.safetensors");
    let file = TensorFile::open(&path).unwrap();
    let mut metadata = file.metadata().clone();
    metadata.insert("vico.base.fingerprint".into(), "0123456789ab".into());
    let tensors: Vec<_> = file
        .names()
        .map(|n| (n.to_owned(), file.get(n).unwrap().shape.clone(), file.f32(n).unwrap()))
        .collect();
    let arrays = tensors.iter().map(|(n, s, v)| (n.clone(), Array::f32(s, v))).collect();
    drop(file);
    write_safetensors(&path, &arrays, &metadata).unwrap();
    let said = place.generate("a *", "x.png", &[]).done().said();
    assert!(said.contains("warning") && said.contains("0123456789ab"), "{said}");
}

/// A pickle that would make a file if it were run.
#[test]
fn a_pickle_that_calls_out_is_refused() {
    let place = Place::new();
    let marker = place.path("marker");
    let call = format!("cposix\nsystem\n(S'touch {}'\ntR.", marker.display());
    fs::write(place.path("evil.ckpt"), call).unwrap();
    train_on(&place, "photos", "evil.ckpt", &[]).failed(1, &["evil.ckpt"]);
    place.run(&["inspect", "evil.ckpt"]).failed(1, &["evil.ckpt"]);
    assert!(!marker.exists());
}

/// The U-Net's last convolution in single files.
const LAST: &str = "model.diffusion_model.out.2.weight";

/// Finite weights whose products are not: the first step finds out.
#[test]
fn a_training_that_diverges_stops() {
    let place = Place::new();
    rewrite(&golden::path("tiny-sd.ckpt"), &place.path("huge.safetensors"), |name, _, values| {
        if name.ends_with(LAST) {
            values.fill(f32::MAX);
        }
    });
    let advice = ["the loss is not finite at step 1", "check the base model"];
    train_on(&place, "photos", "huge.safetensors", &["--size", "64"]).failed(1, &advice);
    assert!(!place.path("adapter.safetensors").exists());
    let log = fs::read_to_string(place.path("adapter.run/log.txt")).unwrap();
    assert!(log.contains("ended: the loss is not finite"), "{log}");
}

#[test]
fn a_base_with_weights_that_are_not_finite_is_refused() {
    let place = Place::new();
    rewrite(&golden::path("tiny-sd.ckpt"), &place.path("nan.safetensors"), |name, _, values| {
        if name.ends_with(LAST) {
            values[1] = f32::NAN;
        }
    });
    let words = [LAST, "non-finite", "nan.safetensors"];
    train_on(&place, "photos", "nan.safetensors", &[]).failed(1, &words);
}
