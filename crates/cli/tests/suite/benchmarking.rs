//! `vico benchmark`, with the small golden model and little random encoders.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use images::{Picture, read_photo, write_png};
use serde_json::Value;

use super::{
    evaluating::{encoder, report},
    vico::{NO_TEXT, Place, Run, base, photo},
};

/// Two concepts, three methods, two prompts, two samples.
fn plan() -> String {
    format!(
        r#"base = "{}"
seed = 3
prompts = ["a {{}} in the snow", "a red {{}}"]
[training]
steps = 2
batch = 1
[drawing]
samples = 2
steps = 2
[judging]
clip = "{}"
dino = "{}"
[[methods]]
name = "base"
method = "base"
[[methods]]
name = "Textual Inversion"
method = "textual-inversion"
[[methods]]
name = "ViCo, no mask"
method = "vico"
vico.mask = false
[[concepts]]
name = "disc"
photos = "photos"
word = "toy"
[[concepts]]
name = "cat"
word = "cat"
kind = "live"
"#,
        base(),
        encoder("clip"),
        encoder("dino"),
    )
}

/// A folder with the plan, its photos and a data set of one concept.
fn place() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.path("set/cat")).unwrap();
    for i in 0..2 {
        write_png(place.path(&format!("set/cat/{i}.png")), &photo(i + 3), NO_TEXT).unwrap();
    }
    fs::write(place.path("plan.toml"), plan()).unwrap();
    place
}

fn benchmark(place: &Place, more: &[&str]) -> Run {
    let start = ["benchmark", "plan.toml", "--dataset", "set"];
    place.run(&[&start[..], more].concat())
}

/// Puts something else in place of a part of the plan.
fn change(place: &Place, from: &str, to: &str) {
    assert!(plan().contains(from), "{from}");
    fs::write(place.path("plan.toml"), plan().replace(from, to)).unwrap();
}

/// All pictures that were drawn, by their paths.
fn pictures(place: &Place) -> Vec<(String, Picture)> {
    let mut all = Vec::new();
    let mut folders = vec![place.path("plan-benchmark/cells")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() {
                folders.push(path);
            } else if name.starts_with("picture-") && name.ends_with(".png") {
                let name = path.strip_prefix(place.path("plan-benchmark")).unwrap();
                all.push((name.to_string_lossy().into_owned(), read_photo(&path).unwrap()));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn same_pictures(a: &Place, b: &Place) {
    let (a, b) = (pictures(a), pictures(b));
    assert_eq!(a.len(), 2 * 3 * 2 * 2);
    for ((name, a), (other, b)) in a.iter().zip(&b) {
        assert!(name == other && a == b, "{name} and {other}");
    }
    assert_eq!(a.len(), b.len());
}

/// What the methods came to, without the files that it is of.
fn overall(place: &Place) -> Vec<Value> {
    let report = report(place, "plan-benchmark");
    let methods = report["scores"]["methods"].as_array().unwrap().clone();
    methods.iter().map(|method| method["overall"].clone()).collect()
}

#[test]
fn a_plan_becomes_a_report_and_nothing_is_done_twice() {
    let place = place();
    let said = benchmark(&place, &["--dry-run"]).done().said();
    assert!(said.contains("6 of 6 cells to do: 4 to train, 24 pictures to draw; about"), "{said}");
    assert!(said.contains("cat by ViCo, no mask: 2 steps to train, 4 pictures to draw"), "{said}");
    assert!(said.contains("cat by base: 4 pictures to draw"), "{said}");
    assert!(!place.path("plan-benchmark").exists(), "a dry run writes nothing");

    let said = benchmark(&place, &[]).done().said();
    assert!(said.contains("cell 6 of 6: cat by ViCo, no mask"), "{said}");
    assert!(said.contains("T_CLIP") && said.contains("Textual Inversion"), "{said}");
    let first = report(&place, "plan-benchmark");
    let runs = first["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 6);
    assert!(runs[0]["training_seconds"].is_null(), "the base learns nothing");
    assert!(runs[5]["training_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(runs[5]["curves"]["loss"].as_array().unwrap().len(), 2);
    let page = fs::read_to_string(place.path("plan-benchmark/report.html")).unwrap();
    for part in ["<polyline", "What was taken for the object", "mask = false"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "the page is whole");
    let cell = "plan-benchmark/cells/cat/vico-no-mask";
    assert!(!place.path(&format!("{cell}/run/state.safetensors")).exists());
    assert!(place.path(&format!("{cell}/run/metrics.jsonl")).exists());

    let drawn = pictures(&place);
    let adapter = place.path(&format!("{cell}/adapter.safetensors"));
    let when = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let trained = when(&adapter);
    let said = benchmark(&place, &[]).done().said();
    assert!(said.contains("all cells are done, of 6"), "{said}");
    assert_eq!(report(&place, "plan-benchmark")["scores"], first["scores"]);

    // One picture is lost: it is drawn again, to the same pixels.
    fs::remove_file(place.path(&format!("plan-benchmark/{}", drawn[7].0))).unwrap();
    let said = benchmark(&place, &["--dry-run"]).done().said();
    assert!(said.contains("1 of 6 cells to do: 0 to train, 1 pictures to draw"), "{said}");
    benchmark(&place, &[]).done();
    assert!(pictures(&place) == drawn, "the same pictures");

    // Another encoder looks at what is there.
    let judged = benchmark(&place, &["--report", "--dino", &encoder("dinov2")]).done().said();
    assert!(judged.contains("I_DINO") && !judged.contains("cell "), "{judged}");
    assert_ne!(report(&place, "plan-benchmark")["scores"], first["scores"]);
    assert_eq!(when(&adapter), trained);
}

#[test]
fn a_plan_may_grow_but_not_change() {
    let place = place();
    let second = "[[methods]]\nname = \"Textual Inversion\"";
    let [start, end] = [second, "[[concepts]]"].map(|part| plan().find(part).unwrap());
    change(&place, &plan()[start..end], "");
    benchmark(&place, &[]).done();
    fs::write(place.path("plan.toml"), plan()).unwrap();
    let said = benchmark(&place, &["--dry-run"]).done().said();
    assert!(said.contains("disc by base: done"), "{said}");
    assert!(said.contains("4 of 6 cells to do: 4 to train, 16 pictures"), "{said}");
    for (from, to, what) in [
        ("seed = 3", "seed = 4", "seed was \"3\" and is \"4\""),
        ("samples = 2\nsteps = 2", "samples = 2\nsteps = 3", "drawing.steps"),
        ("samples = 2\n", "samples = 2\nreference_guidance = 2\n", "drawing.reference_guidance"),
        ("a red {}", "a blue {}", "concepts.cat.prompts"),
        ("word = \"cat\"", "word = \"dog\"", "concepts.cat.word"),
    ] {
        change(&place, from, to);
        benchmark(&place, &[]).failed(2, &[what, "--output"]);
    }
    assert_eq!(place.list("plan-benchmark/cells/disc"), ["base"], "nothing was begun");
}

#[test]
fn parts_and_stopped_runs_make_the_same_whole() {
    let parts = place();
    let said = benchmark(&parts, &["--shard", "1/2", "--no-report"]).done().said();
    assert!(said.contains("3 of 6 cells to do in part 1/2"), "{said}");
    assert!(!parts.path("plan-benchmark/report.html").exists());
    let said = benchmark(&parts, &["--report"]).done().said();
    assert!(said.contains("the report is of the 3 cells of 6 that are done"), "{said}");
    let said = benchmark(&parts, &["--shard", "2/2", "--dry-run"]).done().said();
    assert!(said.contains("of another part") && said.contains("2 steps to train"), "{said}");
    benchmark(&parts, &["--shard", "2/2"]).done();

    // Stopped by Ctrl-C in its second cell, killed in a later one, then finished.
    let stopped = place();
    for (signal, cell) in [("-INT", "disc/textual-inversion"), ("-KILL", "cat/base")] {
        let started = ["benchmark", "plan.toml", "--dataset", "set"];
        let mut child = stopped.command(&started).spawn().unwrap();
        let begun = stopped.path(&format!("plan-benchmark/cells/{cell}"));
        while !begun.exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before {cell}");
            thread::sleep(Duration::from_millis(10));
        }
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), (signal == "-INT").then_some(130));
    }
    let said = benchmark(&stopped, &["--dry-run"]).done().said();
    assert!(said.contains("disc by base: done"), "{said}");
    benchmark(&stopped, &[]).done();
    same_pictures(&parts, &stopped);
    assert_eq!(overall(&parts), overall(&stopped));
}

#[test]
fn mistakes_are_told_before_anything_is_done() {
    let place = place();
    for (from, to, code, what) in [
        ("seed = 3", "sed = 3", 1, "unknown key sed; the nearest is seed"),
        ("vico.mask", "vico.maks", 1, "the nearest is methods.vico.mask"),
        ("\"vico\"", "\"vicco\"", 2, "vicco"),
        ("samples = 2", "guidance = -1", 1, "drawing.guidance is -1"),
        ("kind = \"live\"", "photos = \"none\"", 1, "none"),
        ("\"a red {}\"", "\"a red thing\"", 2, "{}"),
        ("\"base\"\nmethod", "\"vico no mask\"\nmethod", 2, "too much alike"),
        ("word = \"cat\"", "word = \"cat cat\"", 2, "cat by"),
        ("vico.mask = false", "lora_rank = 4", 2, "disc by ViCo, no mask: --lora-rank"),
        ("vico.mask = false", "lr_weights = 1e-3", 2, "ViCo, no mask"),
    ] {
        change(&place, from, to);
        let run = benchmark(&place, &[]);
        run.failed(code, &[what]);
    }
    fs::write(place.path("plan.toml"), plan()).unwrap();
    place.run(&["benchmark", "plan.toml"]).failed(2, &["--dataset"]);
    benchmark(&place, &["--shard", "3/2"]).failed(2, &["such as 2/4"]);
    benchmark(&place, &["--dino", &encoder("clip")]).failed(2, &["--clip"]);
    benchmark(&place, &["--report"]).failed(1, &["no cell is done"]);
    assert!(!place.path("plan-benchmark/cells").exists(), "nothing was begun");
}

#[test]
fn without_an_encoder_pictures_are_drawn_and_not_judged() {
    let place = place();
    let [start, end] = ["[judging]", "[[concepts]]"].map(|part| plan().find(part).unwrap());
    let only = "[[methods]]\nname = \"base\"\nmethod = \"base\"\n";
    change(&place, &plan()[start..end], only);
    let said = benchmark(&place, &[]).done().said();
    assert!(said.contains("no encoder is named"), "{said}");
    assert!(place.path("plan-benchmark/cells/cat/base/adapter.safetensors").exists());
    assert!(!place.path("plan-benchmark/report.html").exists());
    let (clip, dino) = (encoder("clip"), encoder("dino"));
    let said = benchmark(&place, &["--clip", &clip, "--dino", &dino]).done().said();
    assert!(said.contains("all cells are done") && said.contains("T_CLIP"), "{said}");
}

#[test]
fn trainings_are_scored_on_the_way_by_the_plans_encoders() {
    let place = place();
    let start = plan().find("[[methods]]").unwrap();
    let end = plan().find("[[methods]]\nname = \"ViCo").unwrap();
    // Two steps are too few to end early: both concepts have all evaluations.
    let every = "evaluate_every = 1\nstop_when_no_better = 2\nsampling_steps = 2\n";
    let only = plan()
        .replace(&plan()[start..end], "")
        .replace("vico.mask", &format!("{every}vico.mask"))
        .replace("samples = 2\n", "samples = 2\nreference_guidance = 2\n");
    fs::write(place.path("plan.toml"), &only).unwrap();
    let said = benchmark(&place, &[]).done().said();
    assert!(!said.contains("the best so far"), "a benchmark tells of its cells: {said}");
    let first = report(&place, "plan-benchmark");
    let curves = |run: usize| first["runs"][run]["curves"].clone();
    for name in ["I_CLIP", "I_DINO", "T_CLIP", "score"] {
        let steps: Vec<_> =
            curves(1)[name].as_array().unwrap().iter().map(|p| p[0].clone()).collect();
        assert_eq!(steps, [1.0, 2.0], "{name}");
    }
    let table = fs::read_to_string(place.path("plan-benchmark/scores.csv")).unwrap();
    let mean = (0..2).map(|run| curves(run)["T_CLIP"][1][1].as_f64().unwrap()).sum::<f64>() / 2.0;
    let line = format!("curve,\"ViCo, no mask\",,,,T_CLIP,{mean},,,,2,,2");
    assert!(table.lines().any(|found| found == line), "{line} in {table}");
    let page = fs::read_to_string(place.path("plan-benchmark/report.html")).unwrap();
    for part in
        ["Scores on the way", "<figcaption>T_CLIP", "<figcaption>score", "evaluate_every = 1"]
    {
        assert!(page.contains(part), "{part}");
    }
    let run = "plan-benchmark/cells/cat/vico-no-mask/run";
    assert!(place.path(&format!("{run}/evaluations/step-000002.png")).exists());
    assert!(!place.path(&format!("{run}/best.safetensors")).exists(), "not kept, as checkpoints");
    let recipe = fs::read_to_string(place.path(&format!("{run}/recipe.toml"))).unwrap();
    for part in [&encoder("dino"), "\nguidance = 7.5", "\nreference_guidance = 2.0"] {
        assert!(recipe.contains(part), "{part} in {recipe}");
    }
    assert!(first["recipe"].to_string().contains("guidance 7.5, 2 of references"));

    // Encoders decide when such a training ends, so they stay.
    benchmark(&place, &["--dino", &encoder("dinov2")]).failed(2, &["stopped_by.dino", "--output"]);
    let other = only.replace("stop_when_no_better = 2\n", "");
    let none =
        only.replace(&only[only.find("[judging]").unwrap()..only.find("[[methods]]").unwrap()], "");
    for (plan, output, words) in [
        (other, "plan-benchmark", "stop_when_no_better is gone"),
        (
            only.replace("evaluate_every = 1\n", ""),
            "new",
            "disc by ViCo, no mask: --stop-when-no-better",
        ),
        (none, "new", "disc by ViCo, no mask: --evaluate-every has no encoder"),
    ] {
        fs::write(place.path("plan.toml"), plan).unwrap();
        benchmark(&place, &["--output", output]).failed(2, &[words]);
    }
    assert!(!place.path("new").exists());
}
