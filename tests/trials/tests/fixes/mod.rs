//! The fixes in the sources and the tables in FIXES.md say the same, each names a test, and
//! `tests/trials/reverts.tsv` can put each back.

use std::collections::BTreeSet;
use std::fs;

use lab::programs::{self, PROGRAMS, root};
use lab::scene;
use libtest_mimic::Trial;
use regex_lite::Regex;
use trials::fixes::{self, Fix};
use trials::reverts::{self, Shown};

pub fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 6] = [
        ("the_tables_list_every_fix", the_tables_list_every_fix),
        ("each_fix_names_a_scene_that_runs_the_program", each_fix_names_a_scene_that_runs_the_program),
        ("an_array_has_the_size_that_its_row_says", an_array_has_the_size_that_its_row_says),
        ("a_mark_says_which_type_or_format_c_has", a_mark_says_which_type_or_format_c_has),
        ("every_fix_can_be_put_back", every_fix_can_be_put_back),
        ("what_shows_it_runs_the_program", what_shows_it_runs_the_program),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(format!("fixes/{name}"), move || {
            test();
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

fn source(name: &str) -> String {
    let program = programs::find(name).unwrap_or_else(|| panic!("no program is called {name}"));
    fs::read_to_string(root().join(program.source())).unwrap()
}

fn in_sources() -> BTreeSet<Fix> {
    PROGRAMS.iter().flat_map(|program| fixes::marks(program.name, &source(program.name)).unwrap()).collect()
}

fn the_tables_list_every_fix() {
    let listed: BTreeSet<Fix> = fixes::rows(root()).unwrap().into_iter().flat_map(|row| row.fixes).collect();
    let marked = in_sources();
    assert!(!marked.is_empty());
    assert_eq!(marked.difference(&listed).collect::<Vec<_>>(), Vec::<&Fix>::new(), "marked in the source, but in no table");
    assert_eq!(listed.difference(&marked).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in a table, but not marked in the source");
}

fn each_fix_names_a_scene_that_runs_the_program() {
    let reverts = reverts::read(root()).unwrap();
    let scenes = scene::read_all(programs::root()).unwrap();
    for row in fixes::rows(root()).unwrap() {
        if row.scenes().is_empty() {
            for fix in &row.fixes {
                let shown = &reverts.iter().find(|revert| revert.fix == *fix).unwrap_or_else(|| panic!("tests/trials/reverts.tsv lacks {fix:?}")).shown;
                let says = match shown {
                    Shown::Rustc => row.test.starts_with("the compiler: "),
                    Shown::Faults => row.test.contains("`cargo trials faults`"),
                    Shown::Reading => row.test.ends_with("the line is read"),
                    _ => false,
                };
                assert!(says, "{}:{}: {}: the test '{}', but in tests/trials/reverts.tsv {shown:?}", fix.program, fix.line, fix.name, row.test);
            }
            continue;
        }
        let find = |name: &&str| scenes.iter().find(|scene| scene.name == **name).unwrap_or_else(|| panic!("no scene is called {name}"));
        let programs: Vec<&str> = row.scenes().iter().flat_map(|name| find(name).programs()).collect();
        for fix in &row.fixes {
            assert!(programs.contains(&fix.program.as_str()), "{}:{}: {}: {} does not run it", fix.program, fix.line, fix.name, row.test);
        }
    }
}

/// The line of the source that is fixed there, without its comment.
fn code(fix: &Fix) -> String {
    let source = source(&fix.program);
    let line = source.lines().nth(fix.line - 1).unwrap_or_else(|| panic!("{} has no line {}", fix.program, fix.line));
    line.split("// ").next().unwrap_or_default().to_owned()
}

fn an_array_has_the_size_that_its_row_says() {
    let cell = Regex::new(r"^`(\w+)` has (.+) bytes$").unwrap();
    let mut arrays = 0;
    for row in fixes::rows(root()).unwrap() {
        let Some(found) = cell.captures(&row.port) else { continue };
        for fix in &row.fixes {
            let code = code(fix);
            assert!(code.contains(&format!(" {} = ", &found[1])) && code.contains(&format!("; {}]", &found[2])), "{}:{}: {}: {code}", fix.program, fix.line, row.port);
            arrays += 1;
        }
    }
    assert!(arrays > 0);
}

fn a_mark_says_which_type_or_format_c_has() {
    let mut types = 0;
    for fix in in_sources() {
        let wanted: &[&str] = match fix.name.as_str() {
            "was int" => &["ssize_t", "socklen_t", "size_t"],
            "was size_t" => &["ssize_t"],
            "was %d" | "was %zu" => &["%zd"],
            name => {
                assert!(!name.starts_with("was "), "{fix:?}");
                continue;
            }
        };
        assert!(wanted.iter().any(|wanted| code(&fix).contains(wanted)), "{}:{}: {}", fix.program, fix.line, fix.name);
        types += 1;
    }
    assert!(types > 0);
}

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

fn what_shows_it_runs_the_program() {
    let scenes = scene::read_all(root()).unwrap();
    for revert in reverts::read(root()).unwrap() {
        let (Shown::Scene(name) | Shown::Calls(name) | Shown::Asan(name)) = &revert.shown else { continue };
        let scene = scenes.iter().find(|scene| scene.name == *name).unwrap_or_else(|| panic!("no scene is called {name}"));
        assert!(scene.programs().contains(&revert.fix.program.as_str()), "{name} does not run {}", revert.fix.program);
    }
}
