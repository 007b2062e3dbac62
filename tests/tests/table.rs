//! The tables in the main README are those that `cargo lab table` writes.

use std::fs;

use lab::{programs, table};

#[test]
fn the_readme_has_the_tables_of_now() {
    let root = programs::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let now = table::renew(&readme, root).unwrap();
    assert_eq!(readme, now, "run 'cargo lab table'");
}
