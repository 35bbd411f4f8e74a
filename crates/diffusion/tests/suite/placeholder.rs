use diffusion::{Placeholder, Prompt};

use super::tiny;

const STAR: Placeholder = Placeholder { text: "*", vectors: 1, words: "" };

fn encode(prompt: &str, placeholder: Placeholder) -> Prompt {
    tiny().tokenizer().unwrap().encode(prompt, Some(placeholder)).unwrap()
}

fn at(prompt: &str) -> Vec<usize> {
    encode(prompt, STAR).placeholders.iter().map(|&(position, _)| position).collect()
}

/// The released program loses the placeholder in all but the first of these.
#[test]
fn the_placeholder_is_found_wherever_it_stands() {
    for (prompt, position) in
        [("a photo of a *", 5), ("a photo of a *.", 5), ("(*)", 2), ("*'s portrait", 1), ("*,a", 1)]
    {
        assert_eq!(at(prompt), [position], "{prompt}");
    }
}

#[test]
fn every_placeholder_of_a_prompt_is_found() {
    assert_eq!(at("a * and another * in the snow"), [2, 5]);
    assert_eq!(encode("a * and another *", STAR).placeholder(), Some(2));
    assert_eq!(at("**"), [1, 2]);
}

#[test]
fn a_placeholder_of_letters_is_a_word_of_its_own() {
    let toy = Placeholder { text: "mytoy", vectors: 1, words: "" };
    assert_eq!(encode("a photo of mytoy, please", toy).placeholders, [(4, 0)]);
    assert!(encode("a photo of mytoys", toy).placeholders.is_empty());
}

#[test]
fn vectors_of_a_placeholder_take_a_position_each() {
    let prompt = encode("a * here", Placeholder { text: "*", vectors: 3, words: "" });
    assert_eq!(prompt.placeholders, [(2, 0), (3, 1), (4, 2)]);
    assert_eq!(prompt.end_of_text, 6);
}

#[test]
fn positions_are_those_of_each_prompt() {
    let (short, long) = (encode("*", STAR), encode("a very small * on a table", STAR));
    assert_eq!((short.placeholder(), short.end_of_text), (Some(1), 2));
    assert_eq!((long.placeholder(), long.end_of_text), (Some(4), 8));
}

#[test]
fn words_that_do_not_fit_are_named() {
    let words: Vec<String> = (0..500).map(|i| format!("word{i}")).collect();
    let prompt = encode(&words.join(" "), STAR);
    let dropped = prompt.dropped.unwrap();
    assert!(dropped.ends_with("word499"), "{dropped}");
    assert_eq!(prompt.ids.len(), tiny().configs().text.max_position_embeddings);
    assert!(encode("a photo of a *", STAR).dropped.is_none());
}

#[test]
fn a_word_of_several_tokens_is_refused() {
    let tokenizer = tiny().tokenizer().unwrap();
    assert!(tokenizer.single("toy").is_ok());
    let error = tokenizer.single("backpackdogtoy").unwrap_err();
    assert!(error.is_usage());
    assert!(error.to_string().contains("tokens"), "{error}");
}
