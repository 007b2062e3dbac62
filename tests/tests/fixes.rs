//! The fixes in the sources and the tables in the READMEs say the same, and each names a test.

use std::collections::BTreeSet;
use std::fs;

use lab::programs::{self, GROUPS, PROGRAMS, root};
use lab::scene;
use regex_lite::Regex;

/// (program, line, name)
type Fix = (String, usize, String);

fn in_sources() -> BTreeSet<Fix> {
    let mark = Regex::new(r"// fix: (.+)$|/\* fix: (.+?) \*/").unwrap();
    let mut fixes = BTreeSet::new();
    for program in &PROGRAMS {
        let text = fs::read_to_string(root().join(program.source())).unwrap();
        for (line, number) in text.lines().zip(1..) {
            for found in mark.captures_iter(line) {
                let name = found.get(1).or(found.get(2)).expect("one of the two matched").as_str();
                fixes.insert((program.name.to_owned(), number, name.to_owned()));
            }
        }
    }
    fixes
}

/// A row of a table of fixes.
struct Row {
    fixes: Vec<Fix>,
    /// The cell that names the test.
    test: String,
}

fn rows() -> Vec<Row> {
    let place = Regex::new(r"^(\w+):(\d+)$").unwrap();
    let mut rows = Vec::new();
    for group in GROUPS {
        let text = fs::read_to_string(root().join(group).join("README.md")).unwrap();
        for line in text.lines().skip_while(|line| !line.starts_with("| fix | where |")).skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{group}/README.md: not six columns: {line}");
            let places = cells[1].split(", ").map(|cell| {
                let found = place.captures(cell).unwrap_or_else(|| panic!("{group}/README.md: '{cell}' is not PROGRAM:LINE"));
                (found[1].to_owned(), found[2].parse().unwrap(), cells[0].to_owned())
            });
            rows.push(Row { fixes: places.collect(), test: cells[5].to_owned() });
        }
    }
    rows
}

#[test]
fn the_tables_list_every_fix() {
    let listed: BTreeSet<Fix> = rows().into_iter().flat_map(|row| row.fixes).collect();
    let marked = in_sources();
    assert!(!marked.is_empty());
    assert_eq!(marked.difference(&listed).collect::<Vec<_>>(), Vec::<&Fix>::new(), "marked in the source, but in no table");
    assert_eq!(listed.difference(&marked).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in a table, but not marked in the source");
}

#[test]
fn each_fix_names_a_scene_that_runs_the_program() {
    let scenes = scene::read_all(programs::root()).unwrap();
    let link = Regex::new(r"^\[([\w-]+)\]\(#[\w-]+\)$").unwrap();
    for Row { fixes, test } in rows() {
        if ["the compiler: the types differ", "none: nothing to see"].contains(&test.as_str()) || test.starts_with("`a_") {
            continue;
        }
        let mut programs = Vec::new();
        for name in test.split(", ") {
            let found = link.captures(name).unwrap_or_else(|| panic!("'{name}' is no scene of the same README"));
            let scene = scenes.iter().find(|scene| scene.name == found[1]).unwrap_or_else(|| panic!("no scene is called {}", &found[1]));
            programs.extend(scene.programs());
        }
        for (program, line, name) in fixes {
            assert!(programs.contains(&program.as_str()), "{program}:{line}: {name}: {test} does not run it");
        }
    }
}

#[test]
fn every_added_check_is_a_fix() {
    for program in &PROGRAMS {
        let text = fs::read_to_string(root().join(program.source())).unwrap();
        for (line, number) in text.lines().zip(1..) {
            assert!(!line.contains("check(") || line.contains(" fix: "), "{}:{number}: a check without its fix", program.name);
        }
    }
}
