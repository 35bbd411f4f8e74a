//! Base models from a hub on loopback.

use std::{fs, path::Path};

use super::{
    hub_server::{COMMIT, Fault, ID, Server},
    vico::{Place, Run, base, bytes},
};

/// Runs `vico` with the hub's variables set to a server.
fn run(place: &Place, server: &Server, more: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = place.command(arguments);
    for name in ["HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "XDG_CACHE_HOME", "http_proxy"] {
        command.env_remove(name);
    }
    command.env_remove("HTTP_PROXY").env_remove("all_proxy").env_remove("ALL_PROXY");
    command.env("HF_HOME", place.path("hf")).env("HF_ENDPOINT", &server.endpoint);
    command.envs(more.iter().copied());
    Run::of(command.output().unwrap(), arguments)
}

fn train(base: &str) -> Vec<&str> {
    let start = ["train", "photos", "--base", base, "--init-word", "toy", "--steps", "1"];
    [&start[..], &["--batch", "1", "--size", "128", "--output", "adapter.safetensors"]].concat()
}

const PULL: [&str; 3] = ["models", "pull", ID];
const OFFLINE: (&str, &str) = ("HF_HUB_OFFLINE", "1");
const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

fn snapshot(place: &Place) -> std::path::PathBuf {
    place.path(&format!("hf/hub/models--tiny--sd/snapshots/{COMMIT}"))
}

/// The small model, with a file that is not needed.
fn model(place: &Place) -> std::path::PathBuf {
    let to = place.path("served");
    copy(Path::new(&base()), &to);
    fs::write(to.join("unet/diffusion_pytorch_model.bin"), "a pickle").unwrap();
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_model_is_fetched_once_and_found_again() {
    let place = Place::new();
    let server = Server::start(&model(&place), Fault::None);
    run(&place, &server, &[OFFLINE], &train(ID)).failed(1, &[ID, "HF_HUB_OFFLINE"]);
    assert!(server.requests("").is_empty(), "nothing is asked for offline");
    let said = run(&place, &server, &[], &train(ID)).done().said();
    assert!(said.contains(UNET), "{said}");
    assert!(server.requests("diffusion_pytorch_model.bin").is_empty(), "it is not needed");
    assert!(!server.requests("special_tokens_map").is_empty(), "it names the padding");
    let own = Path::new(&base()).join(UNET);
    assert_eq!(bytes(snapshot(&place).join(UNET)), bytes(own));
    let first = bytes(place.path("adapter.safetensors"));

    let asked = server.requests("").len();
    let resume = ["train", "--resume", "adapter.run", "--steps", "2"];
    run(&place, &server, &[OFFLINE], &resume).done();
    assert_eq!(server.requests("").len(), asked, "all of it is in the cache");
    // The same model from the folder gives the same adapter but for its name.
    let folder = Place::new();
    folder.run(&train(&base())).done();
    let theirs = formats::TensorFile::open(folder.path("adapter.safetensors")).unwrap();
    fs::write(place.path("first.safetensors"), first).unwrap();
    let ours = formats::TensorFile::open(place.path("first.safetensors")).unwrap();
    assert_eq!(ours.metadata()["vico.base.name"], "sd");
    let fingerprint = "vico.base.fingerprint";
    assert_eq!(ours.metadata()[fingerprint], theirs.metadata()[fingerprint]);
    let said = run(&place, &server, &[], &["models", "list"]).done().said();
    assert!(said.contains("tiny/sd") && said.contains("a base model"), "{said}");
    assert!(said.contains("1 models in"), "{said}");
}

#[test]
fn the_cache_may_lie_elsewhere() {
    let place = Place::new();
    let server = Server::start(&model(&place), Fault::None);
    let cache = place.path("elsewhere");
    run(&place, &server, &[("HF_HUB_CACHE", cache.to_str().unwrap())], &PULL).done();
    assert!(cache.join("models--tiny--sd/refs/main").is_file());
    assert!(!place.path("hf").exists());
}

#[test]
fn half_precision_is_taken_where_there_is_nothing_else() {
    let place = Place::new();
    let served = model(&place);
    fs::remove_file(served.join("unet/diffusion_pytorch_model.bin")).unwrap();
    let half = "unet/diffusion_pytorch_model.fp16.safetensors";
    fs::rename(served.join(UNET), served.join(half)).unwrap();
    let server = Server::start(&served, Fault::None);
    run(&place, &server, &[], &train(ID)).done();
    assert!(snapshot(&place).join(half).is_file());
}

#[test]
fn a_download_that_is_cut_off_goes_on() {
    let place = Place::new();
    let server = Server::start(&model(&place), Fault::CutOnce);
    run(&place, &server, &[], &PULL).done();
    let own = Path::new(&base()).join(UNET);
    assert_eq!(bytes(snapshot(&place).join(UNET)), bytes(own));
    let resumed = server.requests("/store/unet/");
    assert!(resumed.iter().any(|line| !line.contains("Some((0,")), "from the middle: {resumed:?}");
}

#[test]
fn what_was_fetched_before_a_failure_is_kept() {
    let place = Place::new();
    let served = model(&place);
    let server = Server::start(&served, Fault::CutAlways);
    run(&place, &server, &[], &PULL).failed(1, &[ID, "cut off", "try again"]);
    assert!(!snapshot(&place).join(UNET).exists());
    let server = Server::start(&served, Fault::None);
    run(&place, &server, &[], &PULL).done();
    let asked = server.requests("/store/unet/");
    assert!(asked.iter().any(|line| !line.contains("Some((0,")), "from the middle: {asked:?}");
}

#[test]
fn damaged_files_do_not_stay_in_the_cache() {
    for (fault, words) in [(Fault::Damage, "SHA-256"), (Fault::IgnoreRanges, "bytes")] {
        let place = Place::new();
        let served = model(&place);
        let server = Server::start(&served, fault);
        run(&place, &server, &[], &PULL).failed(1, &[ID, "arrived damaged", words]);
        assert!(!snapshot(&place).join(UNET).exists(), "{fault:?}");
        let server = Server::start(&served, Fault::None);
        run(&place, &server, &[], &PULL).done();
        let said = run(&place, &server, &[], &["models", "list"]).done().said();
        assert!(said.contains("a base model"), "{said}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let place = Place::new();
    let served = model(&place);
    let gated = Server::start(&served, Fault::Gated);
    run(&place, &gated, &[], &PULL).failed(1, &[ID, "refuses", "set HF_TOKEN"]);
    let wrong = ("HF_TOKEN", "wrong");
    run(&place, &gated, &[wrong], &PULL).failed(1, &[ID, "your HF_TOKEN"]);
    run(&place, &gated, &[("HF_TOKEN", "secret")], &PULL).done();

    let open = Server::start(&served, Fault::None);
    let missing = train("nobody/nothing");
    run(&place, &open, &[], &missing).failed(1, &["nobody/nothing", "none of this name", "folder"]);
    run(&place, &open, &[], &["models", "pull", "nothing"]).failed(2, &["OWNER/NAME"]);
    fs::remove_file(served.join("vae/config.json")).unwrap();
    fs::write(served.join("v1-5.ckpt"), "weights").unwrap();
    run(&place, &open, &[], &PULL).failed(1, &["no vae/config.json", "tiny/sd/v1-5.ckpt"]);
    let nowhere = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    run(&place, &open, &nowhere, &PULL).failed(1, &["cannot be reached", "HF_HUB_OFFLINE=1"]);
}

#[test]
fn one_file_of_a_model() {
    let place = Place::new();
    let served = model(&place);
    fs::copy(golden::path("tiny-sd.ckpt"), served.join("v1-5.ckpt")).unwrap();
    let server = Server::start(&served, Fault::None);
    run(&place, &server, &[], &train("tiny/sd/v1-5.ckpt")).done();
    assert!(server.requests("unet").is_empty());
}

#[test]
fn encoders_are_fetched_too() {
    let place = Place::new();
    let served = place.path("served");
    copy(&golden::fixture("transformers/clip"), &served);
    let server = Server::start(&served, Fault::None);
    let judge = ["evaluate", "--photos", "photos", "--images", "photos", "--prompt", "a toy"];
    let judge = [&judge[..], &["--clip", ID]].concat();
    run(&place, &server, &[], &judge).done();
    let asked = server.requests("").len();
    run(&place, &server, &[OFFLINE], &judge).done();
    assert_eq!(server.requests("").len(), asked, "all of it is in the cache");
    let said = run(&place, &server, &[], &["models", "list"]).done().said();
    assert!(said.contains("an encoder"), "{said}");
}
