//! Completions and man pages.

use std::fs;

use super::vico::Place;

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = place.run(&["completions", shell]).done().said();
        assert!(said.contains("train") && said.contains("init-word"), "{shell}: {said}");
    }
    place.run(&["completions", "cmd"]).failed(2, &["bash"]);
}

#[test]
fn man_pages_tell_the_exit_codes() {
    let place = Place::new();
    let page = place.run(&["man"]).done().said();
    assert!(page.contains(".TH vico 1"), "{page}");
    assert!(page.contains("EXIT STATUS") && page.contains("130"), "{page}");
    assert!(!page.contains("EXTRA"), "{page}");
    place.run(&["man", "--output", "pages"]).done();
    let pages = place.list("pages");
    for name in ["vico.1", "vico-train.1", "vico-generate.1", "vico-import.1", "vico-models-pull.1"]
    {
        assert!(pages.contains(&name.to_owned()), "{name} in {pages:?}");
    }
    let page = fs::read_to_string(place.path("pages/vico-train.1")).unwrap();
    assert!(page.contains("init\\-word") && page.contains("EXIT STATUS"), "{page}");
    let help = place.run(&["--help"]).done().said();
    assert!(help.contains("Exit codes: 0 done; 1 failed"), "{help}");
}
