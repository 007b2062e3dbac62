//! `tests/trials/reverts.tsv` says of each fix how to put it back; `cargo trials reverts` does so and sees that
//! it is noticed, which takes minutes.

use std::collections::BTreeSet;
use std::fs;

use lab::programs::root;
use lab::scene;
use trials::fixes::{self, Fix};
use trials::reverts::{self, Shown};

#[test]
fn every_fix_can_be_put_back() {
    let marked: BTreeSet<Fix> = fixes::rows(root()).unwrap().into_iter().flat_map(|row| row.fixes).collect();
    let reverts = reverts::read(root()).unwrap();
    let listed: BTreeSet<Fix> = reverts.iter().map(|revert| revert.fix.clone()).collect();
    assert_eq!(marked.symmetric_difference(&listed).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in one of the READMEs and tests/trials/reverts.tsv alone");
    for revert in &reverts {
        let source = fs::read_to_string(root().join(revert.source().unwrap())).unwrap();
        let without = revert.apply(&source).unwrap();
        assert_ne!(source, without, "{:?}", revert.fix);
    }
}

#[test]
fn what_shows_it_runs_the_program() {
    let scenes = scene::read_all(root()).unwrap();
    for revert in reverts::read(root()).unwrap() {
        let (Shown::Scene(name) | Shown::Calls(name) | Shown::Asan(name)) = &revert.shown else { continue };
        let scene = scenes.iter().find(|scene| scene.name == *name).unwrap_or_else(|| panic!("no scene is called {name}"));
        assert!(scene.programs().contains(&revert.fix.program.as_str()), "{name} does not run {}", revert.fix.program);
    }
}
