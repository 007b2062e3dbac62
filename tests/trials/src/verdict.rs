//! One way to play a scene whose programs need not do what it says, and one way to judge them.

use std::fmt::{self, Display};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;
use regex_lite::Regex;

use lab::actor::end_name;
use lab::cast::Cast;
pub use lab::cast::Side;
use lab::player::{Mode, Options};
pub use lab::player::{Start, Watch};
use lab::programs::{self, Build, Builds, Profile};
use lab::sandbox::Isolation;
use lab::scene::Scene;
use lab::trace::{self, Line};

/// The programs, and where they are played.
pub struct Players {
    pub isolation: Isolation,
    pub builds: Builds,
}

impl Players {
    /// The programs of these names: the ports from a folder, or built; the C programs from `originals`.
    pub fn find(names: &[&str], ports: Option<&Path>, asan: bool, originals: Option<&Path>) -> Result<Players> {
        let c = originals.map(|folder| programs::originals(folder, names)).transpose()?;
        let build = Build { root: programs::root(), profile: Profile::Release, asan, quiet: false };
        let ports = ports.map_or_else(|| build.run(names), |folder| programs::search(folder, names))?;
        Ok(Players { isolation: Isolation::enter(true), builds: Builds { ports, c } })
    }

    /// Plays a scene whose programs need not do what it says; what became of each start.
    pub fn play(&self, scene: &Scene, side: Side, watch: Watch) -> Result<Vec<Start>> {
        // For them to come to rest. C programs may loop at each step, and get less.
        let patience = Duration::from_secs(if side == Side::Ports { 5 } else { 2 });
        let options = Options { watch, mode: Mode::Observe(patience), ..Options::default() };
        let mut played = self.isolation.play(scene, &Cast::new(scene, &self.builds, side), &options, &mut ())?.as_written()?;
        for start in &mut played.starts {
            // strace has something to say of large counts, at the program's terminal.
            start.lines.retain(|line| !line.starts_with("strace: "));
        }
        Ok(played.starts)
    }
}

/// What is wrong with a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub kind: Kind,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is blocked on an event that never happens.
    Hangs,
    /// It runs without end.
    Loops,
    /// A signal ends it.
    Crashes,
    /// It ends without a message, prints or sends what is not true, or loses something.
    Wrong,
    /// It uses memory that is not its own or has no value.
    Memory,
}

impl Verdict {
    pub fn new(kind: Kind, why: impl Into<String>) -> Verdict {
        Verdict { kind, why: why.into() }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.why)
    }
}

/// What is wrong with any program that does this, whatever it was to do: it runs without end, a signal
/// other than its Ctrl-C ends it, or it has more than one line on standard error.
pub fn judge(outcome: &Start, stderr: &str) -> Option<Verdict> {
    let screen = outcome.lines.join(" | ");
    match outcome.end {
        _ if outcome.interrupted == Some(false) => Some(Verdict::new(Kind::Loops, format!("it ran on until its Ctrl-C: {screen}"))),
        None if !outcome.waits => Some(Verdict::new(Kind::Loops, format!("it runs on: {screen}"))),
        Some(end) if end.signal().is_some_and(|signal| signal != Signal::SIGINT as i32) => Some(Verdict::new(Kind::Crashes, format!("it ended with {}: {screen}", end_name(end)))),
        _ if stderr.lines().count() > 1 => Some(Verdict::new(Kind::Wrong, format!("more than one line on stderr: {screen}"))),
        _ => None,
    }
}

/// How a program ended: `0`, `SIGINT`; nothing if it has not.
pub fn end(start: &Start) -> String {
    start.end.map(end_name).unwrap_or_default()
}

/// A program's terminal without what the kernel picks, and how it ended.
pub fn terminal(start: &Start) -> Vec<String> {
    let picked = Regex::new(r"\b(pid=|port=|127\.0\.0\.1:)\d+|(/tmp/file)\w{6}|(/var/tmp/)\d+").expect("a regular expression");
    let may_match = |line: &str| ["pid=", "port=", "127.0.0.1:", "/tmp/"].iter().any(|text| line.contains(text));
    let lines = start.lines.iter().map(|line| if may_match(line) { picked.replace_all(line, "$1$2${3}N").into_owned() } else { line.clone() });
    lines.chain([format!("= {}", end(start))]).collect()
}

/// What a program has written to standard error, as its trace has it.
pub fn stderr(start: &Start) -> String {
    let Some(trace) = start.traces.first() else { return String::new() };
    // perror writes to a copy of the descriptor.
    let copy = trace.lines.iter().find_map(|line| Some(line.strip_prefix("dup(2)")?.rsplit_once("= ")?.1));
    let written = |line: &Line| {
        let [fd, text, _, result] = trace::write(line)?;
        // "2", or "2 (DELAYED)".
        (result.starts_with(|c: char| c.is_ascii_digit()) && (fd == "2" || copy == Some(fd))).then(|| text.replace("\\n", "\n"))
    };
    trace.lines.iter().filter_map(written).collect()
}

/// What a run has shown.
#[derive(Default)]
pub struct Report {
    pub tried: usize,
    pub wrong: Vec<String>,
    /// What each C program did: as the port (`None`), or what else.
    pub c: Vec<Option<Kind>>,
    /// How C differs.
    pub in_c: Vec<String>,
}

impl Report {
    /// "in C: 350 as the port, hangs 31, crashes 6".
    pub fn summary_of_c(&self) -> String {
        let count = |kind: Option<Kind>| self.c.iter().filter(|did| **did == kind).count();
        let others = [Kind::Hangs, Kind::Loops, Kind::Crashes, Kind::Wrong, Kind::Memory].map(|kind| (kind, count(Some(kind))));
        let others: String = others.iter().filter(|(_, times)| *times > 0).map(|(kind, times)| format!(", {kind} {times}")).collect();
        format!("in C: {} as the port{others}", count(None))
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use lab::trace::Trace;

    use super::*;

    #[test]
    fn standard_error_is_read_from_the_trace() {
        let lines = [r#"write(1, "x\n", 2) = 2"#, "dup(2) = 5", r#"write(5, "connect: \"a\"\n", 13) = 13"#, r#"write(2, "b", 1) = -1 EIO (Input/output error)"#, r#"write(2, "c\n", 2) = 2 (DELAYED)"#];
        let traces = vec![Trace { who: "a".into(), program: "b".into(), lines: lines.map(Line::from).into() }];
        assert_eq!(stderr(&Start { traces, ..Start::default() }), "connect: \\\"a\\\"\nc\n");
    }

    #[test]
    fn what_is_wrong_with_any_program_is_noticed() {
        let ended = |status| Start { end: Some(ExitStatus::from_raw(status)), ..Start::default() };
        let running = Start { end: None, ..ended(0) };
        for (outcome, stderr, kind) in [
            (ended(0), "", None),
            (ended(1 << 8), "one\n", None),
            (ended(1 << 8), "one\ntwo\n", Some(Kind::Wrong)),
            (ended(Signal::SIGINT as i32), "", None),
            (ended(Signal::SIGSEGV as i32), "", Some(Kind::Crashes)),
            (Start { interrupted: Some(true), ..ended(0) }, "", None),
            (Start { interrupted: Some(false), ..ended(0) }, "", Some(Kind::Loops)),
            (running.clone(), "", Some(Kind::Loops)),
            (Start { waits: true, ..running }, "", None),
        ] {
            assert_eq!(judge(&outcome, stderr).map(|verdict| verdict.kind), kind, "{outcome:?}");
        }
    }
}
