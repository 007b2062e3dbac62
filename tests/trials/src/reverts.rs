//! Reverts: `tests/trials/reverts.tsv` says how to put the line of each fix back to what C does, and which
//! check must notice. Each is tried in a copy of the workspace.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::fixes::Fix;
use lab::programs::{self, Build, PROGRAMS, Profile};

/// What fails once a fix is gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// The compiler refuses it.
    Rustc,
    /// The scene fails.
    Scene(String),
    /// The calls in the scene are not those of the golden.
    Calls(String),
    /// The program, built with AddressSanitizer, is stopped in the scene.
    Asan(String),
    /// A call that is made to fail is not followed by what `tests/trials/faults.tsv` expects.
    Faults,
    /// Nothing at run time: the text that the edit replaces is no longer in the line.
    Reading,
}

/// A fix, and the edits of its program that take it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revert {
    pub fix: Fix,
    pub edits: Vec<Edit>,
    pub shown: Shown,
}

/// Replaces a text that is in the line exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Counted from 1.
    pub line: usize,
    pub from: String,
    pub to: String,
}

/// The table. Rows of the same fix follow each other and are one: a row for each edit, the first with
/// what shows it.
pub fn read(root: &Path) -> Result<Vec<Revert>> {
    let text = fs::read_to_string(root.join("tests/trials/reverts.tsv")).context("cannot read tests/trials/reverts.tsv")?;
    let mut reverts: Vec<Revert> = Vec::new();
    for row in text.lines().skip(1) {
        let (fix, edit, shown) = parse(row).with_context(|| format!("tests/trials/reverts.tsv: {row}"))?;
        match (shown, reverts.last_mut().filter(|last| last.fix == fix)) {
            (Some(shown), _) => reverts.push(Revert { fix, edits: vec![edit], shown }),
            (None, Some(last)) => last.edits.push(edit),
            (None, None) => bail!("tests/trials/reverts.tsv: {row}: the last column does not say what notices it"),
        }
    }
    Ok(reverts)
}

fn parse(row: &str) -> Result<(Fix, Edit, Option<Shown>)> {
    let cells: Vec<&str> = row.split('\t').collect();
    let &[program, line, name, at, from, to, shown] = cells.as_slice() else { bail!("not seven columns") };
    let number = |cell: &str| cell.parse::<usize>().with_context(|| format!("'{cell}' is not a line number"));
    let shown = match shown.split_once(' ') {
        _ if shown.is_empty() => None,
        None if shown == "rustc" => Some(Shown::Rustc),
        None if shown == "faults" => Some(Shown::Faults),
        None if shown == "reading" => Some(Shown::Reading),
        Some(("scene", name)) => Some(Shown::Scene(name.to_owned())),
        Some(("calls", name)) => Some(Shown::Calls(name.to_owned())),
        Some(("asan", name)) => Some(Shown::Asan(name.to_owned())),
        _ => bail!("'{shown}' is not one of rustc, faults, reading, scene NAME, calls NAME, asan NAME"),
    };
    let fix = Fix { program: program.to_owned(), line: number(line)?, name: name.to_owned() };
    Ok((fix, Edit { line: number(at)?, from: from.to_owned(), to: to.to_owned() }, shown))
}

impl Revert {
    /// The program's source without the fix.
    pub fn apply(&self, source: &str) -> Result<String> {
        let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
        for edit in &self.edits {
            let at = || format!("tests/trials/reverts.tsv: {}:{}", self.fix.program, edit.line);
            let line = lines.get_mut(edit.line - 1).with_context(|| format!("{}: no such line", at()))?;
            ensure!(line.matches(&edit.from).count() == 1, "{}: '{}' is not there exactly once", at(), edit.from);
            *line = line.replace(&edit.from, &edit.to);
        }
        Ok(lines.join("\n") + "\n")
    }

    /// The path of the program's source, from the workspace's root.
    pub fn source(&self) -> Result<std::path::PathBuf> {
        let program = programs::find(&self.fix.program).with_context(|| format!("tests/trials/reverts.tsv: no program is called {}", self.fix.program))?;
        Ok(program.source())
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Shown::Rustc => f.write_str("the compiler"),
            Shown::Scene(name) => write!(f, "scene {name}"),
            Shown::Calls(name) => write!(f, "the calls of scene {name}"),
            Shown::Asan(name) => write!(f, "AddressSanitizer in scene {name}"),
            Shown::Faults => f.write_str("the faults"),
            Shown::Reading => f.write_str("the test that reads the line"),
        }
    }
}

/// Whether a revert is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Noticed,
    Unnoticed,
    /// The check fails with the fix, too.
    FailsAnyway,
}

/// A copy of the workspace, to edit, and the ports as they are.
pub struct Bench<'a> {
    copy: TempDir,
    ports: TempDir,
    /// The tools.
    lab: PathBuf,
    trials: &'a Path,
    /// Whether a check passes with the fix: by what shows it, and by program unless that is a scene.
    passes: BTreeMap<(Shown, Option<String>), bool>,
}

impl Bench<'_> {
    /// `trials` is the tool itself.
    pub fn new(trials: &Path) -> Result<Bench<'_>> {
        let lab = programs::build(&["lab"], Profile::Dev)?["lab"].clone();
        let bench = Bench { copy: TempDir::new()?, ports: TempDir::new()?, lab, trials, passes: BTreeMap::new() };
        copy(programs::root(), bench.copy.path())?;
        for (name, path) in programs::build(&PROGRAMS.map(|program| program.name), Profile::Dev)? {
            fs::copy(path, bench.ports.path().join(name))?;
        }
        Ok(bench)
    }

    /// Undoes a fix: does the check notice that, and does it pass with the fix?
    pub fn try_out(&mut self, revert: &Revert) -> Result<Outcome> {
        let is_of_scene = matches!(revert.shown, Shown::Scene(_) | Shown::Calls(_) | Shown::Asan(_));
        let key = (revert.shown.clone(), (!is_of_scene).then(|| revert.fix.program.clone()));
        let passes_with = match self.passes.get(&key) {
            Some(passes) => *passes,
            None => self.check(revert)?,
        };
        self.passes.insert(key, passes_with);
        if !passes_with {
            return Ok(Outcome::FailsAnyway);
        }
        let source = self.copy.path().join(revert.source()?);
        let text = fs::read_to_string(&source)?;
        fs::write(&source, revert.apply(&text)?)?;
        let passes = self.check(revert);
        fs::write(&source, text)?;
        Ok(if passes? { Outcome::Unnoticed } else { Outcome::Noticed })
    }

    fn check(&self, revert: &Revert) -> Result<bool> {
        let program = revert.fix.program.as_str();
        if revert.shown == Shown::Reading {
            return Ok(revert.apply(&fs::read_to_string(self.copy.path().join(revert.source()?))?).is_ok());
        }
        let asan = matches!(revert.shown, Shown::Asan(_));
        let profile = if asan { Profile::Release } else { Profile::Dev };
        let build = Build { root: self.copy.path(), profile, asan, quiet: true }.run(&[program]);
        let Ok(built) = build else {
            ensure!(revert.shown == Shown::Rustc, "{program}:{}: with the edit of tests/trials/reverts.tsv it does not compile", revert.fix.line);
            return Ok(false);
        };
        let folder = TempDir::new()?;
        copy(self.ports.path(), folder.path())?;
        fs::copy(&built[program], folder.path().join(program))?;
        let (tool, args): (&Path, &[&str]) = match &revert.shown {
            Shown::Rustc | Shown::Reading => return Ok(true),
            Shown::Scene(name) => (&self.lab, &["replay", name, "--pause", "0", "--limit", "5"]),
            Shown::Calls(name) => (&self.lab, &["check", name]),
            Shown::Asan(name) => (self.trials, &["memory", name, "--tool", "asan"]),
            Shown::Faults => (self.trials, &["faults", program]),
        };
        let output = Command::new(tool).args(args).arg("--programs").arg(folder.path()).stdin(Stdio::null()).output();
        Ok(output.with_context(|| format!("cannot run {}", tool.display()))?.status.success())
    }
}

/// Copies a folder, but not what was built there, nor git's.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, to) = (entry.file_name(), to.join(entry.file_name()));
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), &to).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        } else if entry.file_type()?.is_dir() && name != "target" && name != ".git" {
            fs::create_dir(&to)?;
            copy(&entry.path(), &to)?;
        }
    }
    Ok(())
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
            (1, "bind", "tests/trials/reverts.tsv: udpserver:1: 'bind' is not there exactly once"),
            (2, "fd", "tests/trials/reverts.tsv: udpserver:2: 'fd' is not there exactly once"),
            (3, "fd", "tests/trials/reverts.tsv: udpserver:3: no such line"),
        ] {
            assert_eq!(applied(line, from).unwrap_err().to_string(), message);
        }
    }
}
