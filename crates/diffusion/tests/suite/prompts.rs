//! Weights and long prompts, against what AUTOMATIC1111's program makes of them.

use diffusion::{Placeholder, Prompt, WeightedPrompt, tokenizer::emphasis};
use golden::{Golden, assert_close};
use serde_json::Value;

use super::open;

const STAR: Placeholder = Placeholder { text: "*", vectors: 1, words: "" };

fn cases(kind: &str) -> Vec<Value> {
    let path = golden::fixture("prompts/prompts.json");
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    cases[kind].as_array().unwrap().clone()
}

fn encode(prompt: &str, placeholder: Placeholder) -> WeightedPrompt {
    let base = open(&golden::fixture("golden/tiny-sd"));
    base.tokenizer().unwrap().encode_weighted(prompt, Some(placeholder)).unwrap()
}

/// All positions of the placeholder's vectors, counted through the chunks.
fn positions(prompt: &WeightedPrompt) -> Vec<u64> {
    let chunk = |(i, prompt): (usize, &Prompt)| {
        let offset = i * prompt.ids.len();
        prompt.placeholders.iter().map(|&(at, _)| (offset + at) as u64).collect::<Vec<_>>()
    };
    prompt.chunks().iter().map(|c| &c.prompt).enumerate().flat_map(chunk).collect()
}

#[test]
fn golden_fragments_of_random_prompts() {
    let cases = cases("parsed");
    assert!(cases.len() >= 300);
    for case in cases {
        let prompt = case[0].as_str().unwrap();
        let Some(want) = case[1].as_array() else {
            assert!(emphasis::parse(prompt, None).unwrap_err().is_usage(), "{prompt:?}");
            continue;
        };
        let got = emphasis::parse(prompt, Some("*")).unwrap();
        let text = |fragment: &Value| fragment[0].as_str().unwrap().to_owned();
        let want_texts: Vec<String> = want.iter().map(text).collect();
        let got_texts: Vec<String> = got.iter().map(|f| f.text.clone()).collect();
        assert_eq!(got_texts, want_texts, "{prompt:?}");
        for (got, want) in got.iter().zip(want) {
            let want = want[1].as_f64().unwrap();
            assert!((got.weight - want).abs() <= 1e-12 * want.abs(), "{prompt:?}: {got:?}");
        }
    }
}

#[test]
fn golden_contexts_of_weighted_and_long_prompts() {
    let base = open(&golden::fixture("golden/tiny-sd"));
    let (text, golden) =
        (base.text_encoder().unwrap(), Golden::fixture("prompts/contexts.safetensors"));
    for (number, case) in cases("contexts").iter().enumerate() {
        let learned: [usize; 2] = golden.shape(&format!("{number}.learned"));
        let values = golden.f32(&format!("{number}.learned"));
        let prompt =
            encode(case["prompt"].as_str().unwrap(), Placeholder { vectors: learned[0], ..STAR });
        let number_list = |key: &str| case[key].as_array().unwrap().clone();
        let weights: Vec<f32> =
            number_list("weights").iter().map(|w| w.as_f64().unwrap() as f32).collect();
        let got: Vec<f32> = prompt.chunks().iter().flat_map(|c| c.weights.clone()).collect();
        assert_close(&format!("{number}: weights"), &got, &weights, 1e-6);
        let want: Vec<u64> =
            number_list("placeholders").iter().map(|p| p.as_u64().unwrap()).collect();
        assert_eq!(positions(&prompt), want, "{number}");
        let learned = engine::tensor(values, learned, &super::device());
        let context = text.contexts(&[prompt], Some(learned));
        let name = format!("{number}.context");
        assert_eq!(context.dims()[1..], golden.dims(&name)[..], "{name}");
        assert_close(&name, &engine::values(context), &golden.f32(&name), 1e-4);
    }
}

#[test]
fn weights_never_move_the_placeholder() {
    let plain = encode("a photo of * on the beach", STAR);
    for prompt in [
        "a photo of (*:1.3) on the beach",
        "a photo of (*) on the beach",
        "a photo of [[*]] on the (beach:0.2)",
        "(a photo) of (((*))) on [the] beach",
        r"a (photo:1.7) of \* on the beach",
        "a photo of (*:0) on the beach",
    ] {
        let weighted = encode(prompt, STAR);
        assert_eq!(positions(&weighted), positions(&plain), "{prompt}");
        assert_eq!(weighted.placeholder(), plain.placeholder(), "{prompt}");
        assert_eq!(weighted.end_of_text(), plain.end_of_text(), "{prompt}");
        assert_eq!(weighted.chunks()[0].prompt, plain.chunks()[0].prompt, "{prompt}");
    }
}

#[test]
fn a_prompt_without_weights_is_the_plain_one_to_the_bit() {
    let base = open(&golden::fixture("golden/tiny-sd"));
    let (text, tokenizer) = (base.text_encoder().unwrap(), base.tokenizer().unwrap());
    for prompt in ["a photo of *, on the beach: at noon", "", "*'s portrait"] {
        let plain = tokenizer.encode(prompt, Some(STAR)).unwrap();
        let weighted = encode(prompt, STAR);
        assert_eq!(weighted, WeightedPrompt::from(plain.clone()), "{prompt}");
        let learned = || Some(engine::tensor(vec![0.5; 16], [1, 16], &super::device()));
        let contexts = text.contexts(&[weighted], learned());
        let plain = text.forward(&[plain], learned());
        assert_eq!(engine::values(contexts), engine::values(plain), "{prompt}");
    }
}

#[test]
fn a_long_prompt_goes_on_in_further_chunks() {
    let long = format!("{}a photo of *", "sand ".repeat(80));
    let prompt = encode(&long, STAR);
    assert_eq!(prompt.chunks().len(), 2);
    // 75 words are in the first chunk, 5 and `a photo of` before it in the second.
    assert_eq!(prompt.placeholder(), Some(77 + 1 + 5 + 3));
    assert_eq!(prompt.end_of_text(), 77 + 1 + 5 + 4);
    // Behind the last comma of a full chunk the placeholder moves, with its weight.
    let moved =
        encode(&format!("{}, a (big *:1.4) {}", "sand ".repeat(60), "sea ".repeat(20)), STAR);
    assert_eq!(moved.placeholder(), Some(77 + 1 + 2));
    assert_eq!(moved.chunks()[1].weights[..5], [1.0, 1.0, 1.4, 1.4, 1.0]);
    let padded = encode("*", STAR).padded(3, &encode("", STAR).chunks()[0].prompt);
    assert_eq!((padded.chunks().len(), padded.end_of_text()), (3, 2));
    let vectors = encode(&format!("{}* *", "sand ".repeat(71)), Placeholder { vectors: 3, ..STAR });
    assert_eq!(positions(&vectors), [72, 73, 74, 78, 79, 80], "vectors stay together");
}

#[test]
fn prompts_without_end_are_refused() {
    let tokenizer = open(&golden::fixture("golden/tiny-sd")).tokenizer().unwrap();
    let error = tokenizer.encode_weighted(&"sand ".repeat(2401), None).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("2400 tokens"), "{error}");
    assert_eq!(tokenizer.encode_weighted(&"sand ".repeat(2400), None).unwrap().chunks().len(), 32);
    let huge = Placeholder { text: "*", vectors: 76, words: "" };
    let error = tokenizer.encode_weighted("a *", Some(huge)).unwrap_err();
    assert!(error.to_string().contains("76 vectors"), "{error}");
}
