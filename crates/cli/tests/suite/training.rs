use std::fs;

use formats::TensorFile;

use super::vico::{Place, base, bytes};

/// Values of everything that is learned in an adapter.
pub fn learned(path: &std::path::Path) -> Vec<(String, Vec<f32>)> {
    let file = TensorFile::open(path).unwrap();
    file.names().map(|name| (name.to_owned(), file.f32(name).unwrap())).collect()
}

#[test]
fn a_training_leaves_an_adapter_and_a_run_folder() {
    let place = Place::new();
    let more = ["--checkpoint-every", "2", "--preview-every", "4", "--preview-prompt", "a * here"];
    let said = place.train(&more).done().said();
    for word in ["3 photos", "memory", "a step", "are learned"] {
        assert!(said.contains(word), "\"{word}\" in:\n{said}");
    }
    let adapter = TensorFile::open(place.path("adapter.safetensors")).unwrap();
    let metadata = adapter.metadata();
    for (key, value) in [
        ("method", "vico"),
        ("placeholder", "*"),
        ("init_word", "toy"),
        ("seed", "0"),
        ("step", "4"),
    ] {
        assert_eq!(metadata[&format!("vico.{key}")], value, "{key}");
    }
    assert!(metadata["vico.recipe"].contains("lr_attention"));
    assert!(adapter.contains("photos.2.latents"));
    let run = place.list("adapter.run");
    for name in ["recipe.toml", "metrics.jsonl", "log.txt", "state.safetensors"] {
        assert!(run.contains(&name.to_owned()), "{name} in {run:?}");
    }
    assert_eq!(
        place.list("adapter.run/checkpoints"),
        ["step-000002.safetensors", "step-000004.safetensors"]
    );
    assert_eq!(place.list("adapter.run/previews"), ["step-000000.png", "step-000004.png"]);
    assert_eq!(place.list("adapter.run/masks"), ["step-000002.png", "step-000004.png"]);
    let metrics = fs::read_to_string(place.path("adapter.run/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(line["step"], i + 1);
        let part = |name: &str| line[name].as_f64().unwrap();
        let sum = part("denoising") + 5e-4 * part("regulariser");
        assert!((part("loss") - sum).abs() < 1e-6 * sum, "{line}");
    }
}

#[test]
fn previews_do_not_change_the_training() {
    let (with, without) = (Place::new(), Place::new());
    let few = ["--preview-every", "1", "--preview-steps", "3"];
    with.train(&[&few[..], &["--checkpoint-every", "1"]].concat()).done();
    let recipe = fs::read_to_string(with.path("adapter.run/recipe.toml")).unwrap();
    assert!(recipe.contains("preview_steps = 3"), "{recipe}");
    without.train(&["--checkpoint-every", "0"]).done();
    let adapter = "adapter.safetensors";
    assert_eq!(learned(&with.path(adapter)), learned(&without.path(adapter)));
}

#[test]
fn a_resumed_training_ends_at_the_same_bits() {
    let whole = Place::new();
    whole.train(&["--accumulate", "2"]).done();
    let first = Place::new();
    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--batch", "2", "--accumulate", "2"]);
    first.run(&[&arguments[..], &["--steps", "2"]].concat()).done();
    first.run(&["train", "--resume", "adapter.run", "--steps", "4"]).done();
    let (a, b) = (whole.path("adapter.safetensors"), first.path("adapter.safetensors"));
    assert_eq!(learned(&a), learned(&b));
    assert_eq!(bytes(a), bytes(b), "the whole file, metadata included");
    let metrics = |place: &Place| fs::read_to_string(place.path("adapter.run/metrics.jsonl"));
    assert_eq!(metrics(&whole).unwrap(), metrics(&first).unwrap());
}

#[test]
fn a_resumed_training_keeps_its_recipe() {
    let place = Place::new();
    place.train(&[]).done();
    let resume = ["train", "--resume", "adapter.run", "--lr-token", "0.1"];
    place.run(&resume).failed(2, &["keeps its recipe"]);
    place.run(&["train", "--resume", "photos"]).failed(2, &["missing"]);
    let nothing = ["train", "photos", "--resume", "--run-dir", "nothing", "--base", &base()];
    place.run(&nothing).failed(1, &["holds no run"]);
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let place = Place::new();
    place.train(&[]).done();
    place.train(&[]).failed(1, &["holds a run already", "--resume"]);
}

#[test]
fn one_photo_is_its_own_reference() {
    let place = Place::new();
    for i in 1..3 {
        fs::remove_file(place.path(&format!("photos/{i}.png"))).unwrap();
    }
    let said = place.train(&[]).done().said();
    assert!(said.contains("only one photo"), "{said}");
}

#[test]
fn other_files_in_the_folder_are_named() {
    let place = Place::new();
    fs::write(place.path("photos/notes.txt"), "of the teapot").unwrap();
    let said = place.train(&[]).done().said();
    assert!(said.contains("skipped") && said.contains("notes.txt"), "{said}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::new();
    let said = place.train(&["--dry-run"]).done().said();
    assert!(
        said.contains("lr_attention = 0.00001") || said.contains("lr_attention = 1e-5"),
        "{said}"
    );
    assert_eq!(place.list("."), ["photos"]);
}

#[test]
fn a_single_file_base_gives_the_same_adapter() {
    let (folder, single) = (Place::new(), Place::new());
    folder.train(&[]).done();
    let file = golden::path("tiny-sd.ckpt").canonicalize().unwrap();
    let file = file.to_str().unwrap();
    let mut arguments = vec!["train", "photos", "--base", file, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--steps", "4", "--batch", "2"]);
    single.run(&arguments).done();
    let adapter = "adapter.safetensors";
    assert_eq!(learned(&folder.path(adapter)), learned(&single.path(adapter)));
}

/// Ctrl-C in the middle: nothing is lost, and nothing differs in the end.
#[cfg(unix)]
#[test]
fn an_interrupted_training_ends_at_the_same_bits() {
    use std::{process::Command, thread::sleep, time::Duration};

    let place = Place::new();
    let base = base();
    let begin = |steps: &str| {
        let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
        arguments.extend(["--output", "adapter.safetensors", "--batch", "1", "--steps", steps]);
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut child = place.command(&begin("100000")).spawn().unwrap();
    let metrics = place.path("adapter.run/metrics.jsonl");
    let lines = || fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    while lines() < 2 {
        assert_eq!(child.try_wait().unwrap(), None, "still training");
        sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!place.path("adapter.safetensors").exists(), "the training did not end");

    let steps = (lines() + 2).to_string();
    place.run(&["train", "--resume", "adapter.run", "--steps", &steps]).done();
    let whole = Place::new();
    let arguments = begin(&steps);
    whole.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).done();
    let adapter = "adapter.safetensors";
    assert_eq!(bytes(place.path(adapter)), bytes(whole.path(adapter)));
}

#[test]
fn textual_inversion_learns_the_token_alone() {
    let place = Place::new();
    place.train(&["--method", "textual-inversion"]).done();
    let learned = learned(&place.path("adapter.safetensors"));
    let learned: Vec<&str> = learned
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|n| !n.starts_with("photos"))
        .collect();
    assert_eq!(learned, ["placeholder_embedding"]);
    place.generate("a photo of * on the beach", "out.png", &[]).done();
    assert!(place.path("out.png").is_file());
    let again = Place::new();
    again
        .train(&["--method", "textual-inversion", "--lr-attention", "1e-4"])
        .failed(2, &["--lr-attention"]);
    again.train(&["--method", "dreambath"]).failed(2, &["textual-inversion"]);
}
