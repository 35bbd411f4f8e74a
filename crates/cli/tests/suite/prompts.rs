//! Prompts with weights, of any length, and in files.

use std::fs;

use images::{read_photo, read_png_text};

use super::vico::{Place, base, bytes};

fn trained() -> Place {
    let place = Place::new();
    place.train(&[]).done();
    place
}

fn parameters(place: &Place, picture: &str) -> String {
    let texts = read_png_text(place.path(picture)).unwrap();
    texts.into_iter().find(|(keyword, _)| keyword == "parameters").unwrap().1
}

/// Draws the prompts of a file.
fn draw(place: &Place, file: &str, output: &str, more: &[&str]) -> super::vico::Run {
    let base = base();
    let mut arguments = vec!["generate", "--prompt-file", file, "--base", &base, "--adapter"];
    arguments.extend(["adapter.safetensors", "--steps", "3", "--output", output]);
    place.run(&[&arguments[..], more].concat())
}

#[test]
fn prompts_may_have_weights_and_any_length() {
    let place = trained();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    let weighted = r"a ((photo)) of (*:1.3) on the [beach], \(at noon\) BREAK by the sea";
    place.generate(weighted, "weighted.png", &["--negative", "(dark:1.4), [grey]"]).done();
    let said = parameters(&place, "weighted.png");
    let typed = format!("{weighted}\nNegative prompt: (dark:1.4), [grey]\nSteps: 3");
    assert!(said.starts_with(&typed), "{said}");
    place.run(&["generate", "--from", "weighted.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("weighted.png")), bytes(place.path("again.png")));

    place.generate("a photo of *", "short.png", &[]).done();
    place.generate(&format!("{}a photo of *", "sand ".repeat(100)), "long.png", &[]).done();
    assert_ne!(pixels("short.png"), pixels("long.png"));
    place.generate("a (*:1.2.3)", "x.png", &[]).failed(2, &["\"1.2.3\"", "(word:1.3)"]);
}

#[test]
fn a_file_of_prompts_is_drawn_line_by_line() {
    let place = trained();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    let text = "# by the sea\n a * on the (beach:1.2)  \n\na * in the snow\n";
    fs::write(place.path("prompts.txt"), text).unwrap();
    let more = ["--count", "2", "--seed", "7", "--sampler", "euler-a"];
    draw(&place, "prompts.txt", "all", &more).done();
    place.generate("a * on the (beach:1.2)", "beach", &more).done();
    place.generate("a * in the snow", "snow", &more).done();
    for (number, alone) in [
        ("0", "beach/picture-0000"),
        ("1", "beach/picture-0001"),
        ("2", "snow/picture-0000"),
        ("3", "snow/picture-0001"),
    ] {
        let (all, alone) = (format!("all/picture-000{number}.png"), format!("{alone}.png"));
        assert_eq!(bytes(place.path(&all)), bytes(place.path(&alone)), "{all}");
    }
    let sheet = read_photo(place.path("all/sheet-0000.png")).unwrap();
    let plain = read_photo(place.path("snow/sheet-0000.png")).unwrap();
    assert!(sheet.height() > plain.height(), "a row and a label for each prompt");
    place.run(&["generate", "--from", "all/picture-0003.png", "--output", "again.png"]).done();
    assert_eq!(pixels("again.png"), pixels("snow/picture-0001.png"));
}

#[test]
fn embeddings_stand_in_any_prompt_of_a_file() {
    let place = trained();
    fs::create_dir(place.path("styles")).unwrap();
    fs::copy(golden::fixture("embeddings/a1111.pt"), place.path("styles/old pewter.pt")).unwrap();
    fs::write(place.path("prompts.txt"), "a *\na * in (old pewter:1.2)\n").unwrap();
    let said = draw(&place, "prompts.txt", "out", &["--embedding", "styles"]).done().said();
    assert!(!said.contains("stands in no prompt"), "{said}");
    let json = read_png_text(place.path("out/picture-0001.png")).unwrap();
    let (_, text) = json.iter().find(|(keyword, _)| keyword == "vico").unwrap();
    assert!(text.contains("styles/old pewter.pt"), "{text}");
}

#[test]
fn mistakes_in_a_file_of_prompts_name_the_line() {
    let place = trained();
    let failed = |text: &str, code, words: &[&str]| {
        fs::write(place.path("prompts.txt"), text).unwrap();
        draw(&place, "prompts.txt", "out", &[]).failed(code, words);
    };
    failed("a *\n\na dog\n", 2, &["prompts.txt, line 3", "placeholder"]);
    failed("# first\na (*:1..)\n", 2, &["prompts.txt, line 2", "\"1..\""]);
    failed("# nothing\n\n", 1, &["prompts.txt", "holds no prompt"]);
    fs::write(place.path("binary.txt"), [0xff, 0xfe, 0]).unwrap();
    draw(&place, "binary.txt", "out", &[]).failed(1, &["binary.txt", "UTF-8"]);
    draw(&place, "missing.txt", "out", &[]).failed(1, &["missing.txt"]);
    fs::write(place.path("prompts.txt"), "a *\na * there\n").unwrap();
    draw(&place, "prompts.txt", "x.png", &[]).failed(2, &["one file for several pictures"]);
    draw(&place, "prompts.txt", "out", &["a *"]).failed(2, &["cannot be used with"]);
}

#[test]
fn noise_may_be_a_graphics_cards() {
    let place = trained();
    let more = ["--rng", "cuda", "--seed", "5"];
    place.generate("a *", "cuda.png", &more).done();
    place.generate("a *", "torch.png", &["--seed", "5"]).done();
    let pixels = |name: &str| read_photo(place.path(name)).unwrap().rgb().to_vec();
    assert_ne!(pixels("cuda.png"), pixels("torch.png"));
    assert!(parameters(&place, "cuda.png").contains("RNG: NV"));
    assert!(parameters(&place, "torch.png").contains("RNG: CPU"));
    place.run(&["generate", "--from", "cuda.png", "--output", "again.png"]).done();
    assert_eq!(bytes(place.path("cuda.png")), bytes(place.path("again.png")));
    place.generate("a *", "x.png", &["--rng", "gpu"]).failed(2, &["torch", "cuda"]);
}
