//! The way back of each fix: `tests/trials/reverts.tsv` says how to put its line back to what C does, and
//! what shows then that it has been.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::fixes::Fix;
use lab::programs;

/// What fails once a fix is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The compiler refuses it.
    Rustc,
    /// The scene goes otherwise.
    Scene(String),
    /// The calls in the scene are not those of the golden.
    Calls(String),
    /// The program, built with AddressSanitizer, is stopped in the scene.
    Asan(String),
    /// A call that is made to fail is not followed by what `tests/trials/faults.tsv` expects.
    Faults,
    /// A hostile input is not followed by what is expected.
    Hostile(String),
    /// Nothing at run time: the line in the source has not the text any more that the edit replaces.
    Reading,
}

/// A fix, and the edits of its program that take it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    pub fix: Fix,
    pub edits: Vec<Edit>,
    pub shown: Shown,
}

/// Another text in place of one that stands once in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Counted from 1.
    pub line: usize,
    pub from: String,
    pub to: String,
}

/// The table. Rows of the same fix stand together and are one: a row for each edit, the first with
/// what shows it.
///
/// # Errors
///
/// If it cannot be read or has a row of another form.
pub fn read(root: &Path) -> Result<Vec<Revert>> {
    let text = fs::read_to_string(root.join("tests/trials/reverts.tsv")).context("cannot read tests/trials/reverts.tsv")?;
    let mut reverts: Vec<Revert> = Vec::new();
    for row in text.lines().skip(1) {
        let (fix, edit, shown) = parse(row).with_context(|| format!("tests/trials/reverts.tsv: {row}"))?;
        match (shown, reverts.last_mut().filter(|last| last.fix == fix)) {
            (Some(shown), _) => reverts.push(Revert { fix, edits: vec![edit], shown }),
            (None, Some(last)) => last.edits.push(edit),
            (None, None) => bail!("tests/trials/reverts.tsv: {row}: nothing says what shows it"),
        }
    }
    Ok(reverts)
}

fn parse(row: &str) -> Result<(Fix, Edit, Option<Shown>)> {
    let cells: Vec<&str> = row.split('\t').collect();
    let &[program, line, name, at, from, to, shown] = cells.as_slice() else { bail!("not seven columns") };
    let number = |cell: &str| cell.parse::<usize>().with_context(|| format!("'{cell}' is no line"));
    let shown = match shown.split_once(' ') {
        _ if shown.is_empty() => None,
        None if shown == "rustc" => Some(Shown::Rustc),
        None if shown == "faults" => Some(Shown::Faults),
        None if shown == "reading" => Some(Shown::Reading),
        Some(("scene", name)) => Some(Shown::Scene(name.to_owned())),
        Some(("calls", name)) => Some(Shown::Calls(name.to_owned())),
        Some(("asan", name)) => Some(Shown::Asan(name.to_owned())),
        Some(("hostile", name)) => Some(Shown::Hostile(name.to_owned())),
        _ => bail!("'{shown}' is none of rustc, faults, reading, scene NAME, calls NAME, asan NAME, hostile NAME"),
    };
    let fix = Fix { program: program.to_owned(), line: number(line)?, name: name.to_owned() };
    Ok((fix, Edit { line: number(at)?, from: from.to_owned(), to: to.to_owned() }, shown))
}

impl Revert {
    /// The program's source without the fix.
    ///
    /// # Errors
    ///
    /// If a line has not the text that an edit replaces, or has it twice.
    pub fn apply(&self, source: &str) -> Result<String> {
        let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
        for edit in &self.edits {
            let at = || format!("tests/trials/reverts.tsv: {}:{}", self.fix.program, edit.line);
            let line = lines.get_mut(edit.line - 1).with_context(|| format!("{}: no such line", at()))?;
            ensure!(line.matches(&edit.from).count() == 1, "{}: '{}' does not stand there once", at(), edit.from);
            *line = line.replace(&edit.from, &edit.to);
        }
        Ok(lines.join("\n") + "\n")
    }

    /// The path of the program's source, from the workspace's root.
    ///
    /// # Errors
    ///
    /// If there is no such program.
    pub fn source(&self) -> Result<std::path::PathBuf> {
        let program = programs::find(&self.fix.program).with_context(|| format!("tests/trials/reverts.tsv: no program is called {}", self.fix.program))?;
        Ok(program.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fd = check(socket());\nbind(fd, fd);\n";

    fn applied(line: usize, from: &str) -> Result<String> {
        let fix = Fix { program: "udpserver".into(), line: 1, name: "unchecked socket".into() };
        let edit = Edit { line, from: from.into(), to: "x".into() };
        Revert { fix, edits: vec![edit], shown: Shown::Rustc }.apply(SOURCE)
    }

    #[test]
    fn the_text_that_stands_once_is_replaced() {
        assert_eq!(applied(1, "check(socket())").unwrap(), "fd = x;\nbind(fd, fd);\n");
        assert_eq!(applied(2, "(fd, fd)").unwrap(), "fd = check(socket());\nbindx;\n");
    }

    #[test]
    fn a_text_that_is_absent_or_stands_twice_is_an_error() {
        for (line, from, message) in [
            (1, "bind", "tests/trials/reverts.tsv: udpserver:1: 'bind' does not stand there once"),
            (2, "fd", "tests/trials/reverts.tsv: udpserver:2: 'fd' does not stand there once"),
            (3, "fd", "tests/trials/reverts.tsv: udpserver:3: no such line"),
        ] {
            assert_eq!(applied(line, from).unwrap_err().to_string(), message);
        }
    }
}
