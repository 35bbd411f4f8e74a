use std::fs;

use formats::TensorFile;
use images::{read_photo, read_png_text};

use super::vico::{Place, base, bytes};

fn trained() -> Place {
    let place = Place::new();
    place.train(&[]).done();
    place
}

#[test]
fn pictures_depend_on_the_seed_and_on_nothing_else() {
    let place = trained();
    let prompt = "a photo of * on the beach";
    place.generate(prompt, "three", &["--count", "3", "--seed", "7", "--batch", "3"]).done();
    place.generate(prompt, "two", &["--count", "2", "--seed", "8", "--batch", "1"]).done();
    place.generate(prompt, "one.png", &["--seed", "9"]).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    assert_eq!(pixels("three/picture-0001.png"), pixels("two/picture-0000.png"));
    assert_eq!(pixels("three/picture-0002.png"), pixels("two/picture-0001.png"));
    assert_eq!(pixels("three/picture-0002.png"), pixels("one.png"));
    assert_ne!(pixels("three/picture-0000.png"), pixels("three/picture-0001.png"));
    assert!(place.path("three/sheet-0000.png").is_file());
}

#[test]
fn a_picture_says_how_it_was_made() {
    let place = trained();
    place.generate("a * in the snow", "one.png", &["--seed", "5", "--guidance", "3"]).done();
    let texts = read_png_text(place.path("one.png")).unwrap();
    let (_, text) = texts.iter().find(|(keyword, _)| keyword == "vico").unwrap();
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(value["job"]["prompt"], "a * in the snow");
    assert_eq!(value["job"]["seed"], 5);
    assert_eq!(value["job"]["guidance"], 3.0);
    assert_eq!(value["adapter"]["recipe"]["init_word"], "toy");
    assert_eq!(value["frozen_weights"]["precision"], "f32");
    assert_eq!(value["frozen_weights"]["convolutions"], "balanced");
    let said = place.run(&["inspect", "one.png"]).done().said();
    assert!(said.contains("a * in the snow"), "{said}");
}

#[test]
fn pictures_are_never_overwritten() {
    let place = trained();
    for _ in 0..2 {
        place.generate("a *", "out", &[]).done();
    }
    assert_eq!(place.list("out"), ["picture-0000.png", "picture-0001.png"]);
}

#[test]
fn without_an_adapter_the_base_draws_alone() {
    let (place, base) = (Place::new(), base());
    let draw = |prompt: &str, output: &str, more: &[&str]| {
        let named = ["generate", prompt, "--base", &base, "--steps", "3", "--output", output];
        place.run(&[&named[..], more].concat())
    };
    let said = draw("a toy on the beach", "one.png", &[]).done().said();
    assert!(!said.contains("warning"), "{said}");
    draw("a toy on the beach", "other.png", &["--seed", "1"]).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    assert_ne!(pixels("one.png"), pixels("other.png"));
    place.run(&["generate", "--from", "one.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("again.png")), bytes(place.path("one.png")));

    // A token that learned nothing changes nothing where it is not in the prompt.
    place.train(&["--method", "textual-inversion"]).done();
    place.generate("a toy on the beach", "token.png", &["--allow-no-placeholder"]).done();
    assert_eq!(pixels("token.png"), pixels("one.png"));

    let said = draw("a * on the beach", "star.png", &[]).done().said();
    assert!(said.contains("nothing that was learned"), "{said}");
    draw("a toy", "x.png", &["--reference", "photos/0.png"]).failed(2, &["--adapter"]);
}

#[test]
fn a_base_model_may_have_a_guidance_scale_of_its_own() {
    let place = Place::new();
    let scale = |base: &str, more: &[&str], output: &str| {
        let named = ["generate", "a koala", "--base", base, "--steps", "1", "--output", output];
        place.run(&[&named[..], more].concat()).done();
        text(&place, output, "parameters")
    };
    let own = scale("toybox", &[], "own.png");
    assert!(own.contains("CFG scale: 2.5,"), "{own}");
    let typed = scale("toybox", &["--guidance", "4"], "typed.png");
    assert!(typed.contains("CFG scale: 4,"), "{typed}");
    let usual = scale(&base(), &[], "usual.png");
    assert!(usual.contains("CFG scale: 7.5,"), "{usual}");
    place.run(&["generate", "--from", "own.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("again.png")), bytes(place.path("own.png")));
}

#[test]
fn a_reference_may_count_for_more() {
    let place = trained();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    let draw = |output: &str, more: &[&str]| {
        let scale = ["--reference-guidance", more[0]];
        place.generate("a *", output, &[&scale[..], &more[1..]].concat())
    };
    place.generate("a *", "usual.png", &[]).done();
    draw("one.png", &["1"]).done();
    assert_eq!(bytes(place.path("one.png")), bytes(place.path("usual.png")));
    assert!(!text(&place, "one.png", "parameters").contains("Reference"));
    for (output, scale) in [("same.png", "7.5"), ("three.png", "3")] {
        draw(output, &[scale]).done();
        assert_ne!(pixels(output), pixels("usual.png"));
        let parameters = text(&place, output, "parameters");
        assert!(parameters.contains(&format!("Reference CFG scale: {scale},")), "{parameters}");
        place.run(&["generate", "--from", output, "--output", "again.png"]).done();
        assert_eq!(bytes(place.path("again.png")), bytes(place.path(output)));
        fs::remove_file(place.path("again.png")).unwrap();
    }
    draw("x.png", &["-1"]).failed(2, &["--reference-guidance is -1"]);
    let alone = ["generate", "a koala", "--output", "x.png", "--reference-guidance", "2"];
    place.run(&alone).failed(2, &["--reference-guidance is 2", "without --adapter"]);
}

#[test]
fn any_reference_will_do() {
    let place = trained();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    place.generate("a *", "first.png", &[]).done();
    place.generate("a *", "again.png", &["--reference", "0"]).done();
    place.generate("a *", "second.png", &["--reference", "1"]).done();
    place.generate("a *", "photo.png", &["--reference", "photos/1.png"]).done();
    assert_eq!(pixels("first.png"), pixels("again.png"));
    assert_ne!(pixels("first.png"), pixels("second.png"));
    assert_eq!(pixels("second.png"), pixels("photo.png"));
    place.generate("a *", "x.png", &["--reference", "3"]).failed(1, &["photo number 3", "0 to 2"]);
}

#[test]
fn an_adapter_without_photos_needs_a_reference() {
    let place = Place::new();
    place.train(&["--without-photos"]).done();
    place.generate("a *", "x.png", &[]).failed(1, &["without photos", "--reference"]);
    place.generate("a *", "x.png", &["--reference", "photos/0.png"]).done();
    let file = TensorFile::open(place.path("adapter.safetensors")).unwrap();
    assert!(!file.names().any(|name| name.starts_with("photos.")));
}

#[test]
fn a_prompt_needs_the_placeholder() {
    let place = trained();
    place.generate("a dog", "x.png", &[]).failed(2, &["placeholder", "--allow-no-placeholder"]);
    assert!(!place.path("x.png").exists());
    place.generate("a dog", "x.png", &["--allow-no-placeholder"]).done();
}

#[test]
fn sizes_may_differ_from_the_training() {
    let place = trained();
    place.generate("a *", "wide.png", &["--width", "192", "--height", "128"]).done();
    let picture = read_photo(place.path("wide.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (192, 128));
}

#[test]
fn latents_go_out_and_in() {
    let place = trained();
    let more = ["--count", "2", "--seed", "3", "--save-latents", "latents.safetensors"];
    place.generate("a *", "first", &more).done();
    let file = TensorFile::open(place.path("latents.safetensors")).unwrap();
    let shape = file.get("init_latents").unwrap().shape.clone();
    assert_eq!(shape[..2], [2, 4]);
    let more = ["--init-latents", "latents.safetensors", "--seed", "99"];
    place.generate("a *", "second", &more).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    for picture in ["picture-0000.png", "picture-0001.png"] {
        assert_eq!(pixels(&format!("first/{picture}")), pixels(&format!("second/{picture}")));
    }
}

#[test]
fn a_picture_is_a_start() {
    let place = trained();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    let draw = |output: &str, more: &[&str]| {
        place.generate("a *", output, &[&["--init-image", "photos/0.png"], more].concat())
    };
    let shape = ["--width", "128", "--height", "64", "--sampler", "euler"];
    draw("weak.png", &[&shape[..], &["--strength", "0.4", "--seed", "1"]].concat()).done();
    draw("strong.png", &[&shape[..], &["--strength", "1", "--seed", "1"]].concat()).done();
    let picture = read_photo(place.path("weak.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (128, 64));
    assert_ne!(pixels("weak.png"), pixels("strong.png"));
    let two = ["--strength", "0.4", "--count", "2", "--batch", "2"];
    draw("two", &[&shape[..], &two].concat()).done();
    assert_eq!(pixels("two/picture-0001.png"), pixels("weak.png"));
    let texts = read_png_text(place.path("weak.png")).unwrap();
    let (_, text) = texts.iter().find(|(keyword, _)| keyword == "vico").unwrap();
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    let (_, parameters) = texts.iter().find(|(keyword, _)| keyword == "parameters").unwrap();
    assert!(parameters.contains("Denoising strength: 0.4, RNG: CPU"), "{parameters}");
    assert_eq!(value["job"]["init"]["strength"], 0.4);
    assert_eq!(value["job"]["init"]["image"], "photos/0.png");

    place.run(&["generate", "--from", "weak.png", "--output", "again.png"]).done();
    assert_eq!(pixels("again.png"), pixels("weak.png"));

    draw("x.png", &["--strength", "0.3"]).failed(2, &["none of the 3 steps"]);
    draw("x.png", &["--strength", "2"]).failed(2, &["strength is 2"]);
    draw("x.png", &["--init-latents", "x"]).failed(2, &["cannot be used with"]);
    let more = ["--init-image", "nowhere.png"];
    place.generate("a *", "x.png", &more).failed(1, &["nowhere.png"]);
    place.generate("a *", "x.png", &["--strength", "0.5"]).failed(2, &["--init-image"]);
}

#[test]
fn every_sampler_can_be_typed() {
    let place = trained();
    for name in ["pndm", "euler-a", "heun-karras", "dpmpp-2m-sde-karras", "unipc", "lcm"] {
        let output = format!("{name}.png");
        place.generate("a *", &output, &["--sampler", name]).done();
        let said = place.run(&["inspect", &output]).done().said();
        assert!(said.contains(name), "{said}");
    }
    place.generate("a *", "x.png", &["--sampler", "hoin"]).failed(2, &["did you mean heun?"]);
}

#[test]
fn the_mask_is_a_picture() {
    let place = trained();
    let base = base();
    let arguments = ["mask", "photos/0.png", "--base", &base, "--adapter", "adapter.safetensors"];
    let said = place.run(&arguments).done().said();
    assert_eq!(said.matches("taken for the object").count(), 4, "{said}");
    assert!(read_photo(place.path("mask.png")).unwrap().width() > 4 * 64);
}

#[test]
fn inspect_knows_what_files_hold() {
    let place = trained();
    let released = golden::path("vico/checkpoints");
    let embedding = released.join("embeddings_gs-399.pt").canonicalize().unwrap();
    for (file, word) in [
        ("adapter.safetensors", "a vico adapter"),
        ("adapter.run/state.safetensors", "checkpoint"),
        (embedding.to_str().unwrap(), "textual-inversion embedding"),
    ] {
        let said = place.run(&["inspect", file]).done().said();
        assert!(said.contains(word), "\"{word}\" in:\n{said}");
    }
    fs::write(place.path("note.txt"), "nothing").unwrap();
    place.run(&["inspect", "note.txt"]).failed(1, &["not a weight file"]);
}

#[test]
fn a_checkpoint_is_an_adapter_too() {
    let place = trained();
    place.generate("a *", "end.png", &[]).done();
    let base = base();
    let mut arguments = vec!["generate", "a *", "--base", &base, "--steps", "3"];
    arguments.extend(["--adapter", "adapter.run/state.safetensors", "--output", "state.png"]);
    place.run(&arguments).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    assert_eq!(pixels("end.png"), pixels("state.png"));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (a, b) = (trained(), trained());
    assert_eq!(bytes(a.path("adapter.safetensors")), bytes(b.path("adapter.safetensors")));
    for place in [&a, &b] {
        place.generate("a *", "x.png", &[]).done();
    }
    assert_eq!(bytes(a.path("x.png")), bytes(b.path("x.png")));
}

fn text(place: &Place, picture: &str, keyword: &str) -> String {
    let texts = read_png_text(place.path(picture)).unwrap();
    texts.into_iter().find(|(found, _)| found == keyword).unwrap().1
}

#[test]
fn a_picture_carries_the_text_that_other_programs_read() {
    let place = trained();
    let more =
        ["--seed", "5", "--guidance", "3", "--negative", "blurry, dark: very", "--size", "128"];
    place.generate("a *, in \"snow\": näht", "one.png", &more).done();
    let parameters = text(&place, "one.png", "parameters");
    let lines: Vec<&str> = parameters.lines().collect();
    assert_eq!(lines[0], "a *, in \"snow\": näht");
    assert_eq!(lines[1], "Negative prompt: blurry, dark: very");
    let start = "Steps: 3, Sampler: DDIM, CFG scale: 3, Seed: 5, Size: 128x128, Model: tiny-sd, ";
    assert!(lines[2].starts_with(start), "{}", lines[2]);
    let said = place.run(&["inspect", "one.png"]).done().said();
    assert!(
        said.contains(start) && said.contains("\"negative\": \"blurry, dark: very\""),
        "{said}"
    );
}

#[test]
fn a_picture_is_drawn_again_from_itself() {
    let place = trained();
    let more = ["--count", "3", "--seed", "7", "--reference", "photos/1.png", "--eta", "1"];
    let more = [&more[..], &["--guidance", "4", "--negative", "dark", "--size", "128"]].concat();
    place.generate("a * in the snow", "three", &more).done();
    let again = |from: &str, output: &str, more: &[&str]| {
        place.run(&[&["generate", "--from", from, "--output", output], more].concat())
    };
    again("three/picture-0001.png", "again.png", &[]).done();
    assert_eq!(bytes(place.path("three/picture-0001.png")), bytes(place.path("again.png")));
    // In bf16 as well, which is no longer typed.
    let bf16 = ["--precision", "bf16"];
    again("again.png", "bf16.png", &bf16).done();
    again("bf16.png", "bf16-again.png", &[]).done();
    assert_eq!(bytes(place.path("bf16.png")), bytes(place.path("bf16-again.png")));
    assert_ne!(bytes(place.path("bf16.png")), bytes(place.path("again.png")));
    // What is typed beside it wins.
    again("again.png", "other.png", &["a * in the sun", "--seed", "9", "--steps", "2"]).done();
    let parameters = text(&place, "other.png", "parameters");
    assert!(
        parameters.starts_with("a * in the sun\nNegative prompt: dark\nSteps: 2"),
        "{parameters}"
    );
    assert!(parameters.contains("CFG scale: 4, Seed: 9, Size: 128x128"), "{parameters}");
    again("photos/0.png", "x.png", &[]).failed(1, &["photos/0.png", "no settings"]);
    again("missing.png", "x.png", &[]).failed(1, &["missing.png"]);
}

#[test]
fn latents_and_embeddings_are_found_again() {
    let place = trained();
    let embedding = "../../fixtures/embeddings/a1111.pt";
    let embedding = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(embedding);
    fs::create_dir(place.path("styles")).unwrap();
    fs::copy(embedding, place.path("styles/pewter.pt")).unwrap();
    let save = ["--count", "2", "--save-latents", "latents.safetensors"];
    place.generate("a *", "first", &save).done();
    let more = ["--init-latents", "latents.safetensors", "--embedding", "styles", "--seed", "40"];
    place.generate("a * in pewter", "second", &more).done();
    place.run(&["generate", "--from", "second/picture-0001.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("second/picture-0001.png")), bytes(place.path("again.png")));
}

#[test]
fn inputs_that_changed_are_noticed() {
    let place = trained();
    place.generate("a *", "one.png", &["--reference", "photos/0.png"]).done();
    let again = |more: &[&str]| {
        place.run(&[&["generate", "--from", "one.png", "--output", "again.png"], more].concat())
    };
    fs::rename(place.path("photos/0.png"), place.path("moved.png")).unwrap();
    again(&[]).failed(1, &["photos/0.png", "is not there", "--reference"]);
    again(&["--reference", "moved.png"]).done();
    assert_eq!(
        read_photo(place.path("one.png")).unwrap().rgb(),
        read_photo(place.path("again.png")).unwrap().rgb()
    );
    fs::copy(place.path("photos/1.png"), place.path("photos/0.png")).unwrap();
    again(&[]).failed(1, &["photos/0.png", "was changed", "--reference"]);
    again(&["--reference", "photos/0.png"]).done();
    fs::rename(place.path("moved.png"), place.path("photos/0.png")).unwrap();
    fs::remove_file(place.path("adapter.safetensors")).unwrap();
    again(&[]).failed(1, &["adapter.safetensors", "is not there", "--adapter"]);
}

/// A picture with AUTOMATIC1111's text alone, as its program and Pillow write it.
#[test]
fn settings_of_another_program_are_taken() {
    let place = trained();
    let foreign = "../../fixtures/pictures/automatic1111.png";
    let foreign = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(foreign);
    let (foreign, base) = (foreign.to_str().unwrap(), base());
    let draw = |more: &[&str]| {
        let named = ["generate", "--from", foreign, "--output", "x.png"];
        place.run(&[&named[..], more].concat())
    };
    draw(&[]).failed(2, &["--base is missing"]);
    let inputs = ["--base", &base, "--adapter", "adapter.safetensors"];
    draw(&inputs).failed(2, &["placeholder", "café"]);
    draw(&[&inputs[..], &["a * in a café"]].concat()).done();
    let parameters = text(&place, "x.png", "parameters");
    assert!(parameters.contains("Negative prompt: ugly, [blurry]\nbad anatomy"), "{parameters}");
    let settings = "Steps: 4, Sampler: DDIM, CFG scale: 6.5, Seed: 965400086, Size: 128x64";
    assert!(parameters.contains(settings), "{parameters}");
    assert!(parameters.contains("RNG: NV"), "{parameters}");
    let said = place.run(&["inspect", foreign]).done().said();
    assert!(said.contains("Model hash: 45dee52b"), "{said}");
}
