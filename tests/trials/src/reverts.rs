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

/// A line of a port that departs from C.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fix {
    pub program: String,
    /// Counted from 1.
    pub line: usize,
    /// What follows `fix:` in the source, or what `check` or `uninterrupted` is for.
    pub name: String,
}

impl Fix {
    fn new(program: &str, line: &str, name: &str) -> Result<Fix> {
        Ok(Fix { program: program.to_owned(), line: number(line)?, name: name.to_owned() })
    }
}

/// "udpserver:17: unchecked socket".
impl Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.program, self.line, self.name)
    }
}

/// A fix, and the edits of its program that take it away.
pub struct Revert {
    pub fix: Fix,
    /// What notices that: `rustc` does not compile it, `scene NAME` fails, the calls of `calls NAME` are not
    /// those of the golden, AddressSanitizer stops the program in `asan NAME`, `faults` finds it not to do
    /// what faults.tsv says; or, `reading`, only the text that the edit replaces is gone.
    pub shown: &'static str,
    edits: Vec<Edit>,
}

/// Another text in place of one that stands once in a line.
struct Edit {
    /// Counted from 1.
    line: usize,
    from: &'static str,
    to: &'static str,
}

/// The table: a row for each fix, with three cells for each edit at its end.
///
/// # Errors
///
/// If a row is not as it should be.
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
    let edit = |cells: &[&'static str]| {
        let &[line, from, to] = cells else { bail!("an edit has a line, a text and another") };
        Ok(Edit { line: number(line)?, from, to })
    };
    Ok(Revert { fix: Fix::new(program, line, name)?, shown, edits: edits.chunks(3).map(edit).collect::<Result<_>>()? })
}

/// A line number.
fn number(text: &str) -> Result<usize> {
    text.parse().with_context(|| format!("'{text}' is not a line number"))
}

impl Revert {
    /// The program's source without the fix.
    ///
    /// # Errors
    ///
    /// If the text of an edit is not in its line exactly once.
    pub fn apply(&self, source: &str) -> Result<String> {
        let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
        for Edit { line, from, to } in &self.edits {
            let text = lines.get_mut(line - 1).filter(|text| text.matches(from).count() == 1);
            let text = text.with_context(|| format!("{FILE}: {}:{line}: '{from}' is not there exactly once", self.fix.program))?;
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
    /// # Errors
    ///
    /// If the ports cannot be built, or the workspace cannot be copied.
    pub fn new() -> Result<Workspace> {
        let lab = programs::build(&["lab"], Profile::Dev)?["lab"].clone();
        let ports = programs::build(&PROGRAMS.map(|program| program.name), Profile::Dev)?;
        let workspace = Workspace { copy: TempDir::new()?, ports, lab, trials: env::current_exe()?, passes: BTreeMap::new() };
        copy(programs::root(), workspace.copy.path())?;
        Ok(workspace)
    }

    /// Puts a fix back; what is wrong, unless the check notices that and passes with the fix.
    ///
    /// # Errors
    ///
    /// If an edit cannot be made, does not compile, or the check cannot be run.
    pub fn try_out(&mut self, revert: &Revert) -> Result<Option<&'static str>> {
        let key = if revert.scene().is_some() { revert.shown.to_owned() } else { format!("{} of {}", revert.shown, revert.fix.program) };
        let passes_with = match self.passes.get(&key) {
            Some(passes) => *passes,
            None => self.check(revert)?,
        };
        self.passes.insert(key, passes_with);
        if !passes_with {
            return Ok(Some("also fails with the fix:"));
        }
        let path = self.copy.path().join(source(&revert.fix.program)?);
        let text = fs::read_to_string(&path)?;
        fs::write(&path, revert.apply(&text)?)?;
        let passes = self.check(revert);
        fs::write(&path, text)?;
        Ok(passes?.then_some("NOT NOTICED by"))
    }

    fn check(&self, revert: &Revert) -> Result<bool> {
        let (program, kind, scene) = (revert.fix.program.as_str(), revert.shown.split(' ').next().unwrap_or_default(), revert.scene().unwrap_or_default());
        if kind == "reading" {
            return Ok(revert.apply(&fs::read_to_string(self.copy.path().join(source(&revert.fix.program)?))?).is_ok());
        }
        let asan = kind == "asan";
        let profile = if asan { Profile::Release } else { Profile::Dev };
        let Ok(built) = (Build { root: self.copy.path(), profile, asan, quiet: true }).run(&[program]) else {
            ensure!(kind == "rustc", "{}: what {FILE} makes of it does not compile", revert.fix);
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
    fn marks(program: &str) -> Vec<Fix> {
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
            fixes.extend(names.into_iter().map(|name| Fix { program: program.to_owned(), line: number, name }));
        }
        fixes
    }

    /// A row of a FIXES.md: the same fix, at one place or some.
    struct Row {
        fixes: Vec<Fix>,
        /// The cell that says what the port does instead.
        port: String,
        /// The cell that names the test.
        test: String,
    }

    /// The rows of all tables of fixes: those under the head `| fix | where | ...`.
    fn rows() -> Vec<Row> {
        let texts = GROUPS.map(|group| fs::read_to_string(root().join(group).join("FIXES.md")).unwrap());
        let tables = texts.iter().flat_map(|text| text.lines().skip_while(|line| !line.starts_with("| fix | where |")).skip(2).take_while(|line| line.starts_with('|')));
        tables.map(row).collect()
    }

    fn row(line: &str) -> Row {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[name, places, _, _, port, test] = cells.as_slice() else { panic!("a row of a table of fixes has six cells: {line}") };
        let fix = |place: &str| {
            let (program, at) = place.split_once(':').unwrap_or_else(|| panic!("'{place}' is not PROGRAM:LINE: {line}"));
            Fix::new(program, at, name).unwrap()
        };
        Row { fixes: places.split(", ").map(fix).collect(), port: port.to_owned(), test: test.to_owned() }
    }

    #[test]
    fn sources_and_tables_list_the_same_fixes() {
        let marked: BTreeSet<Fix> = PROGRAMS.iter().flat_map(|program| marks(program.name)).collect();
        let listed: BTreeSet<Fix> = rows().into_iter().flat_map(|row| row.fixes).collect();
        let put_back: BTreeSet<Fix> = read().unwrap().into_iter().map(|revert| revert.fix).collect();
        assert!(!marked.is_empty());
        assert_eq!(marked.symmetric_difference(&listed).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in one of the sources and the FIXES.md alone");
        assert_eq!(marked.symmetric_difference(&put_back).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in one of the sources and {FILE} alone");
    }

    #[test]
    fn a_table_says_what_is_true_of_a_fix() {
        let (reverts, scenes) = (read().unwrap(), scene::read_all(root()).unwrap());
        let runs = |name: &str, fix: &Fix| scenes.iter().find(|scene| scene.name == name).is_some_and(|scene| scene.programs().contains(&fix.program.as_str()));
        let link = Regex::new(r"\[([^\]]+)\]\([^)]*#").unwrap();
        let array = Regex::new(r"^`(\w+)` has (.+) bytes$").unwrap();
        for row in rows() {
            let named: Vec<&str> = link.captures_iter(&row.test).map(|found| found.get(1).unwrap().as_str()).collect();
            for fix in &row.fixes {
                let revert = reverts.iter().find(|revert| revert.fix == *fix).unwrap();
                let is_right = match revert.shown {
                    _ if !named.is_empty() => named.iter().any(|name| runs(name, fix)),
                    "rustc" => row.test.starts_with("the compiler: "),
                    "faults" => row.test.contains("`cargo trials faults`"),
                    "reading" => row.test.ends_with("only a reader notices"),
                    _ => false,
                };
                assert!(is_right, "{fix}: the test '{}', but in {FILE} {}", row.test, revert.shown);
                assert!(revert.scene().is_none_or(|scene| runs(scene, fix)), "{fix}: {} does not run it", revert.shown);
                if let Some(found) = array.captures(&row.port) {
                    let source = text_of(&fix.program);
                    let code = source.lines().nth(fix.line - 1).unwrap();
                    assert!(code.contains(&format!(" {} = ", &found[1])) && code.contains(&format!("; {}]", &found[2])), "{fix}: {code}");
                }
            }
        }
    }

    #[test]
    fn every_fix_can_be_put_back() {
        for revert in read().unwrap() {
            let source = text_of(&revert.fix.program);
            assert_ne!(revert.apply(&source).unwrap(), source, "{}", revert.fix);
        }
    }

    #[test]
    fn an_edit_replaces_a_text_that_stands_once() {
        let applied = |line: usize, from: &'static str| {
            let edit = Edit { line, from, to: "x" };
            let revert = Revert { fix: Fix { program: "p".into(), line: 1, name: String::new() }, edits: vec![edit], shown: "" };
            revert.apply("fd = check(socket());\nbind(fd, fd);\n").map_err(|error| error.to_string())
        };
        assert_eq!(applied(2, "(fd, fd)").unwrap(), "fd = check(socket());\nbindx;\n");
        for (line, from) in [(1, "bind"), (2, "fd"), (3, "fd")] {
            assert_eq!(applied(line, from).unwrap_err(), format!("{FILE}: p:{line}: '{from}' is not there exactly once"));
        }
    }
}
