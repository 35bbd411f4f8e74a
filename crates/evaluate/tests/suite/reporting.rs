//! From pictures to a report.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use evaluate::{
    Encoder, Error, Features, Study,
    prompts::Convention,
    report::{CSV, HTML, JSON, Report, Run, lines},
    scores::{Space, score, texts},
    study::{Concept, Sample},
};
use images::{Picture, write_png};

use crate::encoders::fixture;

/// A prompt that would be a tag, a new column and a new line.
const PROMPT: &str = "a * <b>\"bold\"</b>, & \"more\"\nthere";

fn draw(folder: &Path, name: &str, colour: [u8; 3]) -> PathBuf {
    let path = folder.join(name);
    let text: [(&str, &str); 0] = [];
    write_png(&path, &Picture::filled(40, 32, colour), &text).unwrap();
    path
}

/// Two methods, two prompts, two samples each.
fn study(folder: &Path) -> Study {
    let photos = vec![
        draw(folder, "photo-0.png", [200, 10, 10]),
        draw(folder, "photo-1.png", [180, 30, 10]),
    ];
    let concept = Concept {
        name: "duck <script>".into(),
        photos,
        prompts: vec![PROMPT.into(), "the *".into()],
        placeholder: "*".into(),
        class_word: None,
    };
    let sample = |i: usize| {
        let file = draw(folder, &format!("{i}.png"), [20 * i as u8, 255 - 30 * i as u8, 90]);
        Sample { concept: 0, method: i / 4, prompt: i / 2 % 2, file }
    };
    Study {
        concepts: vec![concept],
        methods: vec!["vico".into(), "other & more".into()],
        samples: (0..8).map(sample).collect(),
    }
}

fn report(folder: &Path) -> Report {
    let study = study(folder);
    let convention = Convention::Omit;
    let texts = texts(&study, convention).unwrap();
    let [clip, dino] = ["clip", "dino"].map(|name| {
        let encoder = Encoder::open(&fixture(name), &engine::cpu()).unwrap();
        let (mut heard, all) = (0, 10);
        let features = Features::of::<Error>(&study, &encoder, &texts, &mut |done, total| {
            heard = done;
            assert_eq!(total, all);
            Ok(())
        });
        assert_eq!(heard, all);
        (encoder.description().clone(), features.unwrap())
    });
    let [clip, dino] = [&clip, &dino].map(|(encoder, features)| Space { encoder, features });
    let scores = score(&study, &texts, convention, Some(&clip), Some(&dino), 0);
    Report {
        title: "How good <it> is".into(),
        version: "0.0.0".into(),
        recipe: vec![("photos".into(), "a & b".into())],
        seconds: BTreeMap::from([("encoding".into(), 1.25)]),
        study,
        scores,
        runs: Vec::new(),
    }
}

#[test]
fn the_page_is_whole_and_everything_in_it_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path());
    report.write(dir.path()).unwrap();
    let page = fs::read_to_string(dir.path().join(HTML)).unwrap();
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "prompts");
    assert!(page.contains("duck &lt;script&gt;") && !page.contains("<script"), "names");
    assert!(page.contains("other &amp; more") && page.contains("How good &lt;it&gt; is"));
    assert!(!page.contains("http") && !page.contains("src=\"/"), "it names no address");
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 2 + 8);
    assert!(page.contains("★"), "the best is marked");
    assert!(page.contains("I_DINO") && page.contains("prefers-color-scheme"));
    assert!(page.contains("1.2 s") || page.contains("1.3 s"), "seconds");
}

#[test]
fn numbers_are_the_same_in_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path());
    report.write(dir.path()).unwrap();
    let json = fs::read_to_string(dir.path().join(JSON)).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mean = &value["scores"]["methods"][0]["overall"]["I_CLIP"]["mean"];
    let table = fs::read_to_string(dir.path().join(CSV)).unwrap();
    let expected = format!("overall,vico,,,,I_CLIP,{mean},");
    assert!(table.lines().any(|line| line.starts_with(&expected)), "{expected} in\n{table}");
    let shown = lines(&report.scores);
    assert!(shown[1].starts_with("vico") && shown.len() == 5, "{shown:?}");
    let used = report.scores.encoders.iter().map(|e| format!("{} {}", e.name, &e.sha256[..12]));
    let used: Vec<String> = used.collect();
    assert_eq!(shown[4], format!("judged by {}", used.join(", ")));
    for (metric, encoder) in [("I_CLIP", &used[0]), ("T_CLIP", &used[0]), ("I_DINO", &used[1])] {
        let mut rows = table.lines().filter(|line| line.contains(&format!(",{metric},")));
        assert!(rows.all(|line| line.ends_with(&format!(",{encoder},"))), "{metric} in\n{table}");
    }
    let mean = mean.as_f64().unwrap();
    assert!(shown[1].contains(&format!("{mean:.4} ±")), "{mean} in {shown:?}");
}

#[test]
fn a_csv_quotes_what_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let table = String::from_utf8(evaluate::report::csv(&report(dir.path()))).unwrap();
    let quoted = "\"a * <b>\"\"bold\"\"</b>, & \"\"more\"\"\nthere\"";
    assert!(table.contains(&format!("prompt,vico,duck <script>,{quoted},,I_CLIP,")), "{table}");
    assert!(table.starts_with("level,method,concept,prompt,file,metric,mean,standard_error,low,"));
    // Overall, one concept, two prompts of five metrics, and four pictures of four.
    let quoted_lines = table.matches("\nthere\"").count();
    assert_eq!(table.lines().count() - quoted_lines, 1 + 2 * (4 * 5 + 4 * 4));
}

#[test]
fn curves_are_lines_of_the_csv_and_part_of_the_json() {
    let dir = tempfile::tempdir().unwrap();
    let run = |method, last| Run {
        method,
        curves: BTreeMap::from([("T_CLIP".to_owned(), vec![[5.0, 0.25], [10.0, last]])]),
        ..Run::default()
    };
    let report = Report { runs: vec![run(1, 0.5), run(1, 0.75)], ..report(dir.path()) };
    report.write(dir.path()).unwrap();
    let table = fs::read_to_string(dir.path().join(CSV)).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("curve,")).collect();
    let expected = ["5", "10"].map(|step| {
        let mean = if step == "5" { 0.25 } else { 0.625 };
        format!("curve,other & more,,,,T_CLIP,{mean},,,,2,,{step}")
    });
    assert_eq!(rows, expected);
    let json = fs::read_to_string(dir.path().join(JSON)).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["runs"][1]["curves"]["T_CLIP"][1], serde_json::json!([10.0, 0.75]));
}

#[test]
fn the_same_pictures_give_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let read = || {
        report(dir.path()).write(dir.path()).unwrap();
        [JSON, CSV, HTML].map(|name| fs::read(dir.path().join(name)).unwrap())
    };
    assert_eq!(read(), read());
}
