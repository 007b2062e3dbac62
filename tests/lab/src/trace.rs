//! Traces: what strace wrote of one process, and which of its calls are the program's own.

use std::fs;
use std::iter;
use std::mem;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::mask::{Mask, fold, portable, units};
use crate::signals;
use crate::sources::{At, FRAME, Sources};

/// How long the tracer may take to write its last line after the program's end.
const LIMIT: Duration = Duration::from_secs(10);

/// A trace of more lines than this is that of a C program that loops, and is cut.
const FLOOD: usize = 2000;

/// The calls that the programs make themselves (some architectures have not all of them); the loader's, malloc's and stdio's own are not here.
#[rustfmt::skip]
pub const OWN: [&str; 23] = [
    "socket", "socketpair", "setsockopt", "bind", "listen", "accept", "connect", "sendto", "recvfrom",
    "read", "write", "writev", "close", "unlink", "unlinkat",
    "getpid", "clone", "fork", "vfork", "wait4", "rt_sigaction", "rt_sigreturn", "exit_group",
];

/// A call, a signal or an end. Two are equal if their texts are.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// As strace wrote it, without its time and padding; masked in a golden and in what is compared.
    pub text: String,
    pub at: At,
    /// When the call began, in nanoseconds since 1970.
    pub time: u64,
}

impl Line {
    /// Another text, of the same place.
    pub fn with(&self, text: String) -> Line {
        Line { text, at: self.at.clone(), time: self.time }
    }
}

impl<T: Into<String>> From<T> for Line {
    fn from(text: T) -> Line {
        Line { text: text.into(), ..Line::default() }
    }
}

impl Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<T: Deref<Target = str>> PartialEq<T> for Line {
    fn eq(&self, other: &T) -> bool {
        self.text == **other
    }
}

impl Eq for Line {}

/// The trace of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The actor, with a number from its second start on, and "child" for a process it forked.
    pub who: String,
    pub program: String,
    pub lines: Vec<Line>,
}

impl Trace {
    /// The lines of the program's own calls, of signals and of its end: the same on every glibc and every
    /// architecture.
    ///
    /// The loader's calls come first, and it reads and closes files, too; its part ends with the
    /// first call of the program's that is neither. A forked process has no loader's part.
    pub fn own(&self) -> Vec<Line> {
        let own = self.lines[self.start()..].iter().filter(|line| is_own(line));
        by_lines_of_text(masked(own, portable)).iter().map(|line| line.with(fold(line))).collect()
    }

    /// All lines, with long runs of a character folded.
    pub fn whole(&self) -> Vec<Line> {
        masked(self.lines.iter(), str::to_owned).iter().map(|line| line.with(fold(line))).collect()
    }

    /// Where the loader's part ends.
    pub fn start(&self) -> usize {
        let is_loaders = |line: &Line| is_call(line) && (!is_own(line) || ["read", "close"].contains(&name(line)));
        match self.lines.first() {
            Some(first) if name(first) == "execve" => self.lines.iter().take_while(|line| is_loaders(line)).count(),
            _ => 0,
        }
    }
}

/// The lines masked, with those that repeat by chance alone as one: receives that do not wait, and draws of
/// random bytes, for tmpnam draws again, about every 22nd time, if a number would make some names likelier than others.
fn masked<'a>(lines: impl Iterator<Item = &'a Line>, change: impl Fn(&str) -> String) -> Vec<Line> {
    let is_by_chance = |line: &str| line.starts_with("getrandom(") || line.contains("‹what has come›");
    let mut mask = Mask::default();
    let mut lines: Vec<Line> = lines.map(|line| line.with(mask.line(&change(line)))).collect();
    lines.dedup_by(|line, before| line == before && is_by_chance(line));
    lines
}

/// What stdio writes to standard output or standard error, as one write for each line of text: glibc 2.36
/// and 2.37 cut the same bytes differently. Its place is that of the write with its end. Only complete writes
/// are joined and cut anew, and nothing but a write may lie between them.
fn by_lines_of_text(lines: Vec<Line>) -> Vec<Line> {
    let mut out = Vec::new();
    let mut rest = lines.into_iter().peekable();
    while let Some(line) = rest.next() {
        let Some((fd, text)) = whole_write(&line) else {
            out.push(line);
            continue;
        };
        let mut text = text.to_owned();
        let mut ends = vec![(text.len(), line.at.clone())];
        while let Some(next) = rest.next_if(|next| whole_write(next).is_some_and(|(next_fd, _)| next_fd == fd)) {
            text += whole_write(&next).map_or("", |(_, text)| text);
            ends.push((text.len(), next.at));
        }
        let mut end = 0;
        for piece in units(&text).collect::<Vec<_>>().split_inclusive(|unit| *unit == r"\n") {
            let (count, piece) = (piece.len(), piece.concat());
            let length = if piece.contains('‹') { "‹length›".to_owned() } else { count.to_string() };
            end += piece.len();
            let at = ends.iter().find(|(to, _)| *to >= end).map(|(_, at)| at.clone()).unwrap_or_default();
            out.push(Line { text: format!("write({fd}, \"{piece}\", {length}) = {length}"), at, ..Line::default() });
        }
    }
    out
}

/// Descriptor and text of a write to standard output or error that wrote all of its bytes.
fn whole_write(line: &str) -> Option<(&str, &str)> {
    let [fd, text, length, result] = write(line)?;
    (["1", "2"].contains(&fd) && length == result).then_some((fd, text))
}

/// Descriptor, text, length and result of a write.
pub fn write(line: &str) -> Option<[&str; 4]> {
    let (fd, rest) = line.strip_prefix("write(")?.split_once(", \"")?;
    let (text, rest) = rest.rsplit_once("\", ")?;
    let (length, result) = rest.split_once(") = ")?;
    Some([fd, text, length, result])
}

/// Whether a line after the loader's part is the program's own.
pub fn is_own(line: &str) -> bool {
    !is_call(line) || OWN.contains(&name(line))
}

/// Whether it is known which lines of the source made these calls.
pub fn know_places(lines: &[Line]) -> bool {
    lines.iter().any(|line| line.at.line.is_some())
}

/// Whether a line is a call, not a signal or an end.
pub fn is_call(line: &str) -> bool {
    !line.starts_with("---") && !line.starts_with("+++")
}

/// The name of the call, of the signal, or of the end: `sendto`, `SIGINT`, `exited`, `killed`.
pub fn name(line: &str) -> &str {
    let line = line.trim_start_matches(['-', '+', ' ']);
    line.split(['(', ' ']).next().unwrap_or_default()
}

/// Reads the traces that strace wrote to `log` and a process number each: the first process's
/// first, then those that it forked, in their order. With the binary, each call's place is read, too.
/// Fails if there is none, or one is not complete within ten seconds.
pub fn read(who: &str, program: &str, binary: Option<&Path>, log: &Path) -> Result<Vec<Trace>> {
    let mut now = None;
    let whole = signals::wait(LIMIT, Duration::from_millis(1), || {
        // The stack of the last call comes after the end.
        let before = mem::replace(&mut now, texts(log)?);
        Ok(now.take_if(|now| before.as_ref() == Some(now) || !now.iter().any(|text| text.contains(FRAME))))
    })?;
    let texts = whole.with_context(|| format!("time-out after {} s: strace does not finish the trace of {who}", LIMIT.as_secs()))?;
    let sources = binary.map(|binary| Sources::read(program, binary, &texts)).unwrap_or_default();
    let traces = texts.iter().enumerate().map(|(index, text)| {
        let who = if index == 0 { who.to_owned() } else { format!("{who} child") };
        Trace { who, program: program.to_owned(), lines: lines(text, &sources) }
    });
    Ok(traces.collect())
}

/// Whether the last that strace wrote of this process is that a signal has stopped it.
pub fn tells_of_stop(log: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(format!("{}.{pid}", log.display())).unwrap_or_default();
    last(&text).starts_with("--- stopped by ")
}

/// The texts of the traces, that of the process that was started first, then the others in the order
/// of their numbers, once each has its last line.
fn texts(log: &Path) -> Result<Option<Vec<String>>> {
    let logs = logs(log)?.into_iter();
    let mut texts: Vec<(u32, String)> = logs.filter_map(|(pid, text)| Some((pid.parse().ok()?, text))).collect();
    // Numbers start over at the highest: a child can have a lower one than its parent.
    texts.sort_by_key(|(pid, text)| (!timed(text).1.starts_with("execve("), *pid));
    let is_whole = |text: &str| !text.contains(FRAME) || !last(text).starts_with("+++ exited") || text.lines().next_back().is_some_and(|line| line.starts_with(FRAME));
    let ended = |text: &str| text.ends_with('\n') && last(text).starts_with("+++ ") && is_whole(text);
    if texts.is_empty() || !texts.iter().all(|(_, text)| ended(text)) {
        return Ok(None);
    }
    Ok(Some(texts.into_iter().map(|(_, text)| text).collect()))
}

/// The files of a log: what each has after `log` and a dot in its name, and its text.
/// Fails if they cannot be read.
pub fn logs(log: &Path) -> Result<Vec<(String, String)>> {
    let folder = log.parent().context("a log lies in a folder")?;
    let prefix = format!("{}.", log.file_name().context("a log has a name")?.to_string_lossy());
    let mut logs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(suffix) = entry.file_name().to_string_lossy().strip_prefix(&prefix) {
            logs.push((suffix.to_owned(), String::from_utf8_lossy(&fs::read(entry.path())?).into_owned()));
        }
    }
    Ok(logs)
}

/// The last line that tells of no stack, without its time.
fn last(text: &str) -> &str {
    timed(text.lines().rfind(|line| !line.starts_with(FRAME)).unwrap_or_default()).1
}

/// A line of strace's without its time: `1700000000.000000001 close(3) = 0`.
fn timed(line: &str) -> (u64, &str) {
    let read = || {
        let (time, rest) = line.split_once(' ')?;
        let (seconds, fraction) = time.split_once('.').filter(|(_, fraction)| fraction.len() == 9)?;
        Some((seconds.parse::<u64>().ok()? * 1_000_000_000 + fraction.parse::<u64>().ok()?, rest))
    };
    read().unwrap_or((0, line))
}

fn lines(text: &str, sources: &Sources) -> Vec<Line> {
    let mut rest = text.lines().peekable();
    let next = || {
        let (time, line) = timed(rest.next()?);
        let stack: Vec<&str> = iter::from_fn(|| rest.next_if(|line| line.starts_with(FRAME))).collect();
        Some(Line { text: without_padding(line), at: sources.at(&stack), time })
    };
    let mut lines: Vec<Line> = iter::from_fn(next).take(FLOOD).collect();
    // The stack of exit_group comes after the end.
    if let [.., call, end] = lines.as_mut_slice()
        && call.ends_with(" = ?")
    {
        call.at = mem::take(&mut end.at);
    }
    lines
}

/// strace sets the results in a column: `close(3)      = 0`.
fn without_padding(line: &str) -> String {
    match line.rsplit_once(" = ") {
        Some((call, result)) if is_call(line) => format!("{} = {result}", call.trim_end()),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_again_is_one_draw() {
        let drawn = [r#"getrandom("\x01", 1, GRND_NONBLOCK) = 1"#, r#"getrandom("\xff", 1, GRND_NONBLOCK) = 1"#];
        let look = ["recvfrom(4, \"a\", 9, MSG_DONTWAIT, NULL, NULL) = 1", "recvfrom(4, 0x1, 9, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)"];
        let lines = [drawn[0], drawn[1], "close(7) = 0", "close(7) = 0", look[0], look[1]].map(Line::from);
        let masked = [r#"getrandom("‹bytes›", 1, GRND_NONBLOCK) = 1"#, "close(7) = 0", "close(7) = 0", "recvfrom(4, ‹what has come›, 9, MSG_DONTWAIT, NULL, NULL) = ‹how much›"];
        assert_eq!(super::masked(lines.iter(), str::to_owned), masked);
    }

    #[test]
    fn what_stdio_writes_is_compared_as_bytes() {
        let by_lines = |lines: &[&str]| by_lines_of_text(lines.iter().map(|line| Line::from(*line)).collect());
        let cut = [r#"write(1, "\n", 1) = 1"#, r#"write(1, "received \"2\"\n", 13) = 13"#, r#"write(1, "x\0", 2) = 2"#, "exit_group(0) = ?"];
        assert_eq!(by_lines(&[r#"write(1, "\nreceived \"2", 12) = 12"#, r#"write(1, "\"\nx\0", 4) = 4"#, cut[3]]), cut);
        assert_eq!(by_lines(&cut), cut);
        // A byte lost, added or reordered.
        for other in [r#"write(1, "\nreceived\n", 10) = 10"#, r#"write(1, "\nreceived \"2\"\nxx\0", 17) = 17"#, r#"write(1, "received \"2\"\n\nx\0", 16) = 16"#] {
            assert_ne!(by_lines(&[other, cut[3]]), cut);
        }
        // A write moved across another call, or to another descriptor; a short or a failed one.
        for other in [
            [r#"write(1, "a", 1) = 1"#, "exit_group(0) = ?", r#"write(1, "b\n", 2) = 2"#],
            [r#"write(2, "a", 1) = 1"#, r#"write(1, "b\n", 2) = 2"#, "exit_group(0) = ?"],
            [r#"write(3, "a", 1) = 1"#, r#"write(3, "b\n", 2) = 2"#, "exit_group(0) = ?"],
            [r#"write(1, "a", 1) = 1"#, r#"write(1, "b\n", 2) = 1"#, "exit_group(0) = ?"],
            [r#"write(1, "a", 1) = -1 EPIPE (Broken pipe)"#, r#"write(1, "b\n", 2) = 2"#, "exit_group(0) = ?"],
        ] {
            assert_eq!(by_lines(&other), other);
        }
        let with_pid = by_lines(&[r#"write(1, "pid=‹pid 1›\nx", ‹length›) = ‹length›"#, r#"write(1, "y\n", 2) = 2"#]);
        assert_eq!(with_pid, [r#"write(1, "pid=‹pid 1›\n", ‹length›) = ‹length›"#, r#"write(1, "xy\n", 3) = 3"#]);
    }

    #[test]
    fn times_and_padding_are_no_part_of_a_line() {
        assert_eq!(timed("12.000000003 exit_group(0) = ?"), (12_000_000_003, "exit_group(0) = ?"));
        assert_eq!(timed("write(1, \"12.000000003 \", 5) = 5"), (0, "write(1, \"12.000000003 \", 5) = 5"));
        assert_eq!(without_padding("read(0, \"a = b\\n\", 1024)     = 6"), "read(0, \"a = b\\n\", 1024) = 6");
        assert_eq!(last("1.000000000 +++ exited with 0 +++\n > /b/c(main+0x1) [0x2]\n"), "+++ exited with 0 +++");
    }

    #[test]
    fn the_process_that_was_started_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("pair-1");
        for (pid, text) in [(12, "execve(\"./unix10\") = 0\n+++ exited with 0 +++\n"), (3, "close(4) = 0\n+++ exited with 0 +++\n")] {
            fs::write(format!("{}.{pid}", log.display()), text).unwrap();
        }
        let traces = read("pair", "unix10", None, &log).unwrap();
        let who: Vec<_> = traces.iter().map(|trace| (trace.who.as_str(), name(&trace.lines[0]))).collect();
        assert_eq!(who, [("pair", "execve"), ("pair child", "close")]);
    }
}
