//! `lab read`: a port beside its C original, line by line, and what each line did in a scene.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, bail};

use lab::args::{Args, Long, Value, nearest, text, unexpected};
use lab::cast::Side;
use lab::player::Options;
use lab::programs::{self, Builds, PROGRAMS, Profile, Program};
use lab::sandbox::Isolation;
use lab::scene;
use lab::sources;
use lab::strace::{self, Stacks};
use lab::terminal::{self, columns};
use lab::trace::is_call;

use super::comparison::traces;

pub const HELP: &str = "\
Shows a port, beside its C file if that is found; '*' marks a line with a fix

Usage: cargo lab read PROGRAM

  --originals DIR  where the C files are; they are found by name, at any depth
                   (default: $LAB_ORIGINALS, or ../originals)
  --scene SCENE    play this scene, and show under each line its system calls and
                   how often it made them
";

const DIM: Style = Style::new().dimmed();
const FIX: Style = AnsiColor::Yellow.on_default();

/// How many different calls of one line are shown.
const SHOWN: usize = 8;

/// Runs `lab read`.
pub fn run(mut args: Args) -> Result<()> {
    let (mut name, mut originals, mut scene) = (None, None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Long("originals") => originals = Some(args.path("originals")?),
            Long("scene") => scene = Some(args.text("scene")?),
            Value(value) if name.is_none() => name = Some(text(value)?),
            other => return Err(unexpected(other, "lab read")),
        }
    }
    let Some(name) = name else { bail!("which program? 'cargo lab list' names them") };
    let Some(program) = programs::find(&name) else {
        bail!("no program is called '{name}'; {}", nearest(&name, PROGRAMS.map(|program| program.name)));
    };
    let port = fs::read_to_string(programs::root().join(program.source())).context("cannot read the port")?;
    let c = match &originals {
        Some(folder) => Some(c_file(folder, program)?),
        None => programs::default_originals().and_then(|folder| c_file(&folder, program).ok()),
    };
    let calls = scene.map(|scene| calls(program, &scene)).transpose()?.unwrap_or_default();
    // In a pipe the columns are as wide as they need.
    let page = page(c.as_deref(), &port, &calls, terminal::width().unwrap_or(usize::MAX));
    let words = env::var("PAGER").ok().and_then(|pager| shlex::split(&pager)).filter(|words| !words.is_empty()).unwrap_or_else(|| vec!["less".into(), "-RS".into()]);
    if io::stdout().is_terminal()
        && let Ok(mut pager) = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::piped()).spawn()
    {
        // An error means that the pager was quit before the end.
        let _ = pager.stdin.take().map(|mut stdin| stdin.write_all(page.as_bytes()));
        pager.wait()?;
        return Ok(());
    }
    lab::print(&page);
    Ok(())
}

/// The page: on each line C and the port, wrapped in their columns if the width is too small for both.
fn page(c: Option<&str>, port: &str, calls: &BTreeMap<u32, Vec<(String, usize)>>, width: usize) -> String {
    let expand = |text: &str| text.lines().map(|line| line.replace('\t', "    ")).collect::<Vec<_>>();
    let (c, port) = (c.map(expand), expand(port));
    let widest = |lines: &[String]| lines.iter().map(|line| columns(line)).max().unwrap_or(0);
    let room = width.saturating_sub(7);
    let left = c.as_ref().map_or(0, |c| widest(c).min(room.saturating_sub(widest(&port)).max(room / 2)));
    let mut out = String::new();
    for at in 0..port.len().max(c.as_ref().map_or(0, Vec::len)) {
        let here = port.get(at).map_or("", String::as_str);
        let is_fix = is_fix(here);
        let (style, mark) = if is_fix { (FIX, '*') } else { (Style::new(), if c.is_some() { '|' } else { ' ' }) };
        let in_c = c.as_ref().and_then(|c| c.get(at)).map_or("", String::as_str);
        // A long line may use the free part of the other column.
        let (long, other) = (columns(in_c), columns(here));
        let left = if long + other > room { left } else { left.max(long).min(room - other) };
        let (in_c, here) = (wrap(in_c, left), wrap(here, room - left));
        for row in 0..in_c.len().max(here.len()) {
            let number = if row == 0 { (at + 1).to_string() } else { String::new() };
            let _ = write!(out, "{DIM}{number:>3}{DIM:#} ");
            if c.is_some() {
                let in_c = in_c.get(row).map_or("", String::as_str);
                let _ = write!(out, "{in_c}{:pad$} ", "", pad = left.saturating_sub(columns(in_c)));
            }
            let _ = writeln!(out, "{style}{mark} {}{style:#}", here.get(row).map_or("", String::as_str));
        }
        for (call, times) in calls.get(&(at as u32 + 1)).map(Vec::as_slice).unwrap_or_default().iter().take(SHOWN) {
            for row in wrap(&format!("{times:>11} x {call}"), width) {
                let _ = writeln!(out, "{DIM}{row}{DIM:#}");
            }
        }
    }
    out
}

/// Whether a port's line departs from C.
pub fn is_fix(line: &str) -> bool {
    ["// fix: ", "check(", "uninterrupted("].iter().any(|mark| line.contains(mark))
}

/// What each line of the program called in the scene, and how often.
fn calls(program: &Program, name: &str) -> Result<BTreeMap<u32, Vec<(String, usize)>>> {
    strace::available()?;
    if let Some(why) = sources::unavailable() {
        bail!("{why}; without that, lab cannot tell which line makes a call");
    }
    let scenes = scene::select(&[name.to_owned()])?;
    let Some(scene) = scenes.iter().find(|scene| scene.programs().contains(&program.name)) else {
        bail!("{} is not in the scene {name}", program.name);
    };
    let builds = Builds { ports: programs::build(&scene.programs(), Profile::Dev)?, c: None };
    let options = Options { stacks: Stacks::Own, ..Options::default() };
    let mut calls = BTreeMap::<u32, Vec<(String, usize)>>::new();
    for trace in traces(Isolation::enter(true), scene, &builds, Side::Ports, &options)?.iter().filter(|trace| trace.program == program.name) {
        for line in trace.own().into_iter().filter(|line| is_call(line)) {
            let Some(at) = line.at.line else { continue };
            let of_line = calls.entry(at).or_default();
            match of_line.iter_mut().find(|(call, _)| *call == line.text) {
                Some((_, times)) => *times += 1,
                None => of_line.push((line.text, 1)),
            }
        }
    }
    Ok(calls)
}

/// The text of the program's C file somewhere under `folder`.
pub fn c_file(folder: &Path, program: &Program) -> Result<String> {
    let name = format!("{}.c", program.name);
    let files = programs::files(folder)?;
    let file = files.iter().find(|path| path.ends_with(&name)).with_context(|| format!("no file {name} under {}", folder.display()))?;
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A line of code in rows of so many columns; those after the first are indented by four more.
fn wrap(line: &str, width: usize) -> Vec<String> {
    terminal::wrap(line, width, line.len() - line.trim_start().len() + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_wide_is_wrapped_in_its_column() {
        let page = |width| anstream::adapter::strip_str(&super::page(Some("a(\tb);"), "check(a(b, c, d));", &BTreeMap::from([(1, vec![("a() = 0".into(), 2)])]), width)).to_string();
        assert_eq!(page(100), "  1 a(    b); * check(a(b, c, d));\n          2 x a() = 0\n");
        assert_eq!(page(28), "  1 a(    b); * check(a(b,\n              *     c, d));\n          2 x a() = 0\n");
    }
}
