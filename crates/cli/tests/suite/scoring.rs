//! Scores on the way of a training, with little random encoders.

use std::{fs, process::Command, thread, time::Duration};

use serde_json::Value;

use super::{
    evaluating::{encoder, report},
    recipes::events,
    training::learned,
    vico::{Place, Run, base, bytes},
};

const ADAPTER: &str = "adapter.safetensors";
const METRICS: &str = "adapter.run/metrics.jsonl";
const BEST: &str = "adapter.run/best.safetensors";

/// Little pictures, few and fast, scored by little encoders.
fn scored(more: &[&str]) -> Vec<String> {
    let (clip, dino) = (encoder("clip"), encoder("dino"));
    let start = ["--clip", &clip, "--dino", &dino, "--samples", "1", "--sampling-steps", "2"];
    start.iter().chain(more).map(|text| (*text).to_owned()).collect()
}

fn train(place: &Place, more: &[&str]) -> Run {
    let all = scored(more);
    place.train(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The lines of evaluations, and those of steps.
fn lines(place: &Place) -> (Vec<Value>, Vec<Value>) {
    let text = fs::read_to_string(place.path(METRICS)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.partition(|line| line["score"].is_number())
}

/// The step of an adapter.
fn step(place: &Place, path: &str) -> u64 {
    let file = formats::TensorFile::open(place.path(path)).unwrap();
    file.metadata()["vico.step"].parse().unwrap()
}

#[test]
fn evaluations_change_no_bit_and_mark_the_best() {
    let (with, without) = (Place::new(), Place::new());
    let said = train(&with, &["--evaluate-every", "3"]).done().said();
    without.train(&[]).done();
    assert_eq!(bytes(with.path(ADAPTER)), bytes(without.path(ADAPTER)), "the whole file");
    let (scores, steps) = lines(&with);
    assert_eq!(steps, lines(&without).1);
    let at: Vec<&Value> = scores.iter().map(|line| &line["step"]).collect();
    assert_eq!(at, [3, 4], "and after the last step");
    for line in &scores {
        let value = |name: &str| line[name].as_f64().unwrap();
        for name in ["I_CLIP", "I_DINO", "T_CLIP"] {
            assert!((-1.0..=1.0).contains(&value(name)), "{line}");
        }
        let (photos, prompts) = (value("I_DINO"), value("T_CLIP"));
        let lower = photos.min(prompts);
        let score = if lower > 0.0 { (photos * prompts).sqrt() } else { lower };
        assert!((value("score") - score).abs() < 1e-6, "{line}");
    }
    let best = if scores[1]["score"].as_f64() > scores[0]["score"].as_f64() { 1 } else { 0 };
    assert_eq!((&scores[0]["best"], &scores[1]["best"]), (&true.into(), &(best == 1).into()));
    let best = scores[best]["step"].as_u64().unwrap();
    assert_eq!((step(&with, BEST), step(&with, ADAPTER)), (best, 4));
    let final_words = format!("best of 2 evaluations: step {best}");
    for words in [
        "every 3 steps and at the end 4 pictures of 4 prompts are scored by CLIP ViT",
        "for 2 evaluations",
        "step 3: I_DINO ",
        "the best so far",
        &final_words,
        "best.safetensors",
    ] {
        assert!(said.contains(words), "\"{words}\" in:\n{said}");
    }
    let log = fs::read_to_string(with.path("adapter.run/log.txt")).unwrap();
    assert!(log.contains("step 4: I_DINO ") && log.contains(&final_words), "{log}");
    let sheets = ["step-000003.png", "step-000004.png"];
    assert_eq!(with.list("adapter.run/evaluations"), sheets);
    assert_eq!(events(&with).matches("I_DINO").count(), 2);

    // The best is an adapter as any other.
    let base = base();
    let said = with.run(&["inspect", BEST]).done().said();
    assert!(said.contains(&format!("steps        {best} of 4")), "{said}");
    let draw = ["generate", "a *", "--base", &base, "--adapter", BEST, "--steps", "2"];
    with.run(&[&draw[..], &["--output", "best.png"]].concat()).done();
}

#[test]
fn scores_are_those_of_vico_evaluate() {
    let place = Place::new();
    fs::write(place.path("prompts.txt"), "a {} in the snow\na red {}\n").unwrap();
    let own = ["--prompts", "prompts.txt", "--samples", "2", "--sampling-steps", "3"];
    let (clip, dino, base) = (encoder("clip"), encoder("dino"), base());
    let encoders = ["--clip", &clip, "--dino", &dino, "--convention", "class"];
    let drawing = ["--guidance", "3", "--reference-guidance", "2", "--sampler", "euler"];
    let every = ["--evaluate-every", "2", "--checkpoint-every", "2"];
    place.train(&[&own[..], &encoders, &drawing, &every].concat()).done();
    let checkpoint = "adapter.run/checkpoints/step-000002.safetensors";
    let again = ["evaluate", "--adapter", checkpoint, "--base", &base, "--photos", "photos"];
    let settings = ["--prompts", "prompts.txt", "--samples", "2", "--steps", "3"];
    place.run(&[&again[..], &settings, &encoders, &drawing].concat()).done();
    let report = report(&place, "evaluation");
    let overall = report["scores"]["methods"][0]["overall"].as_object().unwrap();
    assert_eq!(overall.len(), 5);
    let first = &lines(&place).0[0];
    for (metric, estimate) in overall {
        assert_eq!(first[metric], estimate["mean"], "{metric} to the last bit");
    }
}

/// With learning rates of nothing, no evaluation is better than the first.
#[test]
fn a_training_that_no_longer_gets_better_ends() {
    let place = Place::new();
    let still = ["--lr-token", "0", "--lr-attention", "0", "--evaluate-every", "1"];
    let said = train(&place, &[&still[..], &["--stop-when-no-better", "2"]].concat()).done().said();
    for words in [
        "2 in a row without a better one end the training",
        "for 4 evaluations at most",
        "no better than that of step 1 (2 in a row)",
        "ended after step 3: 2 evaluations in a row were no better than that of step 1",
        "best of 3 evaluations: step 1",
        "is that of the last step, 3",
    ] {
        assert!(said.contains(words), "\"{words}\" in:\n{said}");
    }
    assert_eq!((step(&place, ADAPTER), step(&place, BEST)), (3, 1));
    let adapter = bytes(place.path(ADAPTER));

    // It has ended, unless it is told to go on; scores stay comparable.
    let resume = ["train", "--resume", "adapter.run"];
    let said = place.run(&resume).done().said();
    assert!(said.contains("ended after step 3"), "{said}");
    assert_eq!(bytes(place.path(ADAPTER)), adapter);
    let other = [&resume[..], &["--samples", "2"]].concat();
    place.run(&other).failed(2, &["[evaluation]", "only --evaluate-every"]);
    let on = [&resume[..], &["--stop-when-no-better", "0"]].concat();
    place.run(&on).done();
    assert_eq!((step(&place, ADAPTER), step(&place, BEST)), (4, 1));
    assert_eq!(lines(&place).0.len(), 4);
}

/// Killed and interrupted at any point, it comes to the same files.
#[cfg(unix)]
#[test]
fn an_interrupted_training_has_the_same_scores_and_the_same_best() {
    let begin = |steps: &str| {
        let own = ["--evaluate-every", "2", "--checkpoint-every", "3", "--lr-token", "0.05"];
        let base = base();
        let start = ["train", "photos", "--base", &base, "--init-word", "toy", "--batch", "1"];
        let more = ["--output", ADAPTER, "--steps", steps];
        let start = start.iter().chain(&more).map(|text| (*text).to_owned());
        start.chain(scored(&own)).collect::<Vec<_>>()
    };
    let whole = Place::new();
    let all = begin("12");
    whole.run(&all.iter().map(String::as_str).collect::<Vec<_>>()).done();

    let parts = Place::new();
    let there = || fs::read_to_string(parts.path(METRICS)).map_or(0, |text| text.lines().count());
    let mut command = all;
    for (signal, more) in [("-KILL", 4), ("-INT", 2), ("-KILL", 2)] {
        let enough = there() + more;
        let mut child = parts.command(&command).spawn().unwrap();
        while there() < enough {
            assert_eq!(child.try_wait().unwrap(), None, "still training");
            thread::sleep(Duration::from_millis(5));
        }
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), (signal == "-INT").then_some(130));
        command = ["train", "--resume", "adapter.run"].map(str::to_owned).to_vec();
    }
    let resume: Vec<&str> = command.iter().map(String::as_str).collect();
    parts.run(&resume).done();
    same(&whole, &parts);

    // Ended between the file of the best and the line that tells of it: judged once more.
    let metrics = fs::read_to_string(parts.path(METRICS)).unwrap();
    let last = metrics.trim_end().rfind('\n').unwrap();
    assert!(metrics[last..].contains("score"));
    fs::write(parts.path(METRICS), &metrics[..=last]).unwrap();
    parts.run(&resume).done();
    same(&whole, &parts);
}

fn same(a: &Place, b: &Place) {
    let metrics = |place: &Place| fs::read_to_string(place.path(METRICS)).unwrap();
    assert_eq!(metrics(a), metrics(b));
    for path in [ADAPTER, BEST] {
        assert_eq!(bytes(a.path(path)), bytes(b.path(path)), "{path}");
    }
}

#[test]
fn toybox_is_scored_by_its_own_encoders() {
    let place = Place::new();
    let start = ["train", "photos", "--init-word", "ball", "--steps", "1", "--batch", "1"];
    let few = ["--samples", "1", "--sampling-steps", "1", "--evaluate-every", "9"];
    let said = place.run(&[&start[..], &few, &["--output", ADAPTER]].concat()).done().said();
    for words in ["its own encoders", "scored by toybox CLIP ViT-Ti/8 ", "and toybox ViT-Ti/8 "] {
        assert!(said.contains(words), "\"{words}\" in:\n{said}");
    }
    let recipe = fs::read_to_string(place.path("adapter.run/recipe.toml")).unwrap();
    let recipe: toml::Table = recipe.parse().unwrap();
    let evaluation = recipe["evaluation"].as_table().unwrap();
    assert_eq!(evaluation["prompts"][2].as_str(), Some("a photo of * on the beach"));
    assert_eq!(evaluation["evaluate_every"].as_integer(), Some(9));
    assert_eq!(lines(&place).0[0]["step"], 1);
}

#[test]
fn a_recipe_says_how_it_is_scored_and_what_is_typed_wins() {
    let (place, clip) = (Place::new(), encoder("clip"));
    let text = format!(
        "[evaluation]\nevaluate_every = 2\nsamples = 1\nsampling_steps = 2\nclip = '{clip}'\n\
         prompts = ['a {{}} here']\nseed = 7\n"
    );
    fs::write(place.path("recipe.toml"), text).unwrap();
    let said =
        place.train(&["--recipe", "recipe.toml", "--samples", "3", "--dry-run"]).done().said();
    for words in [
        "samples = 3",
        "evaluate_every = 2",
        "seed = 7",
        "prompts = [\"a * here\"]",
        "every 2 steps and at the end 3 pictures of 1 prompts",
        "for 2 evaluations",
    ] {
        assert!(said.contains(words), "\"{words}\" in:\n{said}");
    }
    assert_eq!(place.list("."), ["photos", "recipe.toml"]);
    let said = place.train(&["--recipe", "recipe.toml"]).done().said();
    assert!(said.contains("I_CLIP") && !said.contains("I_DINO"), "{said}");

    // The run's own recipe is one, and can be turned off.
    let own = place.path("adapter.run/recipe.toml");
    let own = ["train", "--recipe", own.to_str().unwrap(), "--output", "b.safetensors"];
    let said = place.run(&[&own[..], &["--evaluate-every", "0"]].concat()).done().said();
    assert!(!said.contains("score"), "{said}");
    assert_eq!(bytes(place.path(ADAPTER)), bytes(place.path("b.safetensors")));
}

#[test]
fn what_cannot_be_scored_is_refused_before_anything_is_written() {
    let place = Place::new();
    let (clip, dino) = (encoder("clip"), encoder("dino"));
    fs::write(place.path("bad.txt"), "a dog\n").unwrap();
    let with = ["--evaluate-every", "2", "--clip", &clip];
    let refused = |more: &[&str], code: i32, words: &[&str]| {
        place.train(more).failed(code, words);
        assert_eq!(place.list("."), ["bad.txt", "photos"]);
    };
    refused(&with[..2], 2, &["--clip openai/clip-vit-base-patch32", "toybox"]);
    refused(&["--evaluate-every", "2", "--dino", &dino], 2, &["needs --clip beside --dino"]);
    refused(&["--evaluate-every", "2", "--clip", &dino], 2, &["name it with --dino"]);
    refused(&["--evaluate-every", "2", "--clip", "none"], 1, &["none"]);
    refused(&with[2..], 2, &["--clip means nothing", "--evaluate-every N"]);
    refused(&["--stop-when-no-better", "2"], 2, &["--stop-when-no-better means nothing"]);
    let more = |more: &[&'static str]| [&with[..], more].concat();
    refused(&more(&["--samples", "0"]), 2, &["--samples is 0"]);
    refused(&more(&["--sampling-steps", "0"]), 2, &["--sampling-steps is 0"]);
    refused(&more(&["--sampler", "dimm"]), 2, &["dimm"]);
    refused(&more(&["--guidance", "nan"]), 2, &["--guidance"]);
    refused(&more(&["--reference-guidance", "nan"]), 2, &["--reference-guidance"]);
    let other = more(&["--reference-guidance", "2", "--method", "textual-inversion"]);
    refused(&other, 2, &["--reference-guidance is 2", "textual-inversion looks at no reference"]);
    refused(&more(&["--prompts", "bad.txt"]), 2, &["\"a dog\"", "{}"]);
    refused(&more(&["--prompts", "none"]), 2, &["none", "vico-objects"]);
    refused(&more(&["--convention", "both"]), 2, &["omit or class"]);
}

#[test]
fn a_run_keeps_its_judges() {
    let place = Place::new();
    fs::create_dir(place.path("judge")).unwrap();
    for entry in fs::read_dir(encoder("clip")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, place.path("judge").join(path.file_name().unwrap())).unwrap();
    }
    let few = ["--samples", "1", "--sampling-steps", "1", "--evaluate-every", "4"];
    place.train(&[&few[..], &["--clip", "judge"]].concat()).done();
    let resume = ["train", "--resume", "adapter.run", "--steps", "5"];
    let file = place.path("judge/model.safetensors");
    let mut weights = bytes(&file);
    *weights.last_mut().unwrap() ^= 1;
    fs::write(&file, weights).unwrap();
    place.run(&resume).failed(2, &["was scored by CLIP", "put those back", "--evaluate-every 0"]);
    place.run(&[&resume[..], &["--evaluate-every", "0"]].concat()).done();
    assert_eq!((step(&place, ADAPTER), lines(&place).0.len()), (5, 1));
    place
        .run(&[&resume[..4], &["7", "--evaluate-every", "1"]].concat())
        .failed(2, &["put those back"]);
}

/// A method without image attention is scored the same way.
#[test]
fn other_methods_are_scored_too() {
    let place = Place::new();
    train(
        &place,
        &[
            "--method",
            "dreambooth",
            "--lora-rank",
            "2",
            "--prior-weight",
            "0",
            "--evaluate-every",
            "4",
        ],
    )
    .done();
    assert_eq!(lines(&place).0.len(), 1);
    assert_eq!(learned(&place.path(BEST)), learned(&place.path(ADAPTER)));
}
