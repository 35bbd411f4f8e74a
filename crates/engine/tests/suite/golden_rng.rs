use engine::rng::TorchRng;
use golden::Golden;

/// At most one unit in the last place apart.
fn assert_ulp(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (a, b)) in got.iter().zip(want).enumerate() {
        let apart = a.to_bits().abs_diff(b.to_bits());
        assert!(apart <= 1, "{what}[{i}]: {a} instead of {b}");
    }
}

#[test]
fn golden_randn() {
    let golden = Golden::open("rng.safetensors");
    let mut checked = 0;
    for name in golden.names() {
        let parts: Vec<&str> = name.split('.').collect();
        // `tail`: the end of a draw that was too long to keep.
        let (["randn", seed, shape] | ["randn", seed, shape, "tail"]) = parts[..] else { continue };
        let want = golden.f32(&name);
        let count = shape.split('x').map(|side| side.parse::<usize>().unwrap()).product();
        let got = TorchRng::new(seed.parse().unwrap()).randn(count);
        assert_ulp(&name, &got[count - want.len()..], &want);
        checked += 1;
    }
    assert!(checked > 10, "normal numbers of several seeds and lengths");
}

#[test]
fn golden_one_stream_of_many_kinds() {
    let golden = Golden::open("rng.safetensors");
    for seed in golden.cases_between("rand.", "") {
        let mut rng = TorchRng::new(seed.parse().unwrap());
        let name = |what: &str| format!("{what}.{seed}");
        let want = golden.f32(&name("rand"));
        assert_eq!(rng.rand(want.len()), want, "{}", name("rand"));
        let want = golden.i64(&name("randint"));
        assert_eq!(rng.randint(0, 1000, want.len()), want, "{}", name("randint"));
        let want = golden.f32(&name("randn_after"));
        assert_ulp(&name("randn_after"), &rng.randn(want.len()), &want);
    }
}

#[test]
fn golden_f64() {
    let golden = Golden::open("rng.safetensors");
    for seed in golden.cases_between("double.", ".next") {
        let mut rng = TorchRng::new(seed.parse().unwrap());
        for name in [format!("double.{seed}"), format!("double.{seed}.next")] {
            let want = golden.f32(&name);
            let got: Vec<f32> = rng.randn_f64(want.len()).into_iter().map(|v| v as f32).collect();
            assert_ulp(&name, &got, &want);
        }
    }
}

#[test]
fn golden_short_and_long_draws_of_one_stream() {
    let golden = Golden::open("rng.safetensors");
    for seed in golden.cases_between("sequence.", ".0") {
        let mut rng = TorchRng::new(seed.parse().unwrap());
        let names = (0..).map(|i| format!("sequence.{seed}.{i}"));
        for name in names.take_while(|name| golden.has(name)) {
            let want = golden.f32(&name);
            assert_ulp(&name, &rng.randn(want.len()), &want);
        }
    }
}
