//! Faults: each call that a program makes itself is made to fail or to return a count cut short, and
//! the program must do what `tests/trials/faults.tsv` says.
//!
//! A row of that table has nine columns, separated by tabs:
//!
//! | column | what it says |
//! |---|---|
//! | program, scene, actor | who is meant; `child` behind the actor's name is the process it forked |
//! | call | a call's name, or more of its line in the trace: `write(1`, or `recvfrom(...MSG_DONTWAIT` |
//! | when | `first` or `last` time that it makes the call in the scene, or `each` of the two |
//! | fault | what happens to the call: the names of errors, and counts that it returns, `=1`; further on this |
//! | ends | how the program ends |
//! | lines | the lines on its terminal that the scene has not, in their order, between bars |
//! | others | the same of other actors: `client: LINE \| LINE; other: LINE` |
//!
//! Behind the errors and counts may stand `delay` (the call takes a fifth of a second, in which
//! the other side comes to rest), `+write=ENOSPC` (the next call of that name fails, too) and options
//! of strace's inject (`+close:delay_enter=300000:when=1`).
//!
//! | ends | what is expected |
//! |---|---|
//! | `ends: MESSAGE` | exit status 1, and this one line on stderr; `ends 255:` is another status |
//! | `quits` | exit status 0 and nothing on stderr: to stdio, input that cannot be read has come to its end |
//! | `goes on` | it ends as the scene says, and no line of the scene is missing; `goes on without 2`: two are |
//! | `waits in recvfrom` | it is blocked there when the scene comes to its end |
//! | `SIGPIPE, as in C` | this signal ends it |
//! | `left out: WHY` | strace cannot make this call fail alone |
//!
//! `{error}` stands for the error's text and number, `File exists (17)`, `{text}` for its text alone,
//! `{errno}` for `17,File exists` as the notes' programs print it, and `{count}` for the count.

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;

use lab::scene::Text;
use lab::trace::{Trace, is_call, name};

const FILE: &str = "tests/trials/faults.tsv";

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    pub program: String,
    pub scene: String,
    /// The process meant: an actor, or "pair child".
    pub process: String,
    call: String,
    occasions: Occasions,
    faults: Vec<Kind>,
    is_delayed: bool,
    /// Calls whose next time fails, too, and the error.
    next: Vec<(String, String)>,
    /// Further options of strace.
    further: Vec<String>,
    end: End,
    lines: Vec<String>,
    others: Vec<(String, Vec<String>)>,
}

/// Which of the times that a program makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasions {
    First,
    Last,
    Each,
}

/// What is expected of a program's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Ends {
        status: i32,
        message: String,
    },
    Quits,
    GoesOn {
        /// How many lines of the scene are missing.
        without: usize,
    },
    Waits {
        call: String,
    },
    /// By this signal, as the C program.
    Signal(String),
    LeftOut,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Error(&'static str, i32),
    Returns(i64),
}

/// The errors that the table may name.
const ERRORS: [(&str, i32); 25] = [
    ("EACCES", libc::EACCES),
    ("EADDRINUSE", libc::EADDRINUSE),
    ("EAGAIN", libc::EAGAIN),
    ("EBUSY", libc::EBUSY),
    ("ECHILD", libc::ECHILD),
    ("ECONNABORTED", libc::ECONNABORTED),
    ("ECONNREFUSED", libc::ECONNREFUSED),
    ("ECONNRESET", libc::ECONNRESET),
    ("EINTR", libc::EINTR),
    ("EINVAL", libc::EINVAL),
    ("EIO", libc::EIO),
    ("ELOOP", libc::ELOOP),
    ("EMFILE", libc::EMFILE),
    ("ENETUNREACH", libc::ENETUNREACH),
    ("ENFILE", libc::ENFILE),
    ("ENOBUFS", libc::ENOBUFS),
    ("ENOENT", libc::ENOENT),
    ("ENOMEM", libc::ENOMEM),
    ("ENOPROTOOPT", libc::ENOPROTOOPT),
    ("ENOSPC", libc::ENOSPC),
    ("ENOTDIR", libc::ENOTDIR),
    ("EPERM", libc::EPERM),
    ("EPIPE", libc::EPIPE),
    ("EROFS", libc::EROFS),
    ("ETIMEDOUT", libc::ETIMEDOUT),
];

/// The calls in which a signal can interrupt a program that waits.
const INTERRUPTIBLE: [&str; 7] = ["accept", "connect", "read", "recvfrom", "sendto", "wait4", "write"];

/// How long a delayed call takes, in microseconds.
const DELAY: u32 = 200_000;

/// The table of what is expected.
///
/// # Errors
///
/// If it cannot be read or has a row of another form.
pub fn rows(root: &Path) -> Result<Vec<Row>> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    rows.map(|line| row(line).with_context(|| format!("{FILE}: {}", line.replace('\t', " ")))).collect()
}

pub(crate) fn row(line: &str) -> Result<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let &[program, scene, process, call, when, fault, end, lines, others] = cells.as_slice() else { bail!("{} columns, not nine", cells.len()) };
    let occasions = match when {
        "first" => Occasions::First,
        "last" => Occasions::Last,
        "each" => Occasions::Each,
        _ => bail!("'{when}' is none of first, last, each"),
    };
    let mut row = Row {
        program: program.to_owned(),
        scene: scene.to_owned(),
        process: process.to_owned(),
        call: call.to_owned(),
        occasions,
        faults: Vec::new(),
        is_delayed: false,
        next: Vec::new(),
        further: Vec::new(),
        end: parse_end(end)?,
        lines: parse_lines(lines),
        others: Vec::new(),
    };
    for word in fault.split(' ').filter(|word| *word != "-") {
        if word == "delay" {
            row.is_delayed = true;
        } else if let Some(count) = word.strip_prefix('=') {
            row.faults.push(Kind::Returns(count.parse().with_context(|| format!("'{count}' is no number"))?));
        } else if let Some(more) = word.strip_prefix('+') {
            match more.split_once('=') {
                Some((call, error)) if !more.contains(':') => row.next.push((call.to_owned(), known(error)?.0.to_owned())),
                _ => row.further.push(format!("inject={more}")),
            }
        } else {
            let (name, number) = known(word)?;
            row.faults.push(Kind::Error(name, number));
        }
    }
    ensure!(row.faults.is_empty() == (row.end == End::LeftOut), "what is left out has no fault, and any other row has one");
    for other in others.split("; ").filter(|other| *other != "-") {
        let (who, lines) = other.split_once(": ").with_context(|| format!("'{other}' is not WHO: LINE"))?;
        row.others.push((who.to_owned(), parse_lines(lines)));
    }
    Ok(row)
}

fn known(error: &str) -> Result<(&'static str, i32)> {
    ERRORS.into_iter().find(|(name, _)| *name == error).with_context(|| format!("no error is called {error}"))
}

fn parse_end(text: &str) -> Result<End> {
    if let Some((before, message)) = text.split_once(": ") {
        let status = match before {
            "left out" => return Ok(End::LeftOut),
            "ends" => 1,
            _ => before.strip_prefix("ends ").and_then(|status| status.parse().ok()).with_context(|| format!("'{before}' is not ends STATUS"))?,
        };
        return Ok(End::Ends { status, message: message.to_owned() });
    }
    if let Some(signal) = text.strip_suffix(", as in C") {
        return Ok(End::Signal(signal.to_owned()));
    }
    if let Some(call) = text.strip_prefix("waits in ") {
        return Ok(End::Waits { call: call.to_owned() });
    }
    match text {
        "quits" => Ok(End::Quits),
        "goes on" => Ok(End::GoesOn { without: 0 }),
        _ => {
            let without = text.strip_prefix("goes on without ").and_then(|number| number.parse().ok());
            Ok(End::GoesOn { without: without.with_context(|| format!("'{text}' is no way to end"))? })
        }
    }
}

fn parse_lines(text: &str) -> Vec<String> {
    text.split(" | ").filter(|line| *line != "-").map(str::to_owned).collect()
}

/// What is wrong with the rows of a program, given the traces of their scenes: a call without a row, or
/// a row whose call is not made there.
pub fn gaps(rows: &[&Row], trace: impl Fn(&Row) -> Option<Trace>) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut seen = Vec::new();
    for row in rows {
        let Some(trace) = trace(row) else {
            gaps.push(format!("{row}: no such process there"));
            continue;
        };
        let occasions = row.positions(&trace).len();
        match (occasions, row.occasions) {
            (0, _) => gaps.push(format!("{row}: it makes no such call there")),
            (1, Occasions::First | Occasions::Last) => gaps.push(format!("{row}: it makes this call once; say 'each'")),
            _ => {}
        }
        if !seen.contains(&(&row.scene, &row.process)) {
            seen.push((&row.scene, &row.process));
            let of_process = |other: &&&Row| other.process == row.process;
            for position in own(&trace).filter(|position| !rows.iter().filter(of_process).any(|other| other.is_for(&trace.lines[*position]))) {
                gaps.push(format!("{}: no row for this call of {} in {}: {}", row.program, row.process, row.scene, trace.lines[position]));
            }
        }
        let alike = |other: &&&Row| other.process == row.process && other.call == row.call;
        let is_left_out = rows.iter().filter(alike).any(|other| other.end == End::LeftOut);
        let has = |what: &dyn Fn(&Row) -> bool| is_left_out || rows.iter().filter(alike).any(|other| what(other));
        for (occasion, name) in [(Occasions::First, "first"), (Occasions::Last, "last")] {
            if !has(&|other| other.occasions == Occasions::Each || other.occasions == occasion) {
                gaps.push(format!("{row}: no row for the {name} time"));
            }
        }
        if INTERRUPTIBLE.contains(&name(&row.call)) && !has(&|other| other.faults.contains(&Kind::Error("EINTR", libc::EINTR))) {
            gaps.push(format!("{row}: EINTR is missing"));
        }
    }
    gaps.dedup();
    gaps
}

/// Where a trace has the calls that the program makes itself and that can fail.
fn own(trace: &Trace) -> impl Iterator<Item = usize> + '_ {
    let can_fail = |line: &str| is_call(line) && !["exit_group", "getpid", "rt_sigreturn"].contains(&name(line));
    let start = trace.start();
    let is_own = move |at: &usize| {
        let line = &trace.lines[*at];
        // Of a descriptor it is stdio that asks, of a path the program.
        can_fail(line) && (lab::trace::is_own(line) || line.starts_with("newfstatat(AT_FDCWD"))
    };
    (start..trace.lines.len()).filter(is_own)
}

impl Row {
    /// The actor whose program is meant.
    pub fn who(&self) -> &str {
        self.process.strip_suffix(" child").unwrap_or(&self.process)
    }

    fn is_for(&self, line: &str) -> bool {
        match self.call.split_once("...") {
            Some((before, within)) => line.starts_with(before) && line.contains(within),
            None if self.call.contains('(') => line.starts_with(&self.call),
            None => name(line) == self.call,
        }
    }

    fn positions(&self, trace: &Trace) -> Vec<usize> {
        own(trace).filter(|position| self.is_for(&trace.lines[*position])).collect()
    }

    /// Its faults, as they are in a process with this trace when nothing fails; none if the process does
    /// not make the call.
    pub fn in_trace(&self, trace: &Trace) -> Vec<Fault<'_>> {
        let positions = self.positions(trace);
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return Vec::new() };
        let mut at = match self.occasions {
            Occasions::First => vec![*first],
            // As the C program may do it.
            Occasions::Last if positions.len() == 1 => return Vec::new(),
            Occasions::Last => vec![*last],
            Occasions::Each => vec![*first, *last],
        };
        at.dedup();
        let count = |name_of: &str, before: usize| trace.lines[..before].iter().filter(|line| is_call(line) && name(line) == name_of).count() + 1;
        let next = |at: usize| self.next.iter().map(|(call, error)| format!("inject={call}:error={error}:when={}", count(call, at))).collect();
        let of_kind = |kind: &Kind| at.iter().map(|at| Fault { row: self, kind: *kind, when: count(name(&self.call), *at), next: next(*at) }).collect::<Vec<_>>();
        self.faults.iter().flat_map(of_kind).collect()
    }
}

/// "udpserver (server in two-clients): recvfrom".
impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} ({} in {}): {}", self.program, self.process, self.scene, self.call)
    }
}

/// One thing that happens to one call of a program.
pub struct Fault<'a> {
    pub row: &'a Row,
    kind: Kind,
    /// Which of the process's calls of that name, from 1, the loader's included.
    when: usize,
    /// What makes later calls fail, too.
    next: Vec<String>,
}

impl Fault<'_> {
    /// The options of strace that make it happen.
    pub fn injections(&self) -> Vec<String> {
        let fault = match self.kind {
            Kind::Error(name, _) => format!("error={name}"),
            Kind::Returns(count) => format!("retval={count}"),
        };
        let delay = if self.row.is_delayed { format!(":delay_enter={DELAY}") } else { String::new() };
        let mut injections = self.row.further.clone();
        injections.push(format!("inject={}:{fault}{delay}:when={}", name(&self.row.call), self.when));
        injections.extend(self.next.iter().cloned());
        injections
    }

    /// Whether a line of a trace is a call of that name to which a fault has happened.
    pub fn is_in(&self, line: &str) -> bool {
        name(line) == name(&self.row.call) && line.contains("(INJECTED)")
    }

    pub fn end(&self) -> End {
        match &self.row.end {
            End::Ends { status, message } => End::Ends { status: *status, message: self.fill(message) },
            end => end.clone(),
        }
    }

    /// The lines of the program's that the scene has not.
    pub fn lines(&self) -> Vec<Text> {
        self.texts(&self.row.lines)
    }

    /// The lines of another actor's that the scene has not.
    pub fn lines_of(&self, who: &str) -> Vec<Text> {
        let of_other = self.row.others.iter().find(|(other, _)| other == who);
        of_other.map(|(_, lines)| self.texts(lines)).unwrap_or_default()
    }

    fn texts(&self, lines: &[String]) -> Vec<Text> {
        lines.iter().map(|line| Text::from(self.fill(line).as_str())).collect()
    }

    fn fill(&self, text: &str) -> String {
        match self.kind {
            Kind::Error(_, number) => {
                // SAFETY: strerror's text is copied before the next call.
                let error = unsafe { CStr::from_ptr(libc::strerror(number)) }.to_string_lossy().into_owned();
                text.replace("{error}", &format!("{error} ({number})")).replace("{errno}", &format!("{number},{error}")).replace("{text}", &error)
            }
            Kind::Returns(count) => text.replace("{count}", &count.to_string()),
        }
    }
}

/// "udpserver (server in two-clients): recvfrom fails with EINTR, call 2 of that name".
impl std::fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.kind {
            Kind::Error(error, _) => write!(f, "{} fails with {error}", self.row)?,
            Kind::Returns(count) => write!(f, "{} returns {count}", self.row)?,
        }
        write!(f, ", call {} of that name", self.when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "udpserver\ttwo-clients\tserver";

    #[test]
    fn a_row_is_read() {
        let row = row(&format!("{HEAD}\tbind\teach\tEACCES =1 delay +write=ENOSPC +close:error=EIO\tends: bind failed: {{error}}\tA | B\tclient1: C | D; client2: E")).unwrap();
        assert_eq!(row.faults, [Kind::Error("EACCES", libc::EACCES), Kind::Returns(1)]);
        assert!(row.is_delayed);
        assert_eq!(row.next, [("write".to_owned(), "ENOSPC".to_owned())]);
        assert_eq!(row.further, ["inject=close:error=EIO"]);
        assert_eq!(row.end, End::Ends { status: 1, message: "bind failed: {error}".into() });
        assert_eq!(row.lines, ["A", "B"]);
        assert_eq!(row.others[0], ("client1".to_owned(), vec!["C".to_owned(), "D".to_owned()]));
        assert_eq!(row.others[1].0, "client2");
    }

    #[test]
    fn what_is_wrong_with_a_row_is_named() {
        for (rest, message) in [
            ("bind\teach\tEACCES\tgoes on\t-", "8 columns, not nine"),
            ("bind\tnow\tEACCES\tgoes on\t-\t-", "'now' is none of"),
            ("bind\teach\tEWRONG\tgoes on\t-\t-", "no error is called EWRONG"),
            ("bind\teach\t=x\tgoes on\t-\t-", "'x' is no number"),
            ("bind\teach\tEACCES\teither\t-\t-", "'either' is no way to end"),
            ("bind\teach\t-\tgoes on\t-\t-", "any other row has one"),
            ("bind\teach\tEACCES\tgoes on\t-\tclient", "'client' is not WHO: LINE"),
        ] {
            let error = format!("{:#}", row(&format!("{HEAD}\t{rest}")).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
    }

    fn trace() -> Trace {
        let lines = ["execve(x) = 0", "close(3) = 0", "socket(2) = 3", "write(1, \"a\", 1) = 1", "recvfrom(3) = 1", "write(1, \"b\", 1) = 1", "recvfrom(3) = 1", "+++ exited with 0 +++"];
        Trace { who: "server".into(), program: "udpserver".into(), lines: lines.map(str::to_owned).into() }
    }

    #[test]
    fn a_fault_is_at_the_first_time_and_the_last() {
        let row = row(&format!("{HEAD}\trecvfrom\teach\tEINTR =1 +write=ENOSPC\tgoes on\tn={{count}} {{errno}}\t-")).unwrap();
        let trace = trace();
        let faults = row.in_trace(&trace);
        let injections: Vec<_> = faults.iter().map(|fault| fault.injections().join(" ")).collect();
        assert_eq!(injections[0], "inject=recvfrom:error=EINTR:when=1 inject=write:error=ENOSPC:when=2");
        assert_eq!(injections[1], "inject=recvfrom:error=EINTR:when=2 inject=write:error=ENOSPC:when=3");
        assert_eq!(injections[2], "inject=recvfrom:retval=1:when=1 inject=write:error=ENOSPC:when=2");
        assert_eq!(faults[0].lines()[0].notation(), "n={count} 4,Interrupted system call");
        assert_eq!(faults[2].lines()[0].notation(), "n=1 {errno}");
    }

    #[test]
    fn gaps_are_found() {
        let read = |rests: &[&str]| rests.iter().map(|rest| row(&format!("{HEAD}\t{rest}\tgoes on\t-\t-")).unwrap()).collect::<Vec<_>>();
        let gaps_of = |rests: &[&str]| gaps(&read(rests).iter().collect::<Vec<_>>(), |_| Some(trace())).join("\n");
        let full = ["socket\teach\tEMFILE", "write(1\teach\tEINTR", "recvfrom\teach\tEINTR"];
        assert_eq!(gaps_of(&full), "");
        assert!(gaps_of(&full[..2]).contains("no row for this call of server in two-clients: recvfrom(3) = 1"));
        assert!(gaps_of(&[full[0], full[1], full[2], "bind\teach\tEACCES"]).contains("bind: it makes no such call there"));
        assert!(gaps_of(&["socket\tfirst\tEMFILE", full[1], full[2]]).contains("say 'each'"));
        assert!(gaps_of(&[full[0], full[1], "recvfrom\tfirst\tEINTR"]).contains("no row for the last time"));
        assert!(gaps_of(&[full[0], full[1], "recvfrom\teach\tENOMEM"]).contains("EINTR is missing"));
        assert_eq!(gaps_of(&[full[0], full[1], "recvfrom(...= 1\teach\tEINTR"]), "");
        assert!(gaps_of(&[full[0], full[1], "recvfrom(...= 2\teach\tEINTR"]).contains("it makes no such call"));
    }
}
