//! A port beside its original: every call on the same line, no line too wide to stand beside C's, and a mark
//! on each size or sign that is not C's.
//!
//! `lines.tsv` lists, for each program, the lines of the C file and the functions they call, `printf+1` if the
//! port calls it one line later. The lines of system calls are in the goldens, and only those that are one
//! line late are here, too. `types.tsv` has, for each line of a port that names a size or prints one, what C
//! has there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use lab::golden;
use lab::programs::{PROGRAMS, Program, root};
use lab::trace::OWN;
use regex_lite::Regex;

/// C functions for which Rust has another name.
const SAME: [(&str, &str); 3] = [("bzero", "bzero|zeroed|fill"), ("memset", "memset|zeroed|fill"), ("sprintf", "sprintf|snprintf")];

/// The rows of a table of `tests/lab`, below its heading: so many columns, of which the second is a line.
fn rows<const N: usize>(name: &str) -> Vec<([String; N], usize)> {
    let text = fs::read_to_string(root().join("tests/lab").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let row = |row: &str| {
        let columns: [String; N] = row.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{name}: not {N} columns: {row}"));
        let line = columns[1].parse().unwrap_or_else(|_| panic!("{name}: not a line number: {row}"));
        (columns, line)
    };
    text.lines().skip(1).map(row).collect()
}

/// The lines of a port without what is in strings and comments.
fn code(program: &Program) -> Vec<String> {
    let text = fs::read_to_string(root().join(program.source())).unwrap_or_else(|error| panic!("{}: {error}", program.name));
    let strings = Regex::new(r#""(\\.|[^"\\])*""#).unwrap();
    let comments = Regex::new(r"//.*|/\*.*?\*/").unwrap();
    text.lines().map(|line| comments.replace_all(&strings.replace_all(line, "\"\""), "").into_owned()).collect()
}

/// For each program what lines.tsv has: the line on which the port makes a call, and the function.
fn table() -> BTreeMap<String, Vec<(usize, String)>> {
    let mut table = BTreeMap::<String, Vec<(usize, String)>>::new();
    for ([program, _, calls], line) in rows("lines.tsv") {
        let call = |call: &str| call.strip_suffix("+1").map_or((line, call.to_owned()), |call| (line + 1, call.to_owned()));
        table.entry(program).or_default().extend(calls.split(' ').map(call));
    }
    table
}

#[test]
fn calls_are_on_their_originals_lines() {
    let mut table = table();
    let mut elsewhere = Vec::new();
    for program in &PROGRAMS {
        let code = code(program);
        for (line, call) in table.remove(program.name).unwrap_or_else(|| panic!("{} is not in lines.tsv", program.name)) {
            let names = SAME.iter().find(|(name, _)| *name == call).map_or(call.as_str(), |(_, names)| names);
            let called = Regex::new(&format!(r"\b({names})(::<[^>]*>)?\s*\(")).unwrap();
            if !code.get(line - 1).is_some_and(|code| called.is_match(code)) {
                elsewhere.push(format!("{}:{line}: no call of {call} is here", program.name));
            }
        }
    }
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
    assert!(table.is_empty(), "not our programs: {:?}", table.keys());
}

/// Functions whose system call has another name.
const CALLS: [(&str, &str); 5] = [("send", "sendto"), ("recv", "recvfrom"), ("fork", "clone"), ("wait", "wait4"), ("signal", "rt_sigaction")];

#[test]
fn no_system_call_is_where_c_has_none() {
    let mut known: BTreeSet<(String, usize, String)> = table().into_iter().flat_map(|(program, calls)| calls.into_iter().map(move |(line, call)| (program.clone(), line, call))).collect();
    for file in fs::read_dir(root().join("tests/lab/golden/terminal")).unwrap() {
        known.extend(golden::calls(&file.unwrap().path()).unwrap().into_iter().map(|(program, line, call)| (program, line as usize, call)));
    }
    let functions = OWN.into_iter().chain(CALLS.map(|(function, _)| function));
    let functions: Vec<(&str, Regex)> = functions.map(|function| (function, Regex::new(&format!(r"\b{function}\s*\(")).unwrap())).collect();
    let mut unknown = Vec::new();
    for program in &PROGRAMS {
        let source = fs::read_to_string(root().join(program.source())).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        for (at, code) in code(program).iter().enumerate() {
            // The mark of a line that ends in a brace is on the next one.
            let is_fix = lines[at].contains("// fix: ") || code.ends_with('{') && lines[at + 1].contains("// fix: ");
            for (function, _) in functions.iter().filter(|(_, called)| !is_fix && called.is_match(code)) {
                let call = CALLS.iter().find(|(name, _)| name == function).map_or(*function, |(_, call)| call);
                let is_known = |name: &str| known.contains(&(program.name.to_owned(), at + 1, name.to_owned()));
                if !is_known(function) && !is_known(call) {
                    unknown.push(format!("{}:{}: C does not call {function} here", program.name, at + 1));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// Two of these fit beside each other in 220 columns.
const WIDTH: usize = 110;

#[test]
fn no_line_of_a_port_is_too_wide() {
    let mut wide = Vec::new();
    for path in PROGRAMS.iter().map(Program::source).chain([PathBuf::from("common/src/lib.rs")]) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let lines = text.lines().zip(1..).filter(|(line, _)| line.chars().count() > WIDTH);
        wide.extend(lines.map(|(line, number)| format!("{}:{number}: {} columns", path.display(), line.chars().count())));
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// What is wrong with the types and formats of a port. `types` says for a program and a line what type or format the port
/// has there, and what C has.
fn unmarked(program: &str, source: &str, types: &BTreeMap<(String, usize), (String, String)>) -> Vec<String> {
    // A cast says itself what C does without a word.
    let cast = Regex::new(r" as (s?size_t|socklen_t)\b").unwrap();
    let name = Regex::new(r"\b(ssize_t|size_t|socklen_t)\b|%z[du]").unwrap();
    let mut wrong = Vec::new();
    let mut rows = types.range((program.to_owned(), 0)..=(program.to_owned(), usize::MAX)).map(|((_, line), _)| *line).collect::<Vec<_>>();
    for (line, number) in source.lines().zip(1..) {
        let (code, mark) = line.split_once("// fix: ").unwrap_or((line, ""));
        let code = cast.replace_all(code, "");
        let Some(here) = name.find(&code) else { continue };
        rows.retain(|row| *row != number);
        match types.get(&(program.to_owned(), number)) {
            None => wrong.push(format!("{program}:{number}: types.tsv does not say what C has for {}", here.as_str())),
            Some((says, _)) if says != here.as_str() => wrong.push(format!("{program}:{number}: {} here, {says} in types.tsv", here.as_str())),
            Some((says, c)) => {
                let is_marked = mark.split("; ").any(|mark| mark == format!("was {c}"));
                if (says != c) != is_marked {
                    wrong.push(format!("{program}:{number}: {says}, in C {c}: {}", if is_marked { "marked" } else { "no mark says so" }));
                }
            }
        }
    }
    wrong.extend(rows.iter().map(|row| format!("{program}:{row}: in types.tsv, but no size is here")));
    wrong
}

#[test]
fn each_size_or_sign_that_is_not_cs_is_marked() {
    let types = rows("types.tsv").into_iter().map(|([program, _, here, c], line)| ((program, line), (here, c))).collect::<BTreeMap<_, _>>();
    let source = |program: &Program| fs::read_to_string(root().join(program.source())).unwrap();
    let wrong: Vec<String> = PROGRAMS.iter().flat_map(|program| unmarked(program.name, &source(program), &types)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(types.values().any(|(here, c)| here != c));
}

#[test]
fn a_missing_or_idle_mark_is_found() {
    let types = BTreeMap::from([(("p".to_owned(), 1), ("ssize_t".to_owned(), "int".to_owned())), (("p".to_owned(), 2), ("%zd".to_owned(), "%zd".to_owned()))]);
    let wrong = |source: &str| unmarked("p", source, &types);
    assert_eq!(wrong("let n: ssize_t; // fix: was int\nprintf(c\"%zd\", n as size_t);"), [""; 0]);
    assert_eq!(wrong("let n: ssize_t;\nprintf(c\"%zd\", n); // fix: was %zd").len(), 2);
    assert_eq!(wrong("let n: size_t; // fix: was int\nprintf(c\"%zd\", n);").len(), 1);
    assert_eq!(wrong("let n: ssize_t; // fix: was int\nprintf(c\"%zd\", n);\nlet i: size_t;").len(), 1);
    assert_eq!(wrong("let n: ssize_t; // fix: was int").len(), 1);
}
