//! Faults: each call that a program makes itself is made to fail or to return too small a count, and
//! the program must do what `tests/trials/faults.tsv` says, which also explains its columns.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::{self, Display};
use std::io;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;

use crate::verdict::{self, Kind, Players, Report, Side, Start, Verdict, Watch};
use lab::cast::Cast;
use lab::placeholders::Placeholders;
use lab::player::{Options, actor_of};
use lab::scene::{Action, Scene, Step, Text};
use lab::sock;
use lab::trace::{self, Line, Trace, is_call, name};

const FILE: &str = "tests/trials/faults.tsv";

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    pub program: &'static str,
    pub scene: &'static str,
    /// The process: an actor, or "pair child".
    process: &'static str,
    call: &'static str,
    is_first: bool,
    is_last: bool,
    /// The names of errors, and what else it returns: `=1`.
    faults: Vec<&'static str>,
    is_delayed: bool,
    /// The words that begin with `+`.
    more: Vec<&'static str>,
    end: End,
    lines: &'static str,
    others: &'static str,
}

/// How a program is expected to end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With this status, and this alone on stderr.
    Ends(i32, &'static str),
    /// As in the scene, without so many of its lines.
    GoesOn(usize),
    /// Not at all: it is blocked in this call.
    Waits(&'static str),
    /// By this signal, as the C program.
    Signal(&'static str),
    LeftOut,
}

/// The calls in which a signal can interrupt a program that waits.
const INTERRUPTIBLE: [&str; 7] = ["accept", "connect", "read", "recvfrom", "sendto", "wait4", "write"];

/// The calls that cannot fail.
const SAFE: [&str; 3] = ["exit_group", "getpid", "rt_sigreturn"];

/// The table.
pub fn rows() -> Result<Vec<Row>> {
    let rows = include_str!("../faults.tsv").lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|line| row(line).with_context(|| format!("{FILE}: {}", line.replace('\t', " ")))).collect()
}

fn row(line: &'static str) -> Result<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let &[program, scene, process, call, when, fault, end, lines, others] = cells.as_slice() else { bail!("{} columns, not nine", cells.len()) };
    ensure!(["first", "last", "each"].contains(&when), "'{when}' is not one of first, last, each");
    let is_delayed = fault.ends_with(" delay");
    let words = fault.trim_end_matches(" delay").split(' ').filter(|word| *word != "-");
    let (more, faults): (Vec<&str>, Vec<&str>) = words.partition(|word| word.starts_with('+'));
    for word in &faults {
        let is_count = word.strip_prefix('=').is_some_and(|count| count.parse::<i64>().is_ok());
        ensure!(is_count || error(word).is_some(), "'{word}' is neither an error nor a count");
    }
    let end = parse_end(end).with_context(|| format!("'{end}' is not a way to end"))?;
    ensure!(faults.is_empty() == (end == End::LeftOut), "a row that is left out has no fault, and every other row has one");
    Ok(Row { program, scene, process, call, is_first: when != "last", is_last: when != "first", faults, is_delayed, more, end, lines, others })
}

/// The error of this name.
fn error(name: &str) -> Option<Errno> {
    (1..=133).map(Errno::from_raw).find(|errno| format!("{errno:?}") == name)
}

fn parse_end(text: &'static str) -> Option<End> {
    Some(match text.split_once(": ") {
        Some(("left out", _)) => End::LeftOut,
        Some(("ends", message)) => End::Ends(1, message),
        Some((before, message)) => End::Ends(before.strip_prefix("ends ")?.parse().ok()?, message),
        None if text == "quits" => End::Ends(0, ""),
        None if text == "goes on" => End::GoesOn(0),
        None => match (text.strip_prefix("goes on without "), text.strip_prefix("waits in ")) {
            (Some(lines), _) => End::GoesOn(lines.parse().ok()?),
            (_, Some(call)) => End::Waits(call),
            _ => End::Signal(text.strip_suffix(", as in C")?),
        },
    })
}

/// Tries the faults of one program, in its port and, if it is there, in the C program among ports; of
/// each row one fault in `every`.
pub fn run(rows: &[(&Row, &Scene)], players: &Players, every: usize) -> Result<Report> {
    let mut report = Report::default();
    let mut baselines = BTreeMap::new();
    for (row, scene) in rows {
        let actors = [row.who().to_owned()];
        let sides = [Some((Side::Ports, "")), players.builds.c.as_ref().map(|_| (Side::Mixed(&actors), row.who()))];
        for (side, c) in sides.into_iter().flatten() {
            let baseline = match baselines.entry((row.scene, c)) {
                Entry::Vacant(entry) => entry.insert(Baseline::new(scene, players, side)?),
                Entry::Occupied(entry) => entry.into_mut(),
            };
            // The C program may make the call another number of times, or never.
            for fault in row.in_trace(baseline.trace(row.process)).iter().step_by(every) {
                let verdict = try_out(fault, scene, players, side, baseline)?;
                let kind = verdict.as_ref().map(|verdict| verdict.kind);
                let said = verdict.map(|verdict| format!("{row} ({}): {verdict}", fault.injections.join(" ")));
                if side == Side::Ports {
                    report.tried += 1;
                    report.wrong.extend(said);
                } else {
                    report.c.push(kind);
                    report.in_c.extend(said);
                }
            }
        }
    }
    let rows: Vec<&Row> = rows.iter().map(|(row, _)| *row).collect();
    report.wrong.extend(gaps(&rows, |row| baselines[&(row.scene, "")].trace(row.process)));
    Ok(report)
}

/// A scene when nothing fails. Ports must do what it says; what a C program does instead, as where the scene
/// shows a fix, is the baseline.
struct Baseline {
    traces: Vec<Trace>,
    /// Of each start, by the actor's name with a number from its second start on.
    parts: BTreeMap<String, Part>,
}

/// What a start says and how it ends.
struct Part {
    lines: Vec<Text>,
    end: String,
}

impl Baseline {
    fn new(scene: &Scene, players: &Players, side: Side) -> Result<Baseline> {
        if side == Side::Ports {
            let cast = Cast::new(scene, &players.builds, side);
            players.isolation.play(scene, &cast, &Options::default(), &mut ())?.as_written()?;
        }
        let (mut traces, mut parts) = (Vec::new(), BTreeMap::new());
        for start in players.play(scene, side, Watch::Strace(None))? {
            let part = Part { lines: as_said(&start.lines, scene, actor_of(&start.who)), end: verdict::end(&start) };
            parts.insert(start.who, part);
            traces.extend(start.traces);
        }
        Ok(Baseline { traces, parts })
    }

    /// The trace of a process: an actor's, or its child's.
    fn trace(&self, process: &str) -> Option<&Trace> {
        self.traces.iter().find(|trace| trace.who == process)
    }
}

/// `lines` as texts: those of the actor in the scene where they match, with their numbers open.
fn as_said<'a>(lines: &[String], scene: &'a Scene, actor: &str) -> Vec<Text> {
    let mut numbers = Placeholders::default();
    let said = |step: &'a Step| if let Action::Expect(text) = &step.action { Some(text) } else { None };
    let said: Vec<&Text> = scene.steps.iter().filter(|step| step.actor == actor).filter_map(said).collect();
    let mut next = 0;
    let text = |line: &String| match said[next..].iter().position(|text| text.matches(line.as_bytes(), &mut numbers)) {
        Some(at) => {
            next += at + 1;
            said[next - 1].clone()
        }
        None => Text::from(line.as_str()),
    };
    lines.iter().map(text).collect()
}

/// Plays a scene with a fault.
fn try_out(fault: &Fault, scene: &Scene, players: &Players, side: Side, baseline: &Baseline) -> Result<Option<Verdict>> {
    let who = fault.row.who();
    let starts = players.play(scene, side, Watch::Strace(Some((who.to_owned(), fault.injections.clone()))))?;
    let start = starts.iter().find(|start| start.who == who).with_context(|| format!("{who} does not end in scene {}", scene.name))?;
    let Some(since) = start.traces.iter().filter(|trace| trace.who == fault.row.process).find_map(|trace| fault.since(trace)) else {
        return Ok(Some(Verdict::new(Kind::Wrong, "it did not come to that call")));
    };
    let of_others = || starts.iter().filter(|start| start.who != who).find_map(|start| judge_other(fault, start, &baseline.parts[&start.who]));
    Ok(judge(fault, start, &baseline.parts[who], &verdict::stderr(start), since).or_else(of_others))
}

/// Whether a program has received anything in these lines, or the fault was in a receive: if not, and it
/// waits, it waits for something that cannot come.
fn has_heard(since: &[Line]) -> bool {
    let hears = |line: &Line| is_call(line) && ["accept", "read", "recvfrom"].contains(&name(line));
    since.first().is_some_and(hears) || since.iter().any(|line| hears(line) && !line.contains(" = -1 ") && !line.contains(" = ?"))
}

fn judge(fault: &Fault, outcome: &Start, part: &Part, stderr: &str, since: &[Line]) -> Option<Verdict> {
    let expected = &fault.row.end;
    let (end, screen) = (verdict::end(outcome), outcome.lines.join(" | "));
    let is_expected = match expected {
        End::Ends(status, _) => end == status.to_string(),
        End::GoesOn(_) => end == part.end,
        End::Waits(call) => outcome.waits && outcome.end.is_none() && outcome.call == Some(*call),
        End::Signal(signal) => end == *signal,
        End::LeftOut => true,
    };
    if !is_expected || outcome.interrupted == Some(false) {
        return Some(match outcome.end {
            Some(_) if outcome.interrupted == Some(true) && matches!(expected, End::Ends(..)) && !has_heard(since) => Verdict::new(Kind::Hangs, format!("it waited for its Ctrl-C: {screen}")),
            None if outcome.waits => Verdict::new(Kind::Hangs, format!("it is blocked in {}: {screen}", outcome.call.unwrap_or("a call"))),
            _ => verdict::judge(outcome, "").unwrap_or_else(|| Verdict::new(Kind::Wrong, format!("it ended with {end}: {screen}"))),
        });
    }
    let wrong = |why: String| Some(Verdict::new(Kind::Wrong, format!("{why}: {screen}")));
    let mut lines: Vec<&str> = outcome.lines.iter().map(String::as_str).collect();
    if let End::Ends(_, message) = expected {
        let message = fault.fill(message);
        let at = lines.iter().position(|line| !message.is_empty() && line.trim_end() == message);
        if stderr.trim_end() != message || at.is_some() == message.is_empty() {
            return wrong(format!("not '{message}' alone on stderr, but '{}'", stderr.trim_end()));
        }
        at.map(|at| lines.remove(at));
    }
    let new = fault.texts(fault.row.lines);
    if !are_said(&lines, &part.lines, &new, &mut Placeholders::default()) {
        return wrong("these lines are neither in the scene nor in the row".to_owned());
    }
    let missing = part.lines.len() + new.len() - lines.len();
    match expected {
        End::GoesOn(without) if missing != *without => wrong(format!("{missing} lines of the scene are missing, not {without}")),
        _ => None,
    }
}

/// No other program may print what is not true, or end by a signal but its Ctrl-C or, its peer gone, SIGPIPE.
fn judge_other(fault: &Fault, start: &Start, part: &Part) -> Option<Verdict> {
    let who = &start.who;
    let lines: Vec<&str> = start.lines.iter().flat_map(|line| sock::received(line)).collect();
    let said: Vec<Text> = part.lines.iter().flat_map(|text| sock::received(text.notation())).map(Text::from).collect();
    let new = fault.row.others.split("; ").find_map(|other| other.strip_prefix(who)?.strip_prefix(": ")).map(|lines| fault.texts(lines)).unwrap_or_default();
    let crash = verdict::judge(start, "").filter(|verdict| verdict.kind == Kind::Crashes && verdict::end(start) != "SIGPIPE");
    let wrong = || Verdict::new(Kind::Wrong, format!("these lines of {who} are neither in the scene nor in the row: {}", start.lines.join(" | ")));
    crash.or_else(|| (!are_said(&lines, &said, &new, &mut Placeholders::default())).then(wrong))
}

/// Whether `lines` are, in their order, all of `new` and some of `said`.
fn are_said(lines: &[&str], said: &[Text], new: &[Text], numbers: &mut Placeholders) -> bool {
    let Some((line, rest)) = lines.split_first() else { return new.is_empty() };
    if let Some((first, more)) = new.split_first() {
        let mut then = numbers.clone();
        if first.matches(line.as_bytes(), &mut then) && are_said(rest, said, more, &mut then) {
            return true;
        }
    }
    let mut then = numbers.clone();
    let at = said.iter().position(|text| text.matches(line.as_bytes(), &mut then));
    at.is_some_and(|at| are_said(rest, &said[at + 1..], new, &mut then))
}

/// What is wrong with the rows of a program, given the traces of their scenes: a call without a row, or
/// a row whose call is not made there.
fn gaps<'a>(rows: &[&'a Row], trace: impl Fn(&'a Row) -> Option<&'a Trace>) -> Vec<String> {
    let mut gaps = Vec::new();
    if rows.is_empty() {
        gaps.push("no row".to_owned());
    }
    for row in rows {
        let Some(trace) = trace(row) else {
            gaps.push(format!("{row}: no such process there"));
            continue;
        };
        match row.positions(trace).len() {
            0 => gaps.push(format!("{row}: it makes no such call there")),
            1 if !(row.is_first && row.is_last) => gaps.push(format!("{row}: it makes this call once; say 'each'")),
            _ => {}
        }
        let of_process: Vec<&&Row> = rows.iter().filter(|other| other.process == row.process).collect();
        for line in own(trace).map(|at| &trace.lines[at]).filter(|line| !of_process.iter().any(|other| other.is_for(line))) {
            gaps.push(format!("{}: no row for this call of {} in {}: {}", row.program, row.process, row.scene, line.text));
        }
        let alike = || of_process.iter().filter(|other| other.call == row.call);
        if alike().any(|other| other.end == End::LeftOut) {
            continue;
        }
        if !alike().any(|other| other.is_first) || !alike().any(|other| other.is_last) {
            gaps.push(format!("{row}: no row for the first or the last time"));
        }
        if INTERRUPTIBLE.contains(&name(row.call)) && !alike().any(|other| other.faults.contains(&"EINTR")) {
            gaps.push(format!("{row}: EINTR is missing"));
        }
    }
    gaps.sort();
    gaps.dedup();
    gaps
}

/// Where a trace has the calls that the program makes itself and that can fail.
fn own(trace: &Trace) -> impl Iterator<Item = usize> + '_ {
    let is_own = |at: &usize| {
        let line = &trace.lines[*at];
        // Of a descriptor it is stdio that asks, of a path the program.
        is_call(line) && !SAFE.contains(&name(line)) && (trace::is_own(line) || line.starts_with("newfstatat(AT_FDCWD"))
    };
    (trace.start()..trace.lines.len()).filter(is_own)
}

impl Row {
    /// The actor whose program is meant.
    fn who(&self) -> &str {
        self.process.strip_suffix(" child").unwrap_or(self.process)
    }

    fn is_for(&self, line: &str) -> bool {
        match self.call.split_once("...") {
            Some((before, within)) => line.starts_with(before) && line.contains(within),
            None if self.call.contains('(') => line.starts_with(self.call),
            None => name(line) == self.call,
        }
    }

    fn positions(&self, trace: &Trace) -> Vec<usize> {
        own(trace).filter(|position| self.is_for(&trace.lines[*position])).collect()
    }

    /// Its faults, as they are in a process with this trace when nothing fails; none if the process does
    /// not make the call.
    fn in_trace(&self, trace: Option<&Trace>) -> Vec<Fault<'_>> {
        let Some(trace) = trace else { return Vec::new() };
        let mut at = self.positions(trace);
        let is_once = at.len() == 1;
        at = at.first().filter(|_| self.is_first).into_iter().chain(at.last().filter(|_| self.is_last && !is_once)).copied().collect();
        self.faults.iter().flat_map(|fails| at.iter().map(|at| Fault::new(self, fails, &trace.lines[..*at]))).collect()
    }
}

/// "udpserver (server in two-clients): recvfrom".
impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} ({} in {}): {}", self.program, self.process, self.scene, self.call)
    }
}

/// One thing that happens to one call of a program.
struct Fault<'a> {
    row: &'a Row,
    fails: &'a str,
    /// The options of strace that make it happen.
    injections: Vec<String>,
}

impl Fault<'_> {
    /// To the call after these lines.
    fn new<'a>(row: &'a Row, fails: &'a str, before: &[Line]) -> Fault<'a> {
        // Which of the process's calls of that name is next, from 1, the loader's included.
        let when = |call: &str| before.iter().filter(|line| is_call(line) && name(line) == call).count() + 1;
        let more = row.more.iter().map(|more| more.trim_start_matches('+')).map(|more| match more.split_once('=') {
            Some((call, error)) if !more.contains(':') => format!("inject={call}:error={error}:when={}", when(call)),
            _ => format!("inject={more}"),
        });
        let fault = fails.strip_prefix('=').map_or_else(|| format!("error={fails}"), |count| format!("retval={count}"));
        let (call, delay) = (name(row.call), if row.is_delayed { ":delay_enter=200000" } else { "" });
        let injections = more.chain([format!("inject={call}:{fault}{delay}:when={}", when(call))]).collect();
        Fault { row, fails, injections }
    }

    /// The lines of a trace from the fault on.
    fn since<'a>(&self, trace: &'a Trace) -> Option<&'a [Line]> {
        let at = trace.lines.iter().position(|line| name(line) == name(self.row.call) && line.contains("(INJECTED)"))?;
        Some(&trace.lines[at..])
    }

    fn texts(&self, lines: &str) -> Vec<Text> {
        lines.split(" | ").filter(|line| *line != "-").map(|line| Text::from(self.fill(line).as_str())).collect()
    }

    fn fill(&self, text: &str) -> String {
        let Some(errno) = error(self.fails) else { return text.replace("{count}", self.fails.trim_start_matches('=')) };
        let number = errno as i32;
        // "File exists (os error 17)"
        let error = io::Error::from(errno).to_string().replace(&format!(" (os error {number})"), "");
        text.replace("{error}", &format!("{error} ({number})")).replace("{errno}", &format!("{number},{error}")).replace("{text}", &error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const HEAD: &str = "udpserver\ttwo-clients\tserver";

    fn trace() -> Trace {
        let lines = ["execve(x) = 0", "close(3) = 0", "socket(2) = 3", "write(1, \"a\", 1) = 1", "recvfrom(3) = 1", "write(1, \"b\", 1) = 1", "recvfrom(3) = 1 (INJECTED)", "+++ exited with 0 +++"];
        Trace { who: "server".into(), program: "udpserver".into(), lines: lines.map(Line::from).into() }
    }

    #[test]
    fn a_fault_is_at_the_first_time_and_the_last() {
        let row = row(format!("{HEAD}\trecvfrom\teach\tEINTR =1 +write=ENOSPC\tgoes on\tn={{count}} {{errno}}\t-").leak()).unwrap();
        let trace = trace();
        let faults = row.in_trace(Some(&trace));
        let injections: Vec<_> = faults.iter().map(|fault| fault.injections.join(" ")).collect();
        assert_eq!(injections[0], "inject=write:error=ENOSPC:when=2 inject=recvfrom:error=EINTR:when=1");
        assert_eq!(injections[1], "inject=write:error=ENOSPC:when=3 inject=recvfrom:error=EINTR:when=2");
        assert_eq!(injections[2], "inject=write:error=ENOSPC:when=2 inject=recvfrom:retval=1:when=1");
        assert_eq!((faults[0].fill(row.lines), faults[2].fill(row.lines)), ("n={count} 4,Interrupted system call".into(), "n=1 {errno}".into()));
    }

    #[test]
    fn gaps_are_found() {
        let read = |rests: &[&str]| rests.iter().map(|rest| row(format!("{HEAD}\t{rest}\tgoes on\t-\t-").leak()).unwrap()).collect::<Vec<_>>();
        let trace = trace();
        let gaps_of = |rests: &[&str]| gaps(&read(rests).iter().collect::<Vec<_>>(), |_| Some(&trace)).join("\n");
        let full = ["socket\teach\tEMFILE", "write(1\teach\tEINTR", "recvfrom\teach\tEINTR"];
        assert_eq!(gaps_of(&full), "");
        for (rests, gap) in [
            (&full[..2] as &[_], "no row for this call of server in two-clients: recvfrom(3) = 1"),
            (&[full[0], full[1], full[2], "bind\teach\tEACCES"], "bind: it makes no such call there"),
            (&["socket\tfirst\tEMFILE", full[1], full[2]], "say 'each'"),
            (&[full[0], full[1], "recvfrom\tfirst\tEINTR"], "no row for the first or the last time"),
            (&[full[0], full[1], "recvfrom\teach\tENOMEM"], "EINTR is missing"),
        ] {
            assert!(gaps_of(rests).contains(gap), "{rests:?}: {}", gaps_of(rests));
        }
    }

    #[test]
    fn each_way_to_end_is_checked() {
        const MESSAGE: &str = "recvfrom failed: Input/output error (5)";
        const ENDS: &str = "ends: recvfrom failed: {error}";
        let (trace, all, more) = (trace(), ["start", "send 5", "end"], ["start", "send -1", "send 5", "end"]);
        let part = Part { lines: all.map(Text::from).into(), end: "SIGINT".into() };
        for (end, lines, status, said, stderr, kind) in [
            (ENDS, "-", Some(1 << 8), &["start", MESSAGE] as &[&str], MESSAGE, None),
            (ENDS, "-", Some(2 << 8), &["start", MESSAGE], MESSAGE, Some(Kind::Wrong)),
            (ENDS, "-", Some(11), &["start", MESSAGE], MESSAGE, Some(Kind::Crashes)),
            (ENDS, "-", Some(1 << 8), &["start", MESSAGE], "recvfrom failed: Input/output error (5)\nmore\n", Some(Kind::Wrong)),
            (ENDS, "-", Some(1 << 8), &["start"], MESSAGE, Some(Kind::Wrong)),
            (ENDS, "-", Some(1 << 8), &["start", "send -1", MESSAGE], MESSAGE, Some(Kind::Wrong)),
            (ENDS, "-", None, &["start"], "", Some(Kind::Hangs)),
            ("quits", "-", Some(0), &["start"], "", None),
            ("quits", "-", Some(0), &["start"], "oh\n", Some(Kind::Wrong)),
            ("goes on", "-", Some(2), &all, "", None),
            ("goes on", "-", Some(0), &all, "", Some(Kind::Wrong)),
            ("goes on", "-", Some(2), &more, "", Some(Kind::Wrong)),
            ("goes on", "-", Some(2), &all[..2], "", Some(Kind::Wrong)),
            ("goes on", "send -1", Some(2), &more, "", None),
            ("goes on", "send -1", Some(2), &all, "", Some(Kind::Wrong)),
            ("goes on without 1", "-", Some(2), &all[..2], "", None),
            ("waits in recvfrom", "-", None, &["start"], "", None),
            ("waits in read", "-", None, &["start"], "", Some(Kind::Hangs)),
            ("SIGPIPE, as in C", "-", Some(13), &["start"], "", None),
            ("SIGPIPE, as in C", "-", Some(11), &["start"], "", Some(Kind::Crashes)),
        ] {
            let row = row(format!("{HEAD}\trecvfrom\tfirst\tEIO\t{end}\t{lines}\tclient: {MESSAGE}").leak()).unwrap();
            let fault = &row.in_trace(Some(&trace))[0];
            let lines: Vec<String> = said.iter().map(|line| (*line).to_owned()).collect();
            let start = Start { who: "client".into(), end: status.map(ExitStatus::from_raw), waits: status.is_none(), call: status.is_none().then_some("recvfrom"), lines, ..Start::default() };
            let verdict = judge(fault, &start, &part, stderr, fault.since(&trace).unwrap());
            assert_eq!(verdict.map(|verdict| verdict.kind), kind, "{end}: {status:?} {said:?}");
            // Another program has all of its row's lines and, if it likes, its scene's.
            let is_said = said.contains(&MESSAGE) && !said.contains(&"send -1") && status != Some(11);
            assert_eq!(judge_other(fault, &start, &part).is_none(), is_said, "{said:?}");
        }
    }
}
