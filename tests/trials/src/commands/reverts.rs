//! `trials reverts`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use lab::programs::{self, Build, PROGRAMS, Profile};
use lab::signals;
use trials::reverts::{self, Revert, Shown};

#[derive(clap::Args)]
pub struct Reverts {
    /// Programs whose fixes to put back; none: all
    #[arg(value_name = "PROGRAM")]
    names: Vec<String>,
}

impl Reverts {
    pub fn run(&self) -> Result<()> {
        if let Some(name) = self.names.iter().find(|name| programs::find(name).is_none()) {
            bail!("no program is called '{name}'; 'cargo lab list' names them");
        }
        let all = reverts::read(programs::root())?;
        let reverts: Vec<&Revert> = all.iter().filter(|revert| self.names.is_empty() || self.names.contains(&revert.fix.program)).collect();
        signals::watch();
        let bench = Bench::set()?;
        let mut controls = BTreeMap::<String, bool>::new();
        let mut wrong = Vec::new();
        for (revert, number) in reverts.iter().zip(1..) {
            signals::check()?;
            let fix = format!("{}:{}: {}", revert.fix.program, revert.fix.line, revert.fix.name);
            // What shows that a fix is gone must not show it while it is there.
            let control = format!("{:?} {}", revert.shown, if matches!(revert.shown, Shown::Faults | Shown::Rustc | Shown::Reading) { revert.fix.program.as_str() } else { "" });
            let passes = match controls.get(&control) {
                Some(passes) => *passes,
                None => {
                    let passes = bench.passes(revert, false)?;
                    controls.insert(control, passes);
                    passes
                }
            };
            let outcome = match (passes, bench.passes(revert, true)?) {
                (true, false) => format!("noticed by {}", what(&revert.shown)),
                (true, true) => "NOT NOTICED".to_owned(),
                (false, _) => format!("{} fails with the fix, too", what(&revert.shown)),
            };
            anstream::println!("{number}/{} {fix}: {outcome}", reverts.len());
            if !outcome.starts_with("noticed") {
                wrong.push(fix);
            }
        }
        if !wrong.is_empty() {
            bail!("{} of {} fixes can be put back unnoticed: {}", wrong.len(), reverts.len(), wrong.join("; "));
        }
        anstream::println!("{} fixes put back one after the other, each noticed", reverts.len());
        Ok(())
    }
}

fn what(shown: &Shown) -> String {
    match shown {
        Shown::Rustc => "the compiler".to_owned(),
        Shown::Scene(name) => format!("scene {name}"),
        Shown::Calls(name) => format!("the calls of scene {name}"),
        Shown::Asan(name) => format!("AddressSanitizer in scene {name}"),
        Shown::Faults => "the faults".to_owned(),
        Shown::Hostile(name) => format!("the hostile input {name}"),
        Shown::Reading => "who reads the line: tests/trials/tests/reverts.rs".to_owned(),
    }
}

/// A copy of the workspace, to edit, and the ports as they are.
struct Bench {
    copy: TempDir,
    ports: TempDir,
    /// The tool that plays and compares scenes.
    lab: PathBuf,
}

impl Bench {
    fn set() -> Result<Bench> {
        let lab = programs::build(&["lab"], Profile::Dev)?["lab"].clone();
        let bench = Bench { copy: TempDir::new()?, ports: TempDir::new()?, lab };
        copy(programs::root(), bench.copy.path())?;
        for (name, path) in programs::build(&PROGRAMS.map(|program| program.name), Profile::Dev)? {
            fs::copy(path, bench.ports.path().join(name))?;
        }
        Ok(bench)
    }

    /// Whether the check that is to notice the revert passes, with the fix or without it.
    fn passes(&self, revert: &Revert, reverted: bool) -> Result<bool> {
        let source = self.copy.path().join(revert.source()?);
        let text = fs::read_to_string(&source)?;
        if reverted {
            fs::write(&source, revert.apply(&text)?)?;
        }
        let passes = self.check(revert);
        fs::write(&source, text)?;
        passes
    }

    fn check(&self, revert: &Revert) -> Result<bool> {
        let program = revert.fix.program.as_str();
        if revert.shown == Shown::Reading {
            return Ok(revert.apply(&fs::read_to_string(self.copy.path().join(revert.source()?))?).is_ok());
        }
        let is_asan = matches!(revert.shown, Shown::Asan(_));
        let profile = if is_asan { Profile::Release } else { Profile::Dev };
        let build = Build { root: self.copy.path(), profile, asan: is_asan, quiet: true }.run(&[program]);
        let Ok(built) = build else {
            return if revert.shown == Shown::Rustc { Ok(false) } else { bail!("{program}:{}: what tests/trials/reverts.tsv makes of it does not compile", revert.fix.line) };
        };
        let folder = TempDir::new()?;
        copy(self.ports.path(), folder.path())?;
        fs::copy(&built[program], folder.path().join(program))?;
        let args: &[&str] = match &revert.shown {
            Shown::Rustc | Shown::Reading => return Ok(true),
            Shown::Scene(name) => &["replay", name, "--pause", "0", "--limit", "5"],
            Shown::Calls(name) => &["check", name],
            Shown::Asan(name) => &["memory", name, "--tool", "asan"],
            Shown::Faults => &["faults", program],
            Shown::Hostile(name) => &["hostile", name],
        };
        let trials = format!("/proc/{}/exe", process::id()).into();
        let mut command = Command::new(if matches!(revert.shown, Shown::Scene(_) | Shown::Calls(_)) { &self.lab } else { &trials });
        command.args(args).arg("--programs").arg(folder.path()).stdin(Stdio::null());
        Ok(command.output().context("cannot run lab or trials")?.status.success())
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
