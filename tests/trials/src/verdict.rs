//! What became of the programs of a scene in which a call failed, and whether it is what was expected.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use regex_lite::Regex;

use crate::faults::{End, Fault};
use crate::tally::Fate;
use lab::actor::end_name;
use lab::numbers::Numbers;
use lab::play::{self, Audience, Options, Outcome};
use lab::programs::Binaries;
use lab::scene::{Action, Scene, Step, Text};
use lab::sock;
use lab::stage::{Privacy, Stage};
use lab::trace::{self, Trace, is_call, name};

/// How long a program has for its end. C programs loop, at each step, and get less.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_WITH_C: Duration = Duration::from_secs(2);

/// The programs of a scene: the ports, and the C programs, if one of them plays a part.
#[derive(Clone, Copy)]
pub struct Cast<'a> {
    pub ports: &'a Binaries,
    /// The C programs and the actor that plays one; the others play ports.
    pub c: Option<(&'a Binaries, &'a str)>,
}

/// A scene as it is when nothing fails.
pub struct Baseline {
    pub traces: Vec<Trace>,
    parts: BTreeMap<String, Part>,
}

/// What an actor says and how it ends; the key is its name, with a number from its second start on.
struct Part {
    lines: Vec<Text>,
    end: String,
}

/// What was played.
#[derive(Default)]
struct Played {
    outcomes: BTreeMap<String, Outcome>,
    traces: Vec<Trace>,
}

impl Audience for Played {
    fn step(&mut self, _: &Step) {}

    fn end(&mut self, who: &str, outcome: &Outcome) {
        let mut outcome = outcome.clone();
        // strace has something to say of large counts, at the program's terminal.
        outcome.lines.retain(|line| !line.starts_with("strace: "));
        self.outcomes.insert(who.to_owned(), outcome);
    }
}

impl Played {
    /// Plays a scene whose programs need not do what it says; `injections` are for this actor.
    fn play(scene: &Scene, privacy: Privacy, cast: Cast, inject: Option<(String, Vec<String>)>) -> Result<Played> {
        let none = Binaries::new();
        let (c, actors, patience) = match cast.c {
            Some((c, actor)) => (c, vec![actor.to_owned()], PATIENCE_WITH_C),
            None => (&none, Vec::new(), PATIENCE),
        };
        let options = Options { trace: true, lenient: true, patience, c: actors, inject, ..Default::default() };
        let _stage = Stage::set(privacy, cast.ports, c)?;
        let mut played = Played::default();
        for run in play::play(scene, &options, &mut played)? {
            played.traces.extend(trace::read(&run.who, &run.program, &run.log)?);
        }
        Ok(played)
    }
}

impl Baseline {
    /// A scene with the ports must be as it is written. What a C program does otherwise, as where it
    /// shows a fix, is taken as it does it.
    ///
    /// # Errors
    ///
    /// As [`trace::run`].
    pub fn play(scene: &Scene, privacy: Privacy, cast: Cast) -> Result<Baseline> {
        let mut parts = parts(scene);
        let traces = match cast.c {
            None => trace::run(scene, privacy, cast.ports, &Binaries::new(), &Options::default())?,
            Some(_) => {
                let played = Played::play(scene, privacy, cast, None)?;
                for (who, outcome) in played.outcomes {
                    let part = parts.get_mut(&who).with_context(|| format!("no part of {who}"))?;
                    part.lines = as_said(&outcome.lines, &part.lines);
                    part.end = outcome.end.map(end_name).unwrap_or_default();
                }
                played.traces
            }
        };
        Ok(Baseline { traces, parts })
    }

    /// The trace of a process: an actor's, or its child's.
    pub fn trace(&self, process: &str) -> Option<&Trace> {
        self.traces.iter().find(|trace| trace.who == process)
    }
}

/// What each actor says in a scene and how it ends.
fn parts(scene: &Scene) -> BTreeMap<String, Part> {
    let mut parts = BTreeMap::new();
    let mut starts = BTreeMap::<&str, usize>::new();
    for step in &scene.steps {
        let nth = starts.entry(&step.actor).or_default();
        *nth += usize::from(matches!(step.action, Action::Start(_)));
        let who = if *nth == 1 { step.actor.clone() } else { format!("{} {nth}", step.actor) };
        let part = parts.entry(who).or_insert_with(|| Part { lines: Vec::new(), end: String::new() });
        match &step.action {
            Action::Expect(text) => part.lines.push(text.clone()),
            Action::End(end) => part.end.clone_from(end),
            _ => {}
        }
    }
    parts
}

/// `lines` as texts: those of the scene where they match, with their numbers open.
fn as_said(lines: &[String], said: &[Text]) -> Vec<Text> {
    let mut numbers = Numbers::default();
    let mut rest = said;
    let text = |line: &String| match rest.iter().position(|text| text.matches(line.as_bytes(), &mut numbers)) {
        Some(at) => {
            let text = rest[at].clone();
            rest = &rest[at + 1..];
            text
        }
        None => Text::from(line.as_str()),
    };
    lines.iter().map(text).collect()
}

/// How a program did otherwise than expected.
pub struct Wrong {
    pub fate: Fate,
    why: String,
}

impl Wrong {
    fn new(fate: Fate, why: impl Into<String>) -> Wrong {
        Wrong { fate, why: why.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.fate, self.why)
    }
}

/// Plays a scene with a fault; says what is wrong with what became of it.
///
/// # Errors
///
/// As [`Stage::set`] and [`play::play`].
pub fn try_out(fault: &Fault, scene: &Scene, privacy: Privacy, cast: Cast, baseline: &Baseline) -> Result<Option<Wrong>> {
    let who = fault.row.who();
    let played = Played::play(scene, privacy, cast, Some((who.to_owned(), fault.injections())))?;
    let outcome = played.outcomes.get(who).with_context(|| format!("{who} does not end in scene {}", scene.name))?;
    let part = baseline.parts.get(who).with_context(|| format!("no part of {who}"))?;
    let Some(since) = played.traces.iter().filter(|trace| trace.who == fault.row.process).find_map(|trace| since(trace, fault)) else {
        return Ok(Some(Wrong::new(Fate::Wrong, "it did not come to that call")));
    };
    let stderr = played.traces.iter().find(|trace| trace.who == who).map(stderr).unwrap_or_default();
    let of_program = judge(fault, outcome, part, &stderr, since);
    let of_others = || played.outcomes.iter().filter(|(other, _)| *other != who).find_map(|(other, outcome)| judge_other(fault, other, outcome, baseline.parts.get(other)));
    Ok(of_program.or_else(of_others))
}

/// The lines of a trace from the fault on.
fn since<'a>(trace: &'a Trace, fault: &Fault) -> Option<&'a [String]> {
    let at = trace.lines.iter().position(|line| fault.is_in(line))?;
    Some(&trace.lines[at..])
}

/// Whether a program has heard of someone in these lines, or has tried to: not if it waits for whom it
/// cannot hear.
fn has_ears(since: &[String]) -> bool {
    let hears = |line: &String| is_call(line) && ["accept", "read", "recvfrom"].contains(&name(line));
    since.first().is_some_and(hears) || since.iter().any(|line| hears(line) && !line.contains(" = -1 ") && !line.contains(" = ?"))
}

fn judge(fault: &Fault, outcome: &Outcome, part: &Part, stderr: &str, since: &[String]) -> Option<Wrong> {
    let expected = fault.end();
    let is_expected = match &expected {
        End::Ends { status, .. } => outcome.end.is_some_and(|end| end.code() == Some(*status)),
        End::Quits => outcome.end.is_some_and(|end| end.code() == Some(0)),
        End::GoesOn { .. } => outcome.end.is_some_and(|end| end_name(end) == part.end),
        End::Waits { call } => outcome.waits && outcome.end.is_none() && outcome.call == Some(call),
        End::Signal(signal) => outcome.end.is_some_and(|end| end_name(end) == *signal),
        End::LeftOut => true,
    };
    let is_until_interrupted = matches!(expected, End::GoesOn { .. } | End::Signal(_) | End::Waits { .. });
    let screen = || outcome.lines.join(" | ");
    if outcome.interrupted == Some(false) {
        return Some(Wrong::new(Fate::Loops, format!("it ran on until its Ctrl-C: {}", screen())));
    }
    if !is_expected {
        let wrong = match outcome.end {
            None if outcome.waits => Wrong::new(Fate::Hangs, format!("it is blocked in {}: {}", outcome.call.unwrap_or("a call"), screen())),
            None => Wrong::new(Fate::Loops, format!("it runs on: {}", screen())),
            Some(_) if outcome.interrupted.is_some() && !is_until_interrupted && !has_ears(since) => Wrong::new(Fate::Hangs, format!("it waited for its Ctrl-C: {}", screen())),
            Some(end) if end.signal().is_some_and(|signal| signal != Signal::SIGINT as i32) => Wrong::new(Fate::Crashes, format!("it ended with {}: {}", end_name(end), screen())),
            Some(end) => Wrong::new(Fate::Wrong, format!("it ended with {}: {}", end_name(end), screen())),
        };
        return Some(wrong);
    }
    let mut lines: Vec<&str> = outcome.lines.iter().map(String::as_str).collect();
    match &expected {
        End::Ends { message, .. } => {
            let at = lines.iter().position(|line| line.trim_end() == message);
            let Some(at) = at.filter(|_| stderr.trim_end() == message) else {
                return Some(Wrong::new(Fate::Wrong, format!("not '{message}' alone on stderr, but '{}': {}", stderr.trim_end(), screen())));
            };
            lines.remove(at);
        }
        End::Quits if !stderr.is_empty() => return Some(Wrong::new(Fate::Wrong, format!("it says '{}' on stderr", stderr.trim_end()))),
        _ => {}
    }
    let new = fault.lines();
    if !are_said(&lines, &part.lines, &new, &mut Numbers::default()) {
        return Some(Wrong::new(Fate::Wrong, format!("neither the scene nor the row has these lines: {}", screen())));
    }
    match expected {
        End::GoesOn { without } if part.lines.len() + new.len() - lines.len() != without => {
            Some(Wrong::new(Fate::Wrong, format!("{} lines of the scene are missing, not {without}: {}", part.lines.len() + new.len() - lines.len(), screen())))
        }
        _ => None,
    }
}

/// Nobody else may be told what is not true, or be ended by anything but its Ctrl-C or a peer that has gone.
fn judge_other(fault: &Fault, who: &str, outcome: &Outcome, part: Option<&Part>) -> Option<Wrong> {
    let screen = outcome.lines.join(" | ");
    let signal = outcome.end.and_then(|end| end.signal());
    if signal.is_some_and(|signal| ![Signal::SIGINT as i32, Signal::SIGPIPE as i32].contains(&signal)) {
        return Some(Wrong::new(Fate::Crashes, format!("{who} ended with {}: {screen}", outcome.end.map(end_name).unwrap_or_default())));
    }
    let lines: Vec<&str> = outcome.lines.iter().flat_map(|line| sock::received(line)).collect();
    let said: Vec<Text> = part.iter().flat_map(|part| &part.lines).flat_map(|text| sock::received(text.notation())).map(Text::from).collect();
    (!are_said(&lines, &said, &fault.lines_of(who), &mut Numbers::default())).then(|| Wrong::new(Fate::Wrong, format!("neither the scene nor the row has these lines of {who}: {screen}")))
}

/// Whether `lines` are, in their order, all of `new` and some of `said`.
fn are_said(lines: &[&str], said: &[Text], new: &[Text], numbers: &mut Numbers) -> bool {
    let Some((line, rest)) = lines.split_first() else { return new.is_empty() };
    if let Some((first, more)) = new.split_first() {
        let mut then = numbers.clone();
        if first.matches(line.as_bytes(), &mut then) && are_said(rest, said, more, &mut then) {
            return true;
        }
    }
    let mut then = numbers.clone();
    match said.iter().position(|text| text.matches(line.as_bytes(), &mut then)) {
        Some(at) => are_said(rest, &said[at + 1..], new, &mut then),
        None => false,
    }
}

/// What a process has written to its standard error, as its trace has it.
fn stderr(trace: &Trace) -> String {
    let write = Regex::new(r#"^write\((\d+), "((?:[^"\\]|\\.)*)", \d+\) += \d+"#).expect("a regular expression");
    // perror writes to a copy of the descriptor.
    let copy = trace.lines.iter().find_map(|line| Some(line.strip_prefix("dup(2)")?.rsplit_once("= ")?.1.to_owned()));
    let mut text = String::new();
    for found in trace.lines.iter().filter_map(|line| write.captures(line)) {
        if found[1] == *"2" || copy.as_deref() == Some(&found[1]) {
            text += &found[2].replace("\\n", "\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;
    use crate::faults::{self, Row};

    fn texts(texts: &[&str]) -> Vec<Text> {
        texts.iter().map(|text| Text::from(*text)).collect()
    }

    fn is_said(lines: &[&str], new: &[&str]) -> bool {
        are_said(lines, &texts(&["start,pid={pid}", "errno=0", "send 5", "errno=0"]), &texts(new), &mut Numbers::default())
    }

    #[test]
    fn lines_are_the_scenes_or_the_rows() {
        assert!(is_said(&["start,pid=12", "errno=0", "send 5", "errno=0"], &[]));
        assert!(is_said(&["start,pid=12", "send 5"], &[]));
        assert!(is_said(&["start,pid=12", "errno=0", "send -1", "errno=9"], &["send -1", "errno=9"]));
        assert!(is_said(&["errno=0", "errno=0", "errno=0"], &["errno=0"]));
        assert!(!is_said(&["start,pid=12", "errno=0", "send -1"], &[]), "a line that nobody has");
        assert!(!is_said(&["start,pid=12"], &["send -1"]), "a line of the row is missing");
        assert!(!is_said(&["send 5", "start,pid=12"], &[]), "another order");
        assert!(!is_said(&["send 5", "send 5"], &[]), "one line twice");
    }

    #[test]
    fn what_c_says_otherwise_is_taken_as_it_is() {
        let lines = ["start,pid=12".to_owned(), "send 6".to_owned(), "errno=0".to_owned(), "start,pid=13".to_owned(), "end,pid=12".to_owned()];
        let said: Vec<String> = as_said(&lines, &texts(&["start,pid={pid}", "errno=0", "send 5", "errno=0", "end,pid={pid}"])).iter().map(|text| text.notation().to_owned()).collect();
        assert_eq!(said, ["start,pid={pid}", "send 6", "errno=0", "start,pid=13", "end,pid={pid}"]);
    }

    #[test]
    fn standard_error_is_read_from_the_trace() {
        let lines = [r#"write(1, "x\n", 2) = 2"#, "dup(2) = 5", r#"write(5, "connect: \"a\"\n", 13) = 13"#, r#"write(2, "b", 1) = -1 EIO (Input/output error)"#, r#"write(2, "c\n", 2) = 2"#];
        let trace = Trace { who: "a".into(), program: "b".into(), lines: lines.map(str::to_owned).into() };
        assert_eq!(stderr(&trace), "connect: \\\"a\\\"\nc\n");
    }

    /// A program whose lines are "start", "send 5" and "end", and in which a recvfrom fails with EIO.
    struct Case {
        row: Row,
        part: Part,
        trace: Trace,
    }

    impl Case {
        /// The row expects this end and has these lines, and `OTHER: LINE`.
        fn new(end: &str, lines: &str, others: &str) -> Case {
            let row = faults::row(&format!("udpserver\ttwo-clients\tserver\trecvfrom\tfirst\tEIO\t{end}\t{lines}\t{others}")).unwrap();
            let part = Part { lines: texts(&["start", "send 5", "end"]), end: "SIGINT".into() };
            let trace = Trace { who: "server".into(), program: "udpserver".into(), lines: vec!["recvfrom(3) = -1 EIO (Input/output error) (INJECTED)".into()] };
            Case { row, part, trace }
        }

        fn judge(&self, outcome: &Outcome, stderr: &str, since: &[&str]) -> Option<Fate> {
            let since: Vec<String> = since.iter().map(|line| (*line).to_owned()).collect();
            judge(&self.row.in_trace(&self.trace)[0], outcome, &self.part, stderr, &since).map(|wrong| wrong.fate)
        }

        fn judge_other(&self, outcome: &Outcome) -> Option<Fate> {
            judge_other(&self.row.in_trace(&self.trace)[0], "client", outcome, Some(&self.part)).map(|wrong| wrong.fate)
        }
    }

    /// What ended with this status, as wait has it, and said this.
    fn ended(status: i32, lines: &[&str]) -> Outcome {
        Outcome { end: Some(ExitStatus::from_raw(status)), waits: false, call: None, interrupted: None, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    fn waiting(call: Option<&'static str>) -> Outcome {
        Outcome { end: None, waits: true, call, ..ended(0, &["start"]) }
    }

    const SUCCESS: i32 = 0;
    const FAILURE: i32 = 1 << 8;
    const SIGINT: i32 = Signal::SIGINT as i32;
    const SIGPIPE: i32 = Signal::SIGPIPE as i32;
    const SIGSEGV: i32 = Signal::SIGSEGV as i32;

    #[test]
    fn who_is_to_end_must_end_so_with_that_message_alone() {
        let case = Case::new("ends: recvfrom failed: {error}", "-", "-");
        let message = "recvfrom failed: Input/output error (5)";
        for (what, outcome, stderr, fate) in [
            ("as it should", ended(FAILURE, &["start", message]), "recvfrom failed: Input/output error (5)\n", None),
            ("another status", ended(2 << 8, &["start", message]), message, Some(Fate::Wrong)),
            ("success", ended(SUCCESS, &["start", message]), message, Some(Fate::Wrong)),
            ("SIGSEGV", ended(SIGSEGV, &["start", message]), message, Some(Fate::Crashes)),
            ("a second line on stderr", ended(FAILURE, &["start", message]), "recvfrom failed: Input/output error (5)\nand more\n", Some(Fate::Wrong)),
            ("nothing on stderr", ended(FAILURE, &["start", message]), "", Some(Fate::Wrong)),
            ("a message not seen", ended(FAILURE, &["start"]), message, Some(Fate::Wrong)),
            ("a line too many", ended(FAILURE, &["start", "send -1", message]), message, Some(Fate::Wrong)),
            ("it waits", waiting(Some("recvfrom")), "", Some(Fate::Hangs)),
            ("it runs", Outcome { waits: false, ..waiting(None) }, "", Some(Fate::Loops)),
        ] {
            assert_eq!(case.judge(&outcome, stderr, &[]), fate, "{what}");
        }
    }

    #[test]
    fn who_is_to_quit_must_succeed_and_say_nothing_on_stderr() {
        let case = Case::new("quits", "-", "-");
        for (what, outcome, stderr, fate) in [
            ("as it should", ended(SUCCESS, &["start"]), "", None),
            ("a failure", ended(FAILURE, &["start"]), "", Some(Fate::Wrong)),
            ("a word on stderr", ended(SUCCESS, &["start"]), "oh\n", Some(Fate::Wrong)),
            ("SIGSEGV", ended(SIGSEGV, &["start"]), "", Some(Fate::Crashes)),
            ("it waits", waiting(Some("read")), "", Some(Fate::Hangs)),
        ] {
            assert_eq!(case.judge(&outcome, stderr, &[]), fate, "{what}");
        }
    }

    #[test]
    fn who_is_to_go_on_must_say_what_the_scene_and_the_row_say() {
        let all = ["start", "send 5", "end"];
        let more = ["start", "send -1", "send 5", "end"];
        for (end, lines, outcome, fate) in [
            ("goes on", "-", ended(SIGINT, &all), None),
            ("goes on", "-", ended(SUCCESS, &all), Some(Fate::Wrong)),
            ("goes on", "-", ended(SIGSEGV, &all), Some(Fate::Crashes)),
            ("goes on", "-", ended(SIGINT, &more), Some(Fate::Wrong)),
            ("goes on", "-", ended(SIGINT, &all[..2]), Some(Fate::Wrong)),
            ("goes on", "-", Outcome { interrupted: Some(false), ..ended(SIGINT, &all) }, Some(Fate::Loops)),
            ("goes on", "send -1", ended(SIGINT, &more), None),
            ("goes on", "send -1", ended(SIGINT, &all), Some(Fate::Wrong)),
            ("goes on without 1", "-", ended(SIGINT, &all[..2]), None),
            ("goes on without 1", "-", ended(SIGINT, &all), Some(Fate::Wrong)),
            ("goes on without 1", "-", ended(SIGINT, &all[..1]), Some(Fate::Wrong)),
            ("goes on without 1", "send -1", ended(SIGINT, &more[..3]), None),
            ("goes on without 1", "send -1", ended(SIGINT, &more), Some(Fate::Wrong)),
        ] {
            assert_eq!(Case::new(end, lines, "-").judge(&outcome, "", &[]), fate, "{end} and {lines}: {outcome:?}");
        }
    }

    #[test]
    fn who_is_to_wait_or_to_be_ended_by_a_signal_must_be() {
        for (end, outcome, fate) in [
            ("waits in recvfrom", waiting(Some("recvfrom")), None),
            ("waits in recvfrom", waiting(Some("read")), Some(Fate::Hangs)),
            ("waits in recvfrom", waiting(None), Some(Fate::Hangs)),
            ("waits in recvfrom", Outcome { waits: false, ..waiting(Some("recvfrom")) }, Some(Fate::Loops)),
            ("waits in recvfrom", ended(SIGINT, &["start"]), Some(Fate::Wrong)),
            ("SIGPIPE, as in C", ended(SIGPIPE, &["start"]), None),
            ("SIGPIPE, as in C", ended(SIGINT, &["start"]), Some(Fate::Wrong)),
            ("SIGPIPE, as in C", ended(SIGSEGV, &["start"]), Some(Fate::Crashes)),
        ] {
            assert_eq!(Case::new(end, "-", "-").judge(&outcome, "", &[]), fate, "{end}: {outcome:?}");
        }
    }

    #[test]
    fn who_ends_by_its_ctrl_c_hangs_if_it_has_heard_nobody_since() {
        let case = Case::new("quits", "-", "-");
        let outcome = Outcome { interrupted: Some(true), ..ended(SIGINT, &["start"]) };
        for (since, fate) in [
            (&["sendto(3) = -1 EIO (INJECTED)", "recvfrom(3) = ? ERESTARTSYS"] as &[&str], Fate::Hangs),
            (&["sendto(3) = -1 EIO (INJECTED)", "recvfrom(3) = -1 EINTR"], Fate::Hangs),
            (&[], Fate::Hangs),
            (&["recvfrom(3) = -1 EIO (INJECTED)"], Fate::Wrong),
            (&["sendto(3) = -1 EIO (INJECTED)", "recvfrom(3) = 5"], Fate::Wrong),
        ] {
            assert_eq!(case.judge(&outcome, "", since), Some(fate), "{since:?}");
        }
    }

    #[test]
    fn others_say_what_the_scene_and_the_row_say_and_do_not_crash() {
        let more = ["start", "send -1", "send 5", "end"];
        for (others, outcome, fate) in [
            ("-", ended(SIGINT, &["start", "end"]), None),
            ("-", ended(SIGPIPE, &["start"]), None),
            ("-", waiting(Some("recvfrom")), None),
            ("-", ended(SIGSEGV, &["start"]), Some(Fate::Crashes)),
            ("-", ended(SUCCESS, &more), Some(Fate::Wrong)),
            ("client: send -1", ended(SUCCESS, &more), None),
            ("client: send -1", ended(SUCCESS, &["start"]), Some(Fate::Wrong)),
            ("other: send -1", ended(SUCCESS, &more), Some(Fate::Wrong)),
        ] {
            assert_eq!(Case::new("goes on", "-", others).judge_other(&outcome), fate, "{others}: {outcome:?}");
        }
    }
}
