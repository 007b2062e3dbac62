//! `lab read`: a port beside its C original, line by line.

use std::fs;
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, bail};

use lab::args::{Args, Long, Value, text, unexpected};
use lab::programs::{self, Program};
use lab::terminal;

pub const HELP: &str = "\
Shows a port, beside its C original if it has that

Usage: cargo lab read PROGRAM [--originals DIR]

  --originals DIR  where the C files are, by name at any depth
";

const NUMBER: Style = Style::new().dimmed();
const FIX: Style = AnsiColor::Yellow.on_default();

/// Runs `lab read`.
pub fn run(mut args: Args) -> Result<()> {
    let (mut name, mut originals) = (None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("originals") => originals = Some(args.path("originals")?),
            Value(value) if name.is_none() => name = Some(text(value)?),
            other => return Err(unexpected(other, "lab read")),
        }
    }
    let Some(name) = name else { bail!("which program? 'cargo lab list' names them") };
    let Some(program) = programs::find(&name) else {
        bail!("no program is called '{name}'; 'cargo lab list' names them");
    };
    let port = fs::read_to_string(programs::root().join(program.source())).context("cannot read the port")?;
    let c = match &originals {
        Some(folder) => Some(c_file(folder, program)?),
        None => None,
    };
    let c: Vec<&str> = c.as_deref().unwrap_or_default().lines().collect();
    let port: Vec<&str> = port.lines().collect();
    // In a pipe the columns are as wide as pr's in the README.
    let width = terminal::width().unwrap_or(220);
    let column = if c.is_empty() { width.saturating_sub(5) } else { width.saturating_sub(8) / 2 };
    let mut out = anstream::stdout().lock();
    for at in 0..c.len().max(port.len()) {
        let here = port.get(at).copied().unwrap_or_default();
        let is_fix = ["// fix: ", "check(", "uninterrupted("].iter().any(|mark| here.contains(mark));
        let style = if is_fix { FIX } else { Style::new() };
        write!(out, "{NUMBER}{:>4}{NUMBER:#} ", at + 1)?;
        if !c.is_empty() {
            write!(out, "{:<column$} {NUMBER}|{NUMBER:#} ", cut(c.get(at).copied().unwrap_or_default(), column))?;
        }
        // What goes into a file is not cut for a screen.
        let here = if io::stdout().is_terminal() { cut(here, column) } else { here.to_owned() };
        writeln!(out, "{style}{here}{style:#}")?;
    }
    Ok(())
}

/// The text of the program's C file somewhere under `folder`.
fn c_file(folder: &Path, program: &Program) -> Result<String> {
    let name = format!("{}.c", program.name);
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().with_context(|| format!("cannot read the folder {}", next.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == *name {
                return fs::read_to_string(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()));
            }
        }
    }
    bail!("no file {name} under {}", folder.display())
}

fn cut(line: &str, width: usize) -> String {
    let line = line.replace('\t', "    ");
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
