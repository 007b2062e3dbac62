//! Goldens: the own calls of the C programs in each scene, recorded once, compared at every test.
//!
//! A golden is a text file: for each process a line `# WHO: PROGRAM`, then one line for each call, signal and
//! end; before a call is the line of the C program that made it, as in ` 14 socket(...)`. `cargo lab record`
//! writes them from the C programs; nobody does by hand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::actor::Stdout;
use crate::programs;
use crate::sources::At;
use crate::trace::{Line, Trace, is_call, name};

/// The golden of a scene in which the programs' standard output is of this kind.
///
/// stdio fills its buffer for a file as it does for a pipe, and the goldens are the same.
pub fn path(scene: &str, stdout: Stdout) -> PathBuf {
    let kind = match stdout {
        Stdout::Terminal => "terminal",
        Stdout::Pipe | Stdout::File => "pipe",
    };
    programs::root().join("tests/lab/golden").join(kind).join(format!("{scene}.trace"))
}

/// Whether the scene has a golden of this kind: each has one of a terminal, some of each program have one of a
/// pipe, for there stdio's writes differ and hardly anything else.
pub fn is_wanted(scene: &str, stdout: Stdout) -> bool {
    stdout == Stdout::Terminal || path(scene, stdout).exists()
}

/// These processes, whose lines are their own calls, as a golden has them.
pub fn text(traces: &[Trace]) -> String {
    let mut text = String::new();
    for trace in traces {
        text += &format!("# {}: {}\n", trace.who, trace.program);
        for line in &trace.lines {
            let at = line.at.line.filter(|_| is_call(line)).map_or_else(String::new, |at| at.to_string());
            text += &format!("{at:>3} {}\n", line.text);
        }
    }
    text
}

/// Writes a golden.
/// Fails if it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a golden lies in a folder")?;
    fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).with_context(|| format!("cannot write {}", path.display()))
}

/// The traces of a golden; their lines are the own calls alone.
/// Fails if there is no such file: the scene has not been recorded.
pub fn read(path: &Path) -> Result<Vec<Trace>> {
    let text = fs::read_to_string(path).with_context(|| format!("no golden {}; 'cargo lab record --originals DIR' writes it", path.display()))?;
    let mut traces: Vec<Trace> = Vec::new();
    for line in text.lines() {
        if let Some((who, program)) = line.strip_prefix("# ").and_then(|head| head.split_once(": ")) {
            traces.push(Trace { who: who.to_owned(), program: program.to_owned(), lines: Vec::new() });
        } else {
            // ` 14 socket(...)`
            let (trace, (number, text)) = traces.last_mut().zip(line.split_at_checked(4)).with_context(|| format!("{} is not a golden: {line}", path.display()))?;
            let at = At { line: number.trim().parse().ok(), inside: None };
            trace.lines.push(Line { text: text.to_owned(), at, ..Line::default() });
        }
    }
    Ok(traces)
}

/// The calls of a golden: the program, the line of its C file, and the call's name.
/// Fails as [`read`] does.
pub fn calls(path: &Path) -> Result<Vec<(String, u32, String)>> {
    let of = |trace: Trace| trace.lines.into_iter().filter_map(move |line| Some((trace.program.clone(), line.at.line?, name(&line).to_owned())));
    Ok(read(path)?.into_iter().flat_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_a_golden_of_a_pipe() {
        let all = crate::scene::read_all().unwrap();
        let recorded: Vec<_> = all.iter().filter(|scene| is_wanted(&scene.name, Stdout::Pipe)).collect();
        assert_eq!(crate::scene::names(&recorded).len(), programs::PROGRAMS.len());
    }

    #[test]
    fn a_golden_is_read_as_it_was_written() {
        let trace = |who: &str, lines: &[&str]| Trace { who: who.into(), program: "udpserver".into(), lines: lines.iter().map(|line| (*line).into()).collect() };
        let mut traces = [trace("server", &["socket(AF_INET) = 3", "+++ exited with 0 +++"]), trace("server 2", &["--- SIGINT {} ---"])];
        traces[0].lines[0].at.line = Some(17);
        assert_eq!(text(&traces), "# server: udpserver\n 17 socket(AF_INET) = 3\n    +++ exited with 0 +++\n# server 2: udpserver\n    --- SIGINT {} ---\n");
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("scene.trace");
        write(&path, &text(&traces)).unwrap();
        let again = read(&path).unwrap();
        assert_eq!(again, traces);
        assert_eq!(again[0].lines.iter().map(|line| line.at.line).collect::<Vec<_>>(), [Some(17), None]);
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("cargo lab record"));
    }
}
