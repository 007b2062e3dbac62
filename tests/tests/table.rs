//! The tables in the main README are those that `cargo lab table` writes.

use std::fs;

use lab::programs::GROUPS;
use lab::{programs, table};

#[test]
fn the_readme_has_the_tables_of_now() {
    let root = programs::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let now = table::renew(&readme, root).unwrap();
    assert_eq!(readme, now, "run 'cargo lab table'");
}

#[test]
fn no_readme_has_a_place_that_is_still_to_be_filled() {
    for file in GROUPS.iter().map(|group| format!("{group}/README.md")).chain(["README.md".to_owned(), "tests/README.md".to_owned()]) {
        let text = fs::read_to_string(programs::root().join(&file)).unwrap();
        assert!(!text.contains("_FIGURES"), "{file}");
        let count = |mark: &str| text.matches(mark).count();
        assert_eq!(count(": written by cargo lab table -->"), count("<!-- end of what cargo lab table writes -->"), "{file}");
    }
}
