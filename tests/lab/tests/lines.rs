//! Every call of an original stands on the same line of its port.
//!
//! `lines.tsv` lists, for each program, the lines of the C file and the functions they call.

use std::collections::BTreeMap;
use std::fs;

use lab::programs::{PROGRAMS, Program, root};
use regex_lite::Regex;

/// Of 100 calls, how many stand on the very line; the others stand one line later.
const ON_THE_LINE: usize = 97;

/// C functions for which Rust has another name.
const SAME: [(&str, &str); 3] = [("bzero", "bzero|zeroed|fill"), ("memset", "memset|zeroed|fill"), ("sprintf", "sprintf|snprintf")];

/// For each program the calls of its original: line, name.
fn table() -> BTreeMap<String, Vec<(usize, String)>> {
    let text = fs::read_to_string(root().join("tests/lab/lines.tsv")).expect("tests/lab/lines.tsv is there");
    let mut table = BTreeMap::<String, Vec<(usize, String)>>::new();
    for row in text.lines().skip(1) {
        let [program, line, calls] = row.split('\t').collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("not three columns: {row}"));
        let line = line.parse().unwrap_or_else(|_| panic!("not a line number: {row}"));
        table.entry(program.to_owned()).or_default().extend(calls.split(' ').map(|call| (line, call.to_owned())));
    }
    table
}

/// The lines of a port without what is in strings and comments.
fn code(program: &Program) -> Vec<String> {
    let text = fs::read_to_string(root().join(program.source())).unwrap_or_else(|error| panic!("{}: {error}", program.name));
    let strings = Regex::new(r#""(\\.|[^"\\])*""#).unwrap();
    let comments = Regex::new(r"//.*|/\*.*?\*/").unwrap();
    text.lines().map(|line| comments.replace_all(&strings.replace_all(line, "\"\""), "").into_owned()).collect()
}

#[test]
fn calls_stand_on_their_originals_lines() {
    let table = table();
    let (mut total, mut late, mut elsewhere) = (0, Vec::new(), Vec::new());
    for program in &PROGRAMS {
        let code = code(program);
        for (line, call) in table.get(program.name).unwrap_or_else(|| panic!("{} is not in lines.tsv", program.name)) {
            let names = SAME.iter().find(|(name, _)| name == call).map_or(call.as_str(), |(_, names)| names);
            let called = Regex::new(&format!(r"\b({names})(::<[^>]*>)?\s*\(")).unwrap();
            let is_on = |line: usize| code.get(line - 1).is_some_and(|code| called.is_match(code));
            total += 1;
            if is_on(*line) {
            } else if is_on(line + 1) {
                late.push(format!("{}:{line}: {call} stands one line late", program.name));
            } else {
                elsewhere.push(format!("{}:{line}: {call} stands neither here nor on the next line", program.name));
            }
        }
    }
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
    assert!((total - late.len()) * 100 >= total * ON_THE_LINE, "{} of {total} calls are late:\n{}", late.len(), late.join("\n"));
}

#[test]
fn the_table_is_of_these_programs() {
    let mut names: Vec<&str> = PROGRAMS.iter().map(|program| program.name).collect();
    names.sort_unstable();
    assert_eq!(table().keys().collect::<Vec<_>>(), names);
}
