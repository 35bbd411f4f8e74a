use super::tiny;

#[test]
fn golden_tokenizer() {
    let tokenizer = tiny().tokenizer().unwrap();
    let cases = golden::json("tokenizer_golden.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        if case["disputed"].as_bool().unwrap() {
            continue;
        }
        let text = case["text"].as_str().unwrap();
        let want: Vec<u32> =
            case["ids"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap() as u32).collect();
        assert_eq!(tokenizer.encode(text, None).unwrap().ids, want, "{text:?}");
    }
}
