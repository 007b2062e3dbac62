//! Reverts: a mark in a port, a row in a group's FIXES.md and a row in `tests/trials/reverts.tsv` say the
//! same of each fix. The last says how to put its line back to what C does, and which check must notice;
//! that is tried in a copy of the workspace.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use lab::programs::{self, Build, GROUPS, PROGRAMS, Profile};

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
        let line = line.parse().with_context(|| format!("'{line}' is not a line number"))?;
        Ok(Fix { program: program.to_owned(), line, name: name.to_owned() })
    }
}

/// "udpserver:17: unchecked socket".
impl Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.program, self.line, self.name)
    }
}

/// The marks in a program's source: the comments `// fix: NAME` or `// fix: NAME; NAME`, and the
/// calls of `check` and `uninterrupted`, which are their own marks.
///
/// # Errors
///
/// If a `check` says nothing of what it checks.
pub fn marks(program: &str, source: &str) -> Result<Vec<Fix>> {
    let mut fixes = Vec::new();
    for (line, number) in source.lines().zip(1..) {
        let (code, comment) = line.split_once("// fix: ").unwrap_or((line, ""));
        let mut names: Vec<String> = comment.split("; ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if code.contains("check(fits_sun_path(") {
            names.push("path past sun_path".to_owned());
        } else if code.contains("check(") {
            let call = code.rsplit_once(", c\"").and_then(|(_, message)| message.split_once(" failed\")"));
            let (call, _) = call.with_context(|| format!("{program}:{number}: a check says 'CALL failed'"))?;
            names.push(format!("unchecked {call}"));
        }
        if code.contains("uninterrupted(") {
            names.push("handler's printf inside printf".to_owned());
        }
        fixes.extend(names.into_iter().map(|name| Fix { program: program.to_owned(), line: number, name }));
    }
    Ok(fixes)
}

/// A row of a FIXES.md: the same fix, at one place or some.
pub struct Row {
    pub fixes: Vec<Fix>,
    /// The cell that says what the port does instead.
    pub port: String,
    /// The cell that names the test.
    pub test: String,
}

/// The rows of all tables of fixes: those under the head `| fix | where | ...`.
///
/// # Errors
///
/// If a FIXES.md cannot be read, or a row has not six cells or a place that is not PROGRAM:LINE.
pub fn rows(root: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for group in GROUPS {
        let file = Path::new(group).join("FIXES.md");
        let text = fs::read_to_string(root.join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        let table = text.lines().skip_while(|line| !line.starts_with("| fix | where |")).skip(2).take_while(|line| line.starts_with('|'));
        for line in table {
            rows.push(row(line).with_context(|| format!("{}: {line}", file.display()))?);
        }
    }
    Ok(rows)
}

fn row(line: &str) -> Result<Row> {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let &[name, places, _, _, port, test] = cells.as_slice() else { bail!("a row of a table of fixes has six cells") };
    let fix = |place: &str| place.split_once(':').with_context(|| format!("'{place}' is not PROGRAM:LINE")).and_then(|(program, line)| Fix::new(program, line, name));
    Ok(Row { fixes: places.split(", ").map(fix).collect::<Result<_>>()?, port: port.to_owned(), test: test.to_owned() })
}

/// A fix, and the edits of its program that take it away.
#[derive(Debug, Clone)]
pub struct Revert {
    pub fix: Fix,
    pub edits: Vec<Edit>,
    /// What notices that: `rustc` does not compile it, `scene NAME` fails, the calls of `calls NAME` are not
    /// those of the golden, AddressSanitizer stops the program in `asan NAME`, `faults` finds it not to do
    /// what faults.tsv says; or, `reading`, only the text that the edit replaces is gone.
    pub shown: String,
}

/// Another text in place of one that stands once in a line.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Counted from 1.
    line: usize,
    from: String,
    to: String,
}

/// The table. Rows of the same fix follow each other and are one: a row for each edit, the first with
/// what shows it.
///
/// # Errors
///
/// If it cannot be read, or a row is not as it should be.
pub fn read(root: &Path) -> Result<Vec<Revert>> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let mut reverts: Vec<Revert> = Vec::new();
    for row in text.lines().skip(1) {
        let (fix, edit, shown) = parse(row).with_context(|| format!("{FILE}: {row}"))?;
        match (shown, reverts.last_mut().filter(|last| last.fix == fix)) {
            (Some(shown), _) => reverts.push(Revert { fix, edits: vec![edit], shown }),
            (None, Some(last)) => last.edits.push(edit),
            (None, None) => bail!("{FILE}: {row}: nothing says what shows it"),
        }
    }
    Ok(reverts)
}

fn parse(row: &str) -> Result<(Fix, Edit, Option<String>)> {
    let cells: Vec<&str> = row.split('\t').collect();
    let &[program, line, name, at, from, to, shown] = cells.as_slice() else { bail!("not seven columns") };
    let is_known = match shown.split_once(' ').unwrap_or((shown, "")) {
        ("scene" | "calls" | "asan", scene) => !scene.is_empty(),
        (kind, _) => ["", "rustc", "faults", "reading"].contains(&kind),
    };
    ensure!(is_known, "'{shown}' is not one of rustc, faults, reading, scene NAME, calls NAME, asan NAME");
    let at = at.parse().with_context(|| format!("'{at}' is not a line number"))?;
    Ok((Fix::new(program, line, name)?, Edit { line: at, from: from.to_owned(), to: to.to_owned() }, Some(shown.to_owned()).filter(|shown| !shown.is_empty())))
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

    /// The path of the program's source, from the workspace's root.
    fn source(&self) -> Result<PathBuf> {
        Ok(programs::find(&self.fix.program).with_context(|| format!("{FILE}: no program is called {}", self.fix.program))?.source())
    }
}

/// A copy of the workspace, to edit, and the ports as they are.
pub struct Workspace<'a> {
    copy: TempDir,
    ports: TempDir,
    /// The tools.
    lab: PathBuf,
    trials: &'a Path,
    /// Whether a check passes with the fix: by what shows it, and by program unless that is a scene.
    passes: BTreeMap<(String, Option<String>), bool>,
}

impl Workspace<'_> {
    /// `trials` is the tool itself.
    ///
    /// # Errors
    ///
    /// If the ports cannot be built or copied.
    pub fn new(trials: &Path) -> Result<Workspace<'_>> {
        let lab = programs::build(&["lab"], Profile::Dev)?["lab"].clone();
        let workspace = Workspace { copy: TempDir::new()?, ports: TempDir::new()?, lab, trials, passes: BTreeMap::new() };
        copy(programs::root(), workspace.copy.path())?;
        for (name, path) in programs::build(&PROGRAMS.map(|program| program.name), Profile::Dev)? {
            fs::copy(path, workspace.ports.path().join(name))?;
        }
        Ok(workspace)
    }

    /// Puts a fix back; what is wrong, unless the check notices that and passes with the fix.
    ///
    /// # Errors
    ///
    /// If an edit cannot be made, does not compile, or the check cannot be run.
    pub fn try_out(&mut self, revert: &Revert) -> Result<Option<&'static str>> {
        let key = (revert.shown.clone(), revert.scene().is_none().then(|| revert.fix.program.clone()));
        let passes_with = match self.passes.get(&key) {
            Some(passes) => *passes,
            None => self.check(revert)?,
        };
        self.passes.insert(key, passes_with);
        if !passes_with {
            return Ok(Some("also fails with the fix:"));
        }
        let source = self.copy.path().join(revert.source()?);
        let text = fs::read_to_string(&source)?;
        fs::write(&source, revert.apply(&text)?)?;
        let passes = self.check(revert);
        fs::write(&source, text)?;
        Ok(passes?.then_some("NOT NOTICED by"))
    }

    fn check(&self, revert: &Revert) -> Result<bool> {
        let (program, kind, scene) = (revert.fix.program.as_str(), revert.shown.split(' ').next().unwrap_or_default(), revert.scene().unwrap_or_default());
        if kind == "reading" {
            return Ok(revert.apply(&fs::read_to_string(self.copy.path().join(revert.source()?))?).is_ok());
        }
        let asan = kind == "asan";
        let profile = if asan { Profile::Release } else { Profile::Dev };
        let Ok(built) = (Build { root: self.copy.path(), profile, asan, quiet: true }).run(&[program]) else {
            ensure!(kind == "rustc", "{}: what {FILE} makes of it does not compile", revert.fix);
            return Ok(false);
        };
        let folder = TempDir::new()?;
        copy(self.ports.path(), folder.path())?;
        fs::copy(&built[program], folder.path().join(program))?;
        let (tool, args): (&Path, &[&str]) = match kind {
            "scene" => (&self.lab, &["replay", scene, "--pause", "0", "--limit", "5"]),
            "calls" => (&self.lab, &["check", scene]),
            "asan" => (self.trials, &["memory", scene, "--tool", "asan"]),
            "faults" => (self.trials, &["faults", program]),
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

    use lab::programs::root;
    use lab::scene;
    use regex_lite::Regex;

    use super::*;

    fn source(program: &str) -> String {
        fs::read_to_string(root().join(programs::find(program).unwrap_or_else(|| panic!("no program is called {program}")).source())).unwrap()
    }

    #[test]
    fn sources_and_tables_list_the_same_fixes() {
        let marked: BTreeSet<Fix> = PROGRAMS.iter().flat_map(|program| marks(program.name, &source(program.name)).unwrap()).collect();
        let listed: BTreeSet<Fix> = rows(root()).unwrap().into_iter().flat_map(|row| row.fixes).collect();
        let put_back: BTreeSet<Fix> = read(root()).unwrap().into_iter().map(|revert| revert.fix).collect();
        assert!(!marked.is_empty());
        assert_eq!(marked.symmetric_difference(&listed).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in one of the sources and the FIXES.md alone");
        assert_eq!(marked.symmetric_difference(&put_back).collect::<Vec<_>>(), Vec::<&Fix>::new(), "in one of the sources and {FILE} alone");
    }

    #[test]
    fn a_table_says_what_is_true_of_a_fix() {
        let (reverts, scenes) = (read(root()).unwrap(), scene::read_all(root()).unwrap());
        let runs = |name: &str, fix: &Fix| scenes.iter().find(|scene| scene.name == name).is_some_and(|scene| scene.programs().contains(&fix.program.as_str()));
        let link = Regex::new(r"\[([^\]]+)\]\([^)]*#").unwrap();
        let array = Regex::new(r"^`(\w+)` has (.+) bytes$").unwrap();
        for row in rows(root()).unwrap() {
            let named: Vec<&str> = link.captures_iter(&row.test).map(|found| found.get(1).unwrap().as_str()).collect();
            for fix in &row.fixes {
                let revert = reverts.iter().find(|revert| revert.fix == *fix).unwrap();
                let is_right = match revert.shown.as_str() {
                    _ if !named.is_empty() => named.iter().any(|name| runs(name, fix)),
                    "rustc" => row.test.starts_with("the compiler: "),
                    "faults" => row.test.contains("`cargo trials faults`"),
                    "reading" => row.test.ends_with("only a reader notices"),
                    _ => false,
                };
                assert!(is_right, "{fix}: the test '{}', but in {FILE} {}", row.test, revert.shown);
                assert!(revert.scene().is_none_or(|scene| runs(scene, fix)), "{fix}: {} does not run it", revert.shown);
                if let Some(found) = array.captures(&row.port) {
                    let source = source(&fix.program);
                    let code = source.lines().nth(fix.line - 1).unwrap();
                    assert!(code.contains(&format!(" {} = ", &found[1])) && code.contains(&format!("; {}]", &found[2])), "{fix}: {code}");
                }
            }
        }
    }

    #[test]
    fn every_fix_can_be_put_back() {
        for revert in read(root()).unwrap() {
            let source = source(&revert.fix.program);
            assert_ne!(revert.apply(&source).unwrap(), source, "{}", revert.fix);
        }
    }

    #[test]
    fn an_edit_replaces_a_text_that_stands_once() {
        let applied = |line: usize, from: &str| {
            let edit = Edit { line, from: from.into(), to: "x".into() };
            let revert = Revert { fix: Fix { program: "p".into(), line: 1, name: String::new() }, edits: vec![edit], shown: String::new() };
            revert.apply("fd = check(socket());\nbind(fd, fd);\n").map_err(|error| error.to_string())
        };
        assert_eq!(applied(2, "(fd, fd)").unwrap(), "fd = check(socket());\nbindx;\n");
        for (line, from) in [(1, "bind"), (2, "fd"), (3, "fd")] {
            assert_eq!(applied(line, from).unwrap_err(), format!("{FILE}: p:{line}: '{from}' is not there exactly once"));
        }
    }
}
