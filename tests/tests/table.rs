//! The table in the main README is the one that `cargo lab table` writes.

use std::fs;

use lab::{programs, table};

#[test]
fn the_readme_has_the_table_of_now() {
    let root = programs::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let now = table::replace(&readme, &table::text(root).unwrap()).unwrap();
    assert_eq!(readme, now, "run 'cargo lab table'");
}
