//! Prompts with weights: the first line is the placeholder, the rest the prompt.

#![no_main]

use std::sync::LazyLock;

use diffusion::{Placeholder, Tokenizer, tokenizer::emphasis};
use libfuzzer_sys::fuzz_target;

const POSITIONS: usize = 77;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::clip(POSITIONS).unwrap());

fuzz_target!(|text: &str| {
    let (word, prompt) = text.split_once('\n').unwrap_or(("*", text));
    let placeholder = (!word.is_empty()).then_some(Placeholder { text: word, vectors: 3, words: "" });
    let Ok(fragments) = emphasis::parse(prompt, placeholder.map(|p| p.text)) else { return };
    assert!(!fragments.is_empty());
    assert!(fragments.iter().all(|fragment| fragment.weight.is_finite()));
    assert!(fragments.windows(2).all(|pair| pair[0].weight != pair[1].weight));
    let Ok(prompt) = TOKENIZER.encode_weighted(prompt, placeholder) else { return };
    for chunk in prompt.chunks() {
        assert_eq!((chunk.prompt.ids.len(), chunk.weights.len()), (POSITIONS, POSITIONS));
        // The vectors of a placeholder stand side by side, in order.
        for vectors in chunk.prompt.placeholders.chunks(3) {
            let [(first, 0), (second, 1), (third, 2)] = vectors[..] else { panic!("{vectors:?}") };
            assert_eq!((second, third), (first + 1, first + 2));
        }
    }
    let end = prompt.chunks().len() * POSITIONS;
    assert!(prompt.end_of_text() < end && prompt.placeholder().is_none_or(|at| at < end));
});
