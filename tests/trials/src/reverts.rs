//! Reverts: a mark in a port, a row in a group's FIXES.md and a row in `tests/trials/reverts.tsv` say the
//! same of each fix. The last says how to put its line back to what C does, and which check must notice;
//! that is tried in a copy of the workspace.

use std::collections::BTreeMap;
use std::env;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use lab::programs::{self, Binaries, Build, PROGRAMS, Profile};

const FILE: &str = "tests/trials/reverts.tsv";

/// A line of a port that departs from C, and the edits of its program that take that away.
pub struct Revert {
    pub program: &'static str,
    /// Counted from 1.
    line: usize,
    /// What follows `fix:` in the source, or what `check` or `uninterrupted` is for.
    name: &'static str,
    /// What notices that: `rustc` does not compile it, `scene NAME` fails, the calls of `calls NAME` are not
    /// those of the golden, AddressSanitizer stops the program in `asan NAME`, `faults` finds it not to do
    /// what faults.tsv says; or, `reading`, only the text that the edit replaces is gone.
    pub shown: &'static str,
    /// A line, a text that stands there once, and another in its place.
    edits: Vec<(usize, &'static str, &'static str)>,
}

/// "udpserver:17: unchecked socket".
impl Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.program, self.line, self.name)
    }
}

/// The table: a row for each fix, with three cells for each edit at its end; an error if one is not as it should be.
pub fn read() -> Result<Vec<Revert>> {
    include_str!("../reverts.tsv").lines().skip(1).map(|row| parse(row).with_context(|| format!("{FILE}: {row}"))).collect()
}

fn parse(row: &'static str) -> Result<Revert> {
    let cells: Vec<&str> = row.split('\t').collect();
    let &[program, line, name, shown, ref edits @ ..] = cells.as_slice() else { bail!("not four columns and the edits") };
    let is_known = match shown.split_once(' ') {
        Some((kind, _)) => ["scene", "calls", "asan"].contains(&kind),
        None => ["rustc", "faults", "reading"].contains(&shown),
    };
    ensure!(is_known, "'{shown}' is not one of rustc, faults, reading, scene NAME, calls NAME, asan NAME");
    let number = |text: &str| text.parse().with_context(|| format!("'{text}' is not a line number"));
    let edit = |cells: &[&'static str]| {
        let &[line, from, to] = cells else { bail!("an edit has a line, a text and another") };
        Ok((number(line)?, from, to))
    };
    Ok(Revert { program, line: number(line)?, name, shown, edits: edits.chunks(3).map(edit).collect::<Result<_>>()? })
}

impl Revert {
    /// The program's source without the fix; an error if the text of an edit is not in its line exactly once.
    pub fn apply(&self, source: &str) -> Result<String> {
        let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
        for (line, from, to) in &self.edits {
            let text = lines.get_mut(line - 1).filter(|text| text.matches(from).count() == 1);
            let text = text.with_context(|| format!("{FILE}: {}:{line}: '{from}' is not there exactly once", self.program))?;
            *text = text.replace(from, to);
        }
        Ok(lines.join("\n") + "\n")
    }

    /// The scene in which a check notices it, if that is one of scenes.
    fn scene(&self) -> Option<&str> {
        self.shown.split_once(' ').map(|(_, scene)| scene)
    }
}

/// The path of a program's source, from the workspace's root.
fn source(program: &str) -> Result<PathBuf> {
    Ok(programs::find(program).with_context(|| format!("no program is called {program}"))?.source())
}

/// A copy of the workspace, to edit, and the ports as they are.
pub struct Workspace {
    copy: TempDir,
    ports: Binaries,
    lab: PathBuf,
    trials: PathBuf,
    /// Whether a check passes with the fix: by what shows it, and by program unless that is a scene.
    passes: BTreeMap<String, bool>,
}

impl Workspace {
    /// An error if the ports cannot be built, or the workspace cannot be copied.
    pub fn new() -> Result<Workspace> {
        let lab = programs::build(&["lab"], Profile::Dev)?["lab"].clone();
        let ports = programs::build(&PROGRAMS.map(|program| program.name), Profile::Dev)?;
        let workspace = Workspace { copy: TempDir::new()?, ports, lab, trials: env::current_exe()?, passes: BTreeMap::new() };
        copy(programs::root(), workspace.copy.path())?;
        Ok(workspace)
    }

    /// Undoes a fix; what is wrong, unless the check notices that and passes with the fix. An error if that cannot be tried.
    pub fn try_out(&mut self, revert: &Revert) -> Result<Option<&'static str>> {
        let key = if revert.scene().is_some() { revert.shown.to_owned() } else { format!("{} of {}", revert.shown, revert.program) };
        if !self.passes.contains_key(&key) {
            let passes = self.check(revert)?;
            self.passes.insert(key.clone(), passes);
        }
        if !self.passes[&key] {
            return Ok(Some("also fails with the fix:"));
        }
        let path = self.copy.path().join(source(revert.program)?);
        let text = fs::read_to_string(&path)?;
        fs::write(&path, revert.apply(&text)?)?;
        let passes = self.check(revert);
        fs::write(&path, text)?;
        Ok(passes?.then_some("NOT NOTICED by"))
    }

    fn check(&self, revert: &Revert) -> Result<bool> {
        let (program, kind, scene) = (revert.program, revert.shown.split(' ').next().unwrap_or_default(), revert.scene().unwrap_or_default());
        if kind == "reading" {
            return Ok(revert.apply(&fs::read_to_string(self.copy.path().join(source(program)?))?).is_ok());
        }
        let asan = kind == "asan";
        let profile = if asan { Profile::Release } else { Profile::Dev };
        let Ok(built) = (Build { root: self.copy.path(), profile, asan, quiet: true }).run(&[program]) else {
            ensure!(kind == "rustc", "{}: what {FILE} makes of it does not compile", revert);
            return Ok(false);
        };
        let folder = TempDir::new()?;
        for (name, path) in self.ports.iter().chain(&built) {
            fs::copy(path, folder.path().join(name))?;
        }
        let (tool, args): (&Path, &[&str]) = match kind {
            "scene" => (&self.lab, &["replay", scene, "--pause", "0", "--limit", "5"]),
            "calls" => (&self.lab, &["check", scene]),
            "asan" => (&self.trials, &["memory", scene, "--tool", "asan"]),
            "faults" => (&self.trials, &["faults", program]),
            _ => return Ok(true),
        };
        let output = Command::new(tool).args(args).arg("--programs").arg(folder.path()).stdin(Stdio::null()).output();
        Ok(output.with_context(|| format!("cannot run {}", tool.display()))?.status.success())
    }
}

/// Copies a folder, but not what was built there, nor git's.
fn copy(from: &Path, to: &Path) -> Result<()> {
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
    use std::collections::BTreeSet;

    use lab::programs::{GROUPS, root};
    use lab::scene;
    use regex_lite::Regex;

    use super::*;

    fn text_of(program: &str) -> String {
        fs::read_to_string(root().join(source(program).unwrap())).unwrap()
    }

    /// The marks in a program's source: the comments `// fix: NAME` or `// fix: NAME; NAME`, and the
    /// calls of `check` and `uninterrupted`, which are their own marks.
    fn marks(program: &str) -> Vec<String> {
        let mut fixes = Vec::new();
        for (line, number) in text_of(program).lines().zip(1..) {
            let (code, comment) = line.split_once("// fix: ").unwrap_or((line, ""));
            let mut names: Vec<String> = comment.split("; ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            if code.contains("check(fits_sun_path(") {
                names.push("path past sun_path".to_owned());
            } else if code.contains("check(") {
                let call = code.rsplit_once(", c\"").and_then(|(_, message)| message.split_once(" failed\")"));
                let (call, _) = call.unwrap_or_else(|| panic!("{program}:{number}: a check says 'CALL failed'"));
                names.push(format!("unchecked {call}"));
            }
            if code.contains("uninterrupted(") {
                names.push("handler's printf inside printf".to_owned());
            }
            fixes.extend(names.iter().map(|name| format!("{program}:{number}: {name}")));
        }
        fixes
    }

    /// The fixes in all tables of the FIXES.md files, those under the head `| fix | where | ...`; and the cells that
    /// say what the port does instead, and name the test.
    fn listed() -> Vec<[String; 3]> {
        let texts = GROUPS.map(|group| fs::read_to_string(root().join(group).join("FIXES.md")).unwrap());
        let tables = texts.iter().flat_map(|text| text.lines().skip_while(|line| !line.starts_with("| fix | where |")).skip(2).take_while(|line| line.starts_with('|')));
        let mut fixes = Vec::new();
        for line in tables {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let &[name, places, _, _, port, test] = cells.as_slice() else { panic!("a row of a table of fixes has six cells: {line}") };
            fixes.extend(places.split(", ").map(|place| [format!("{place}: {name}"), port.to_owned(), test.to_owned()]));
        }
        fixes
    }

    #[test]
    fn sources_and_tables_list_the_same_fixes() {
        let marked: BTreeSet<String> = PROGRAMS.iter().flat_map(|program| marks(program.name)).collect();
        let listed: BTreeSet<String> = listed().into_iter().map(|[fix, ..]| fix).collect();
        let put_back: BTreeSet<String> = read().unwrap().iter().map(Revert::to_string).collect();
        assert!(!marked.is_empty());
        assert_eq!(marked.symmetric_difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "in one of the sources and the FIXES.md alone");
        assert_eq!(marked.symmetric_difference(&put_back).collect::<Vec<_>>(), Vec::<&String>::new(), "in one of the sources and {FILE} alone");
    }

    #[test]
    fn a_table_says_what_is_true_of_a_fix_and_it_can_be_undone() {
        let (reverts, scenes) = (read().unwrap(), scene::read_all().unwrap());
        let runs = |name: &str, program: &str| scenes.iter().find(|scene| scene.name == name).is_some_and(|scene| scene.programs().contains(&program));
        let link = Regex::new(r"\[([^\]]+)\]\([^)]*#").unwrap();
        let array = Regex::new(r"^`(\w+)` has (.+) bytes$").unwrap();
        for [fix, port, test] in listed() {
            let revert = reverts.iter().find(|revert| revert.to_string() == fix).unwrap();
            let named: Vec<&str> = link.captures_iter(&test).map(|found| found.get(1).unwrap().as_str()).collect();
            let is_right = match revert.shown {
                _ if !named.is_empty() => named.iter().any(|name| runs(name, revert.program)),
                "rustc" => test.starts_with("the compiler: "),
                "faults" => test.contains("`cargo trials faults`"),
                "reading" => test.ends_with("only a reader notices"),
                _ => false,
            };
            assert!(is_right, "{fix}: the test '{test}', but in {FILE} {}", revert.shown);
            assert!(revert.scene().is_none_or(|scene| runs(scene, revert.program)), "{fix}: {} does not run it", revert.shown);
            let source = text_of(revert.program);
            assert_ne!(revert.apply(&source).unwrap(), source, "{fix}");
            if let Some(found) = array.captures(&port) {
                let code = source.lines().nth(revert.line - 1).unwrap();
                assert!(code.contains(&format!(" {} = ", &found[1])) && code.contains(&format!("; {}]", &found[2])), "{fix}: {code}");
            }
        }
    }

    #[test]
    fn an_edit_replaces_a_text_that_stands_once() {
        let applied = |line: usize, from: &'static str| {
            let revert = Revert { program: "p", line: 1, name: "", shown: "", edits: vec![(line, from, "x")] };
            revert.apply("fd = check(socket());\nbind(fd, fd);\n").map_err(|error| error.to_string())
        };
        assert_eq!(applied(2, "(fd, fd)").unwrap(), "fd = check(socket());\nbindx;\n");
        for (line, from) in [(1, "bind"), (2, "fd"), (3, "fd")] {
            assert_eq!(applied(line, from).unwrap_err(), format!("{FILE}: p:{line}: '{from}' is not there exactly once"));
        }
    }
}
