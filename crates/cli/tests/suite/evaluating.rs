//! `vico evaluate`, with little random encoders.

use std::fs;

use images::{Picture, read_photo, write_png};
use serde_json::Value;

use super::vico::{NO_TEXT, Place, Run, base, bytes};

pub fn encoder(name: &str) -> String {
    let path = golden::fixture("transformers").join(name).canonicalize().unwrap();
    path.to_str().unwrap().to_owned()
}

fn evaluate(place: &Place, more: &[&str]) -> Run {
    let (clip, dino) = (encoder("clip"), encoder("dino"));
    let start = ["evaluate", "--photos", "photos", "--clip", &clip, "--dino", &dino];
    place.run(&[&start[..], more].concat())
}

pub fn report(place: &Place, folder: &str) -> Value {
    serde_json::from_slice(&bytes(place.path(folder).join("scores.json"))).unwrap()
}

fn drawn<'a>(base: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let start = ["--adapter", "adapter.safetensors", "--base", base, "--prompts", "prompts.txt"];
    [&start[..], &["--samples", "2"], more].concat()
}

fn trained() -> Place {
    let place = Place::new();
    place.train(&[]).done();
    fs::write(place.path("prompts.txt"), "a {} in the snow\na red {}\n").unwrap();
    place
}

#[test]
fn pictures_of_an_adapter_are_drawn_once_and_scored() {
    let (place, base) = (trained(), base());
    let said = evaluate(&place, &drawn(&base, &["--steps", "2"])).done().said();
    assert!(said.contains("0 of 4 pictures are there, 4 are drawn"), "{said}");
    assert!(said.contains("I_CLIP") && said.contains("photos among themselves"), "{said}");
    let first = report(&place, "evaluation");
    let scores = &first["scores"];
    assert_eq!(scores["methods"][0]["method"], "vico");
    assert_eq!(scores["convention"], "omit");
    let prompts = scores["methods"][0]["concepts"][0]["prompts"].as_array().unwrap();
    let compared: Vec<_> = prompts.iter().map(|prompt| &prompt["compared_with"]).collect();
    assert_eq!(compared, ["a in the snow", "a red"]);
    assert!(prompts.iter().all(|prompt| prompt["samples"].as_array().unwrap().len() == 2));
    let page = fs::read_to_string(place.path("evaluation/report.html")).unwrap();
    assert_eq!(page.matches("data:image/jpeg").count(), 3 + 4);

    // One is lost: that one is drawn again, to the same pixels.
    let lost = place.path("evaluation/pictures/001-a-red/picture-0001.png");
    let was = read_photo(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let said = evaluate(&place, &drawn(&base, &["--steps", "2"])).done().said();
    assert!(said.contains("3 of 4 pictures are there, 1 are drawn"), "{said}");
    assert!(read_photo(&lost).unwrap() == was, "the same pixels");
    assert_eq!(report(&place, "evaluation")["scores"], first["scores"]);
    evaluate(&place, &drawn(&base, &["--steps", "3"])).failed(1, &["another adapter", "--output"]);

    // What is refused is refused before anything is drawn.
    let wrong = ["--steps", "2", "--output", "wrong", "--dino", "prompts.txt"];
    let clip = encoder("clip");
    let start = ["evaluate", "--photos", "photos", "--clip", &clip];
    place.run(&[&start[..], &drawn(&base, &wrong)].concat()).failed(1, &["prompts.txt"]);
    assert!(!place.path("wrong/pictures").exists());

    // The same pictures, found by what they tell.
    let folder = ["--images", "evaluation/pictures", "--output", "again"];
    evaluate(&place, &folder).done();
    assert_eq!(report(&place, "again")["scores"]["methods"], first["scores"]["methods"]);
    let with_class = [&folder[..], &["--convention", "class"]].concat();
    evaluate(&place, &with_class).done();
    let again = report(&place, "again");
    let prompt = &again["scores"]["methods"][0]["concepts"][0]["prompts"][0];
    assert_eq!(prompt["compared_with"], "a toy in the snow");
}

/// The names of the encoders that a report was made with.
fn encoders(report: &Value) -> Vec<&str> {
    let all = report["scores"]["encoders"].as_array().unwrap();
    all.iter().map(|encoder| encoder["name"].as_str().unwrap()).collect()
}

#[test]
fn the_encoders_inside_judge_what_the_model_inside_drew() {
    const INSIDE: [&str; 2] = ["toybox CLIP ViT-Ti/8", "toybox ViT-Ti/8"];
    let place = Place::new();
    let train = ["train", "photos", "--init-word", "ball", "--steps", "1", "--batch", "1"];
    place.run(&[&train[..], &["--output", "adapter.safetensors"]].concat()).done();
    fs::write(place.path("prompts.txt"), "a {} in the snow\na {} on the beach\n").unwrap();
    let start = ["evaluate", "--photos", "photos"];
    let drawn = ["--adapter", "adapter.safetensors", "--prompts", "prompts.txt", "--steps", "2"];
    let said = place.run(&[&start[..], &drawn, &["--samples", "2"]].concat()).done().said();
    for word in ["its own encoders", "judged by toybox CLIP ViT-Ti/8 ", ", toybox ViT-Ti/8 "] {
        assert!(said.contains(word), "\"{word}\" in:\n{said}");
    }
    let first = report(&place, "evaluation");
    assert_eq!(encoders(&first), INSIDE);
    let overall = first["scores"]["methods"][0]["overall"].as_object().unwrap();
    assert_eq!(overall.len(), 5, "every metric: {overall:?}");
    let page = fs::read_to_string(place.path("evaluation/report.html")).unwrap();
    assert!(INSIDE.iter().all(|name| page.contains(name)));

    // Found again, they tell whose they are. The encoders can be named, too.
    let again = [&start[..], &["--images", "evaluation/pictures", "--output", "again"]].concat();
    place.run(&again).done();
    let named = ["--clip", "toybox", "--dino", "toybox"];
    let said = place.run(&[&again[..], &named].concat()).done().said();
    assert!(!said.contains("mean little"), "{said}");
    assert_eq!(report(&place, "again")["scores"]["methods"], first["scores"]["methods"]);

    foreign(&place, "flat", 2);
    let other = ["--images", "flat", "--prompt", "a dog", "--output", "other"];
    let said = place.run(&[&start[..], &other, &named[..2]].concat()).done().said();
    assert!(said.contains("mean little") && said.contains("T_CLIP"), "{said}");
    assert_eq!(encoders(&report(&place, "other")), INSIDE[..1]);
    place.run(&[&start[..], &other].concat()).failed(2, &["no encoder", "toybox"]);
}

/// Pictures of another program, which tell nothing.
fn foreign(place: &Place, folder: &str, count: usize) {
    let folder = place.path(folder);
    fs::create_dir_all(&folder).unwrap();
    for i in 0..count {
        let picture = Picture::filled(48, 40, [40 * i as u8, 90, 200 - 50 * i as u8]);
        write_png(folder.join(format!("{i}.png")), &picture, NO_TEXT).unwrap();
    }
}

#[test]
fn folders_and_options_tell_prompts() {
    let place = Place::new();
    foreign(&place, "drawn/a dog in the snow", 2);
    foreign(&place, "drawn/a red dog", 1);
    evaluate(&place, &["--images", "drawn", "--name", "rex"]).done();
    let report = report(&place, "evaluation");
    assert_eq!(report["study"]["concepts"][0]["name"], "rex");
    let prompts = &report["study"]["concepts"][0]["prompts"];
    assert_eq!(prompts, &serde_json::json!(["a dog in the snow", "a red dog"]));
    foreign(&place, "flat", 2);
    evaluate(&place, &["--images", "flat"]).failed(1, &["--prompt", "flat/0.png"]);
    evaluate(&place, &["--images", "flat", "--prompt", "a dog"]).done();
    let class = ["--images", "flat", "--prompt", "a *", "--convention", "class"];
    evaluate(&place, &class).failed(2, &["--class-word"]);
    evaluate(&place, &[&class[..], &["--class-word", "dog"]].concat()).done();
    fs::create_dir(place.path("empty")).unwrap();
    evaluate(&place, &["--images", "empty"]).failed(1, &["no picture to judge"]);
}

#[test]
fn one_encoder_will_do_and_none_will_not() {
    let place = Place::new();
    foreign(&place, "flat", 2);
    let start = ["evaluate", "--photos", "photos", "--images", "flat", "--prompt", "a dog"];
    let advice = ["openai/clip-vit-base-patch32", "facebook/dino-vits16"];
    place.run(&start).failed(2, &advice);
    let (clip, dinov2) = (encoder("openai-clip.pt"), encoder("dinov2"));
    let said = place.run(&[&start[..], &["--dino", &dinov2]].concat()).done().said();
    assert!(said.contains("I_DINO") && !said.contains("T_CLIP"), "{said}");
    assert!(said.contains("without --clip"), "{said}");
    let said = place.run(&[&start[..], &["--clip", &clip]].concat()).done().said();
    assert!(said.contains("T_CLIP") && !said.contains("I_DINO"), "{said}");
    let scores = report(&place, "evaluation")["scores"].clone();
    assert_eq!(scores["space"], "CLIP");
    place.run(&["evaluate", "--photos", "photos", "--dino", &dinov2]).failed(2, &["--images"]);
    place.run(&[&start[..], &["--clip", &dinov2]].concat()).failed(2, &["name it with --dino"]);
    place.run(&[&start[..], &["--dino", &clip]].concat()).failed(2, &["name it with --clip"]);
}
