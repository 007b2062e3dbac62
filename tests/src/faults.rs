//! Faults: each call that a program makes itself is made to fail, and the program must end with one
//! line that names the error, or go on, as `tests/faults.tsv` says beforehand.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::libc;
use nix::sys::signal::Signal;

use crate::play::{self, Options, Outcome};
use crate::programs::Binaries;
use crate::scene::Scene;
use crate::stage::{Privacy, Stage};
use crate::trace::{self, is_call, name};

/// A row of the table: what is expected of a program in which a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    pub program: String,
    pub scene: String,
    pub actor: String,
    pub call: String,
    pub expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Exit status 1, and a line that ends in the error: `: text (number)`.
    Ends,
    /// As it ends, but with the error of a later call: the program prints the first and goes on.
    EndsLater,
    /// Exit status 0: to stdio, input that cannot be read has come to its end.
    Quits,
    /// It is blocked or has ended with the status that the scene says, or by its Ctrl-C.
    GoesOn,
    /// One of them: the call has several descriptors.
    Either,
}

/// A call of a program that is made to fail.
#[derive(Debug, Clone)]
pub struct Fault {
    pub expectation: Expectation,
    pub error: &'static str,
    number: i32,
    /// Which of the process's calls of that name, from 1, the loader's included.
    when: usize,
}

/// The errors that a call is made to fail with.
fn errors(call: &str) -> Result<&'static [(&'static str, i32)]> {
    Ok(match call {
        "accept" => &[("EMFILE", libc::EMFILE), ("EINTR", libc::EINTR), ("ECONNABORTED", libc::ECONNABORTED)],
        "bind" => &[("EACCES", libc::EACCES), ("EADDRINUSE", libc::EADDRINUSE)],
        "close" => &[("EIO", libc::EIO)],
        "connect" => &[("ECONNREFUSED", libc::ECONNREFUSED), ("EINTR", libc::EINTR)],
        "listen" => &[("EADDRINUSE", libc::EADDRINUSE)],
        "read" => &[("EIO", libc::EIO), ("EINTR", libc::EINTR), ("ECONNRESET", libc::ECONNRESET)],
        "recvfrom" => &[("ENOMEM", libc::ENOMEM), ("EINTR", libc::EINTR), ("ECONNREFUSED", libc::ECONNREFUSED)],
        "rt_sigaction" => &[("EINVAL", libc::EINVAL)],
        "sendto" => &[("ENOBUFS", libc::ENOBUFS), ("EINTR", libc::EINTR), ("ECONNREFUSED", libc::ECONNREFUSED)],
        "setsockopt" => &[("ENOMEM", libc::ENOMEM)],
        "socket" => &[("EMFILE", libc::EMFILE), ("ENOMEM", libc::ENOMEM)],
        "unlink" => &[("EACCES", libc::EACCES)],
        "write" => &[("EIO", libc::EIO), ("EINTR", libc::EINTR), ("ENOSPC", libc::ENOSPC)],
        _ => bail!("no errors are known for {call}"),
    })
}

/// The table of what is expected.
///
/// # Errors
///
/// If it cannot be read or has a row of another form.
pub fn expectations(root: &Path) -> Result<Vec<Expectation>> {
    let text = fs::read_to_string(root.join("tests/faults.tsv")).context("cannot read tests/faults.tsv")?;
    text.lines().skip(1).map(|row| expectation(row).with_context(|| format!("tests/faults.tsv: {row}"))).collect()
}

fn expectation(row: &str) -> Result<Expectation> {
    let cells: Vec<&str> = row.split('\t').collect();
    let &[program, scene, actor, call, expected] = cells.as_slice() else { bail!("not five columns") };
    let expected = match expected {
        "ends" => Expected::Ends,
        "ends later" => Expected::EndsLater,
        "quits" => Expected::Quits,
        "goes on" => Expected::GoesOn,
        "either" => Expected::Either,
        _ => bail!("'{expected}' is none of ends, ends later, quits, goes on, either"),
    };
    Ok(Expectation { program: program.to_owned(), scene: scene.to_owned(), actor: actor.to_owned(), call: call.to_owned(), expected })
}

/// The faults of an expectation: each error, at the first of the program's own calls of that name and
/// at the last, as the scene has them when nothing fails.
///
/// # Errors
///
/// If the program makes no such call there, or as [`trace::run`].
pub fn faults(expectation: &Expectation, scene: &Scene, privacy: Privacy, ports: &Binaries) -> Result<Vec<Fault>> {
    let traces = trace::run(scene, privacy, ports, &Binaries::new(), &Options::default())?;
    let trace = traces.iter().find(|trace| trace.who == expectation.actor).with_context(|| format!("no trace of {}", expectation.actor))?;
    let count = |lines: &[String]| lines.iter().filter(|line| is_call(line) && name(line) == expectation.call).count();
    let (all, own) = (count(&trace.lines), count(&trace.own()));
    if own == 0 {
        bail!("{} does not call {} in scene {}", expectation.program, expectation.call, scene.name);
    }
    let mut whens = vec![all - own + 1, all];
    whens.dedup();
    let mut faults = Vec::new();
    for (error, number) in errors(&expectation.call)? {
        faults.extend(whens.iter().map(|when| Fault { expectation: expectation.clone(), error, number: *number, when: *when }));
    }
    Ok(faults)
}

impl Fault {
    /// Plays the scene with the fault, the ports or, if `c`, the C programs; what became of the
    /// program.
    ///
    /// # Errors
    ///
    /// As [`Stage::set`] and [`play::play`].
    pub fn inject(&self, scene: &Scene, privacy: Privacy, binaries: &Binaries, c: bool) -> Result<Outcome> {
        let none = Binaries::new();
        let (ports, originals) = if c { (&none, binaries) } else { (binaries, &none) };
        let _stage = Stage::set(privacy, ports, originals)?;
        let actors = if c { scene.steps.iter().map(|step| step.actor.clone()).collect() } else { Vec::new() };
        let injection = format!("inject={}:error={}:when={}", self.expectation.call, self.error, self.when);
        let options = Options { trace: true, lenient: true, c: actors, inject: Some((self.expectation.actor.clone(), injection)), ..Default::default() };
        let runs = play::play(scene, &options, &mut ())?;
        let run = runs.into_iter().find(|run| run.actor == self.expectation.actor);
        run.and_then(|run| run.outcome).with_context(|| format!("{} does not end in scene {}", self.expectation.actor, scene.name))
    }

    /// How the outcome is not as expected: "hangs", "loops", "crashes", "wrong"; `None` if it is.
    pub fn judge(&self, outcome: &Outcome) -> Option<&'static str> {
        let Some(end) = outcome.end else {
            return match (outcome.waits, self.expectation.expected) {
                (false, _) => Some("loops"),
                (true, Expected::GoesOn | Expected::Either) => None,
                (true, _) => Some("hangs"),
            };
        };
        // The scene's Ctrl-C is a person's doing.
        if end.signal().is_some_and(|signal| signal != Signal::SIGINT as i32) {
            return Some("crashes");
        }
        let line = format!("({})", self.number);
        let ends = end.code() == Some(1) && outcome.screen.lines().any(|text| text.ends_with(&line) && text.contains(": "));
        let ends_later = end.code() == Some(1) && outcome.screen.lines().any(|text| text.contains(" failed: ") && text.ends_with(')'));
        let goes_on = end.code() != Some(1);
        let is_expected = match self.expectation.expected {
            Expected::Ends => ends,
            Expected::EndsLater => ends_later,
            Expected::Quits => end.code() == Some(0),
            Expected::GoesOn => goes_on,
            Expected::Either => ends || goes_on,
        };
        (!is_expected).then_some("wrong")
    }

    /// "udpserver: bind fails with EACCES (call 1 of that name)"
    pub fn describe(&self) -> String {
        format!("{}: {} fails with {} (call {} of that name)", self.expectation.program, self.expectation.call, self.error, self.when)
    }
}
