//! `--device` and `vico devices`.

use std::process::Command;

use super::vico::{Place, Run, base};

/// `vico` with the environment's device.
fn run_on(place: &Place, device: Option<&str>, arguments: &[&str]) -> Run {
    let mut command: Command = place.command(arguments);
    match device {
        Some(name) => command.env("VICO_DEVICE", name),
        None => command.env_remove("VICO_DEVICE"),
    };
    Run::of(command.output().unwrap(), arguments)
}

fn train(place: &Place, device: Option<&str>, more: &[&str]) -> Run {
    let base = base();
    let mut arguments = vec!["train", "photos", "--base", &base, "--init-word", "toy"];
    arguments.extend(["--output", "adapter.safetensors", "--steps", "2", "--batch", "1"]);
    arguments.extend(more);
    run_on(place, device, &arguments)
}

#[test]
fn the_processor_is_listed() {
    let said = run_on(&Place::new(), None, &["devices"]).done().said();
    let first =
        said.lines().find(|line| line.starts_with("cpu ")).unwrap_or_else(|| panic!("{said}"));
    assert!(first.contains("threads") && first.contains("GB"), "{first}");
    if !cfg!(feature = "vulkan") {
        assert!(said.contains("not in this program: ") && said.contains("--features"), "{said}");
    }
}

#[test]
fn devices_that_are_not_there_are_mistakes() {
    let place = Place::new();
    train(&place, None, &["--device", "gpu"]).failed(2, &["\"gpu\" names no device", "vulkan:1"]);
    train(&place, Some("gpu"), &[]).failed(2, &["\"gpu\" names no device"]);
    train(&place, None, &["--device", "cpu:1"]).failed(2, &["no device cpu:1", "1 of its kind"]);
    if !cfg!(feature = "cuda") {
        train(&place, None, &["--device", "cuda"])
            .failed(2, &["built without cuda", "--features cuda"]);
    }
    assert_eq!(place.list("."), ["photos"], "nothing was written");
    // What does not compute does not ask for the device.
    run_on(&place, Some("gpu"), &["models", "list"]).done();
}

#[test]
fn what_is_for_cards_is_a_mistake_on_the_processor() {
    let place = Place::new();
    train(&place, None, &["--precision", "f16"]).failed(2, &["--precision bf16"]);
    train(&place, None, &["--precision", "tf32"]).failed(2, &["--precision tf32", "bf16"]);
    train(&place, None, &["--offload"]).failed(2, &["--offload is for graphics cards"]);
    train(&place, None, &["--precision", "half"]).failed(2, &["expected f32, bf16, f16 or tf32"]);
    assert_eq!(place.list("."), ["photos"], "nothing was written");
    run_on(&place, None, &["bench", "--dry-run"]).failed(2, &["--dry-run", "--device"]);
}

#[test]
fn the_processor_may_be_named() {
    let (named, default) = (Place::new(), Place::new());
    train(&named, Some("gpu"), &["--device", "cpu"]).done();
    train(&default, None, &[]).done();
    let adapter = |place: &Place| super::vico::bytes(place.path("adapter.safetensors"));
    assert_eq!(adapter(&named), adapter(&default));
}

/// On a machine with a Vulkan driver; Mesa's software driver will do.
#[cfg(feature = "vulkan")]
mod vulkan {
    use golden::relative_error;

    use super::{super::training::learned, *};

    /// A place, if there is a Vulkan device.
    fn place() -> Option<Place> {
        let place = Place::new();
        let said = run_on(&place, None, &["devices"]).done().said();
        if said.lines().any(|line| line.starts_with("vulkan:0 ")) {
            return Some(place);
        }
        golden::skipped("there is no Vulkan driver here");
        None
    }

    #[test]
    fn trains_and_draws_as_the_processor_does() {
        let Some(place) = place() else { return };
        let cpu = Place::new();
        train(&cpu, None, &[]).done();
        let said = train(&place, None, &["--device", "vulkan"]).done().said();
        assert!(said.contains("computing on vulkan:0"), "{said}");
        let adapters = [&cpu, &place].map(|place| learned(&place.path("adapter.safetensors")));
        for ((name, want), (_, got)) in adapters[0].iter().zip(&adapters[1]) {
            let error = relative_error(got, want);
            assert!(error < 1e-3, "{name} differs by {error:.1e}");
        }
        let draw = |device: &str, output: &str| {
            let base = base();
            let mut arguments = vec!["generate", "a *", "--base", &base, "--steps", "3"];
            arguments.extend(["--adapter", "adapter.safetensors", "--output", output]);
            run_on(&place, Some(device), &arguments).done();
            images::read_photo(place.path(output)).unwrap()
        };
        let pictures = [draw("cpu", "cpu.png"), draw("vulkan:0", "vulkan.png")];
        let pairs = pictures[0].rgb().iter().zip(pictures[1].rgb());
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(1), "pixels differ by {most:?} of 255");

        let again = ["generate", "--from", "vulkan.png", "--output", "again.png"];
        let said = run_on(&place, None, &again).done().said();
        assert!(
            said.contains("f32, on Vulkan") && said.contains("not to the same bytes"),
            "{said}"
        );
        let resume = ["train", "--resume", "adapter.run", "--steps", "3"];
        run_on(&place, None, &resume).failed(2, &["--device vulkan"]);
        run_on(&place, Some("vulkan"), &resume).done();
    }

    #[test]
    fn trains_and_draws_in_f16_with_weights_elsewhere() {
        let Some(place) = place() else { return };
        let devices = run_on(&place, None, &["devices"]).done().said();
        if !devices.contains("; f16: passes the self-test") {
            golden::skipped("the Vulkan driver has no f16");
            return;
        }
        let offloading = Place::new();
        train(&place, Some("vulkan"), &["--precision", "f16"]).done();
        let said = train(&offloading, Some("vulkan"), &["--precision", "fp16", "--offload"]);
        assert!(said.done().said().contains("of the machine's for the others"));
        let [there, elsewhere] = [&place, &offloading].map(|place| {
            let resume = ["train", "--resume", "adapter.run", "--steps", "3"];
            run_on(place, Some("vulkan"), &resume).done();
            super::super::vico::bytes(place.path("adapter.safetensors"))
        });
        assert!(there == elsewhere, "streaming the weights changes what is learned");

        let draw = |more: &[&str], output: &str| {
            let base = base();
            let mut arguments = vec!["generate", "a *", "--base", &base, "--steps", "3"];
            arguments.extend(["--adapter", "adapter.safetensors", "--output", output]);
            arguments.extend(more);
            run_on(&place, Some("vulkan"), &arguments).done();
        };
        draw(&["--precision", "f16", "--offload"], "half.png");
        let again = ["generate", "--from", "half.png", "--output", "again.png"];
        let said = run_on(&place, Some("vulkan"), &again).done().said();
        assert!(said.contains("in f16 against the processor"), "{said}");
        let bytes = |name: &str| super::super::vico::bytes(place.path(name));
        assert!(bytes("half.png") == bytes("again.png"), "drawn again in the same precision");
        run_on(&place, Some("cpu"), &again).failed(2, &["f16", "--precision bf16"]);
    }

    /// Steps that reserve memory and compute nothing, as `--dry-run` has them.
    #[test]
    fn memory_does_not_grow_from_step_to_step() {
        let Some(place) = place() else { return };
        let base = base();
        let held_after = |steps: &str| {
            let mut arguments = vec!["bench", "--base", &base, "--case", "train-1", "--json"];
            arguments.extend(["--dry-run", "--repeats", steps]);
            let said = run_on(&place, Some("vulkan"), &arguments).done().said();
            let mut values = serde_json::Deserializer::from_str(&said).into_iter();
            let answer: serde_json::Value = values.next().unwrap().unwrap();
            assert!(answer["cases"][0]["seconds"].is_null(), "{answer}");
            answer["cases"][0]["device_memory"].as_u64().unwrap()
        };
        let few = held_after("3");
        assert!(few > 0);
        assert_eq!(held_after("60"), few);
    }

    #[test]
    fn refuses_what_the_processor_alone_can_do() {
        let Some(place) = place() else { return };
        for (option, word) in [
            (["--precision", "bf16"], "does not compute in bf16"),
            (["--memory", "8GB"], "--device cpu"),
        ] {
            let more = [&["--device", "vulkan"][..], &option].concat();
            train(&place, None, &more).failed(2, &["--", word]);
        }
        train(&place, None, &["--device", "vulkan:99"]).failed(2, &["no device vulkan:99"]);
        assert_eq!(place.list("."), ["photos"], "nothing was written");
    }
}
