//! Scenes: the transcripts in the READMEs, and the notation they are written in.
//!
//! A scene is a fenced block with the info string `scene NAME`. Each line is one step: who, what,
//! and the rest of the line. The README has [the steps](../../../README.md#scenes), and [what says how the
//! C program differs](../../../README.md#strace).
//!
//! A command is split into words as a shell does it, and may end in the redirections `< FILE`, `> FILE`,
//! `<&-`, `>&-` and `2>&-` (closed). What is typed at `lab sock` stays in the notation of [`expand`], and
//! what it writes is in it. `{n}` and `{port}` are [numbers](crate::placeholders) that the kernel picks. A
//! line that begins with `#` is a comment.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use nix::sys::signal::Signal;

use crate::args::nearest;
use crate::placeholders::Placeholders;
use crate::programs::{self, GROUPS};
use crate::sockets::Row;
use crate::trace::OWN;

/// The system calls that a scene can name as `WHO @ CALL`.
pub const CALLS: [(&str, i64); 10] = [
    ("accept", libc::SYS_accept),
    ("connect", libc::SYS_connect),
    ("read", libc::SYS_read),
    ("recvfrom", libc::SYS_recvfrom),
    ("sendto", libc::SYS_sendto),
    ("wait4", libc::SYS_wait4),
    ("write", libc::SYS_write),
    ("clock_nanosleep", libc::SYS_clock_nanosleep),
    ("futex", libc::SYS_futex),
    ("rt_sigsuspend", libc::SYS_rt_sigsuspend),
];

/// One experiment: a transcript of several terminals.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The name after `scene` in the block's info string.
    pub name: String,
    /// The second-level heading above the block, for example "Lecture 6: ...".
    pub section: String,
    /// The nearest heading above the block.
    pub title: String,
    /// The group's folder.
    pub group: String,
    /// The README that it is in, relative to the workspace's root.
    pub file: PathBuf,
    pub steps: Vec<Step>,
}

/// The programs of this repository among the words of a command.
pub fn programs_of(command: &Command) -> Vec<&'static str> {
    command.words.iter().filter_map(|word| programs::find(word)).map(|program| program.name).collect()
}

/// One line of a scene.
#[derive(Debug, Clone)]
pub struct Step {
    /// Counted from 1 in the README.
    pub line: usize,
    pub actor: String,
    /// The sign and what follows it: `> Hi, g1`.
    pub text: String,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    Start(Command),
    Type(Text),
    Expect(Text),
    Blocked(String),
    Socket(Row),
    Interrupt,
    EndOfInput,
    Suspend,
    Resume,
    End(String),
    Diverge(Divergence),
}

/// Where the trace of a C program parts from that of its port, because the scene shows a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Divergence {
    Defined {
        /// The calls that are not the same, or that only one of the two makes: `NAME`, or `NAME TEXT`
        /// for those that have this text in their line.
        differs: Vec<String>,
        /// The next calls that are not the same, the C program's and the port's, by name; "write or
        /// recvfrom" if it depends on what standard output is. What comes after them is not compared.
        then: Option<(String, String)>,
    },
    /// The C program's behaviour is not defined.
    Undefined,
}

/// A command line.
#[derive(Debug, Clone)]
pub struct Command {
    /// The user to run it as, from `sudo -u USER`.
    pub user: Option<String>,
    /// What to run and its arguments. A program of ours can follow another, as in
    /// `strace -o log udpserver`. Those of `lab` are in the notation of texts, which it expands
    /// itself: an argument is limited to 128 KiB, and has no NUL.
    pub words: Vec<String>,
    pub redirections: Vec<Redirection>,
}

/// Where a descriptor leads in place of the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirection {
    /// Nowhere: it is closed.
    Close(i32),
    /// Standard input is this file.
    From(PathBuf),
    /// Standard output is this file.
    To(PathBuf),
}

/// A text in which `{c*N}` stands for N times `c`, `{NUL}` for that byte, and `{xff}` for any.
#[derive(Debug, Clone)]
pub struct Text(String);

impl Scene {
    fn commands(&self) -> impl Iterator<Item = &Command> {
        self.steps.iter().filter_map(|step| if let Action::Start(command) = &step.action { Some(command) } else { None })
    }

    /// The programs of this repository that the scene runs, each once.
    pub fn programs(&self) -> Vec<&'static str> {
        let names: BTreeSet<&str> = self.commands().flat_map(programs_of).collect();
        names.into_iter().collect()
    }

    /// Whether one of its steps runs this tool, such as strace, which is no program of this repository.
    pub fn uses(&self, tool: &str) -> bool {
        self.commands().any(|command| command.words.iter().any(|word| word == tool))
    }

    /// The tools of the machine that its steps start, other than strace: `mkdir`, `rm`.
    pub fn tools(&self) -> Vec<&str> {
        let first = self.commands().map(|command| command.words[0].as_str());
        first.filter(|tool| !["lab", "strace"].contains(tool) && programs::find(tool).is_none()).collect()
    }

    /// How the traces of a process part, if they do; `who` is as in [`crate::trace::Trace`].
    pub fn divergence(&self, who: &str) -> Option<&Divergence> {
        let (of, is_child) = who.strip_suffix(" child").map_or((who, false), |of| (of, true));
        let (actor, nth) = of.split_once(' ').map_or((of, 1), |(actor, nth)| (actor, nth.parse().unwrap_or(0)));
        let mut starts = 0;
        self.steps.iter().filter(|step| step.actor == actor).find_map(|step| {
            starts += usize::from(matches!(step.action, Action::Start(_)));
            match &step.action {
                // A child takes over what is not defined.
                Action::Diverge(divergence) if starts == nth && (!is_child || *divergence == Divergence::Undefined) => Some(divergence),
                _ => None,
            }
        })
    }

    /// Whether the C programs behave differently in this scene.
    pub fn diverges(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Diverge(_)))
    }

    /// The lecture the scene belongs to, from its section "Lecture N".
    pub fn lecture(&self) -> Option<u32> {
        let rest = self.section.strip_prefix("Lecture ")?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// `udp-basic/README.md:42`, for messages.
    pub fn at(&self, step: &Step) -> String {
        format!("{}:{}", self.file.display(), step.line)
    }
}

impl Action {
    /// Whether a person does it, and not a program.
    pub fn is_by_a_person(&self) -> bool {
        !matches!(self, Action::Expect(_) | Action::Blocked(_) | Action::Socket(_) | Action::End(_) | Action::Diverge(_))
    }
}

impl Step {
    /// What follows the sign.
    pub fn rest(&self) -> &str {
        self.text.split_once(' ').map_or("", |(_, rest)| rest)
    }
}

impl Command {
    /// Whether what is typed at it and what it writes is in the notation of texts.
    pub fn is_in_notation(&self) -> bool {
        self.words.starts_with(&["lab".to_owned(), "sock".to_owned()])
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:<7} {}", self.actor, self.text)
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Divergence::Defined { differs, then } => {
                if !differs.is_empty() {
                    write!(f, "differs: {}{}", differs.join(", "), if then.is_some() { "; " } else { "" })?;
                }
                then.as_ref().map_or(Ok(()), |(c, port)| write!(f, "in C: {c}, here: {port}"))
            }
            Divergence::Undefined => write!(f, "in C: undefined"),
        }
    }
}

impl FromStr for Divergence {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Divergence> {
        if text == "in C: undefined" {
            return Ok(Divergence::Undefined);
        }
        let (differs, rest) = match text.strip_prefix("differs: ") {
            Some(text) => {
                let (calls, rest) = text.split_once("; ").map_or((text, None), |(calls, rest)| (calls, Some(rest)));
                (calls.split(", ").map(str::to_owned).collect(), rest)
            }
            None => (Vec::new(), Some(text)),
        };
        let then = match rest.map(|rest| rest.strip_prefix("in C: ").and_then(|text| text.split_once(", here: "))) {
            Some(None) => bail!("'!' is followed by 'in C: CALL, here: CALL', 'differs: CALLS', both with '; ' between, or 'in C: undefined'"),
            Some(Some((c, port))) => Some((c.to_owned(), port.to_owned())),
            None => None,
        };
        let differing = differs.iter().map(|call: &String| call.split(' ').next().unwrap_or_default());
        let names = differing.chain(then.iter().flat_map(|(c, port)| c.split(" or ").chain(port.split(" or "))));
        let is_known = |name: &str| OWN.contains(&name) || ["exited", "killed"].contains(&name) || Signal::from_str(name).is_ok();
        if let Some(name) = names.into_iter().find(|name| !is_known(name)) {
            bail!("'{name}' is none of the calls that are compared: {}", OWN.join(" "));
        }
        Ok(Divergence::Defined { differs, then })
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.to_owned())
    }
}

impl Text {
    /// The text as written in the scene.
    pub fn notation(&self) -> &str {
        &self.0
    }

    /// Whether a line of a terminal is this text, in a scene with these numbers; white space at the
    /// ends of both does not count.
    pub fn matches(&self, line: &[u8], numbers: &mut Placeholders) -> bool {
        numbers.matches(expand(&self.0).trim_ascii_end(), line.trim_ascii_end())
    }
}

/// The bytes that a text stands for.
pub fn expand(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.extend(before.bytes());
        if let Some((unit, times, len)) = repetition(from) {
            out.extend(unit.repeat(times));
            rest = &from[len..];
        } else {
            out.push(b'{');
            rest = &from[1..];
        }
    }
    out.extend(rest.bytes());
    out
}

/// How often a text can repeat a character; more would need too much memory.
pub const MOST: usize = 1 << 26;

/// The length of `{NUL*67108864}`, and some zeros.
const LONGEST: usize = 26;

/// Reads `{c*N}`, `{NUL}`, `{xff}` and their like at the start of `text`: the bytes of one, how
/// often, and the length of it all.
fn repetition(text: &str) -> Option<(Vec<u8>, usize, usize)> {
    let close = text.bytes().take(LONGEST).position(|byte| byte == b'}')?;
    let inner = &text[1..close];
    if let Some(byte) = named(inner) {
        return Some((vec![byte], 1, close + 1));
    }
    let (unit, times) = inner.split_once('*')?;
    let unit = match named(unit) {
        Some(byte) => vec![byte],
        None if unit.chars().count() == 1 => unit.into(),
        None => return None,
    };
    let times = times.parse().ok().filter(|times| *times <= MOST)?;
    Some((unit, times, close + 1))
}

/// The bytes that have a name of their own.
const NAMES: [(&str, u8); 3] = [("NUL", 0), ("LF", b'\n'), ("CR", b'\r')];

/// The byte called `NUL`, `LF`, `CR` or, in hexadecimal, `xff`.
fn named(name: &str) -> Option<u8> {
    if let Some((_, byte)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*byte);
    }
    let digits = name.strip_prefix('x').filter(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

/// The name of a byte that cannot be seen.
fn name(byte: u8) -> String {
    NAMES.iter().find(|(_, known)| *known == byte).map_or_else(|| format!("x{byte:02x}"), |(name, _)| (*name).to_owned())
}

/// A text for these bytes, which a person can read and [`expand`] turns into them again: each run of
/// more than 40 equal characters is folded, and what is no character, or none that can be seen, has a name.
pub fn notation(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(unit) = rest.chars().next() {
            // The notation's own signs are not folded.
            let after = if "{*}".contains(unit) { &rest[1..] } else { rest.trim_start_matches(unit) };
            let times = (rest.len() - after.len()) / unit.len_utf8();
            let has_name = unit.is_ascii_control() || unit == '{' && repetition(rest).is_some();
            let unit = if has_name { name(unit as u8) } else { unit.to_string() };
            out += &match times {
                41.. => format!("{{{unit}*{times}}}"),
                _ if has_name => format!("{{{unit}}}").repeat(times),
                _ => unit.repeat(times),
            };
            rest = after;
        }
        for byte in chunk.invalid() {
            out += &format!("{{{}}}", name(*byte));
        }
    }
    out
}

/// The scenes of these names, in the READMEs' order, or all of them if there is no name.
/// Fails if there is no scene of a name.
pub fn select(names: &[String]) -> Result<Vec<Scene>> {
    let scenes = read(|_, name| names.is_empty() || names.iter().any(|one| one == name))?;
    if let Some(name) = names.iter().find(|name| !scenes.iter().any(|scene| scene.name == **name)) {
        let all = read_all()?;
        bail!("no scene is called '{name}'; {}", nearest(name, all.iter().map(|scene| scene.name.as_str())));
    }
    Ok(scenes)
}

/// The programs of these scenes, each once.
pub fn names<'a>(scenes: &[&'a Scene]) -> Vec<&'a str> {
    let names: BTreeSet<&str> = scenes.iter().flat_map(|scene| scene.programs()).collect();
    names.into_iter().collect()
}

/// The scenes of every group's texts, in the groups' order.
pub fn read_all() -> Result<Vec<Scene>> {
    read(|_, _| true)
}

/// Only the scenes whose group and name are wanted; of the others not even the steps are read.
pub fn read(is_wanted: impl Fn(&str, &str) -> bool) -> Result<Vec<Scene>> {
    let mut scenes: Vec<Scene> = Vec::new();
    for (group, text) in GROUPS.iter().flat_map(|group| ["README.md", "FIXES.md"].map(|text| (group, text))) {
        let file = Path::new(group).join(text);
        let text = fs::read_to_string(programs::root().join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        for scene in parse_wanted(group, &file, &text, |name| is_wanted(group, name))? {
            if let Some(other) = scenes.iter().find(|other| other.name == scene.name) {
                bail!("{}: the name {} is taken by a scene of {}", scene.at(&scene.steps[0]), scene.name, other.file.display());
            }
            scenes.push(scene);
        }
    }
    Ok(scenes)
}

/// The scenes in a file of one's own, with blocks as in the READMEs.
pub fn read_file(path: &Path) -> Result<Vec<Scene>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let scenes = parse("", path, &text)?;
    if scenes.is_empty() {
        bail!("{} has no block that begins with ```scene NAME", path.display());
    }
    Ok(scenes)
}

/// The scenes in the text of one README.
pub fn parse(group: &str, file: &Path, text: &str) -> Result<Vec<Scene>> {
    parse_wanted(group, file, text, |_| true)
}

fn parse_wanted(group: &str, file: &Path, text: &str, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Scene>> {
    let mut scenes = Vec::new();
    let (mut section, mut title) = (String::new(), String::new());
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.to_owned();
            title = heading.to_owned();
        } else if let Some(heading) = line.strip_prefix("### ") {
            title = heading.to_owned();
        } else if let Some(info) = line.strip_prefix("```")
            && !info.is_empty()
        {
            let name = info.strip_prefix("scene ").map(str::trim).filter(|name| is_wanted(name));
            let mut steps = Vec::new();
            loop {
                let Some((line, number)) = lines.next() else {
                    bail!("{}:{number}: this block is not closed", file.display());
                };
                if line == "```" {
                    break;
                }
                if name.is_some() && !line.trim().is_empty() && !line.starts_with('#') {
                    steps.push(parse_step(line, number).with_context(|| format!("{}:{number}", file.display()))?);
                }
            }
            let Some(name) = name else { continue };
            let scene = Scene { name: name.to_owned(), section: section.clone(), title: title.clone(), group: group.to_owned(), file: file.to_owned(), steps };
            check(&scene).with_context(|| format!("{}:{number}: scene {name}", file.display()))?;
            scenes.push(scene);
        }
    }
    Ok(scenes)
}

fn parse_step(line: &str, number: usize) -> Result<Step> {
    let (actor, rest) = line.split_once(' ').with_context(|| format!("'{line}' is not a step: WHO WHAT ..."))?;
    ensure!(actor.len() < 100, "an actor's name has at most 99 bytes");
    let text = rest.trim_start();
    let (sign, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.to_owned();
    let action = match sign {
        "$" if rest == "fg" => Action::Resume,
        "$" => Action::Start(parse_command(&rest)?),
        "<" => Action::Type(Text(rest)),
        ">" => Action::Expect(Text(rest)),
        "@" => {
            let calls = CALLS.map(|(call, _)| call);
            ensure!(calls.contains(&rest.as_str()), "'{rest}' is none of the calls that can be waited for: {}", calls.join(" "));
            Action::Blocked(rest)
        }
        "%" => Action::Socket(rest.parse()?),
        "^C" => Action::Interrupt,
        "^D" => Action::EndOfInput,
        "^Z" => Action::Suspend,
        "=" => {
            ensure!(rest.parse::<u8>().is_ok() || Signal::from_str(&rest).is_ok(), "'{rest}' is neither an exit status (0 to 255) nor a signal (SIGINT)");
            Action::End(rest)
        }
        "!" => Action::Diverge(rest.parse()?),
        _ => bail!("'{sign}' is not the sign of a step: $ < > @ % ^C ^D ^Z = !"),
    };
    Ok(Step { line: number, actor: actor.to_owned(), text: text.to_owned(), action })
}

fn parse_command(text: &str) -> Result<Command> {
    let mut words = shlex::split(text).context("a quote is not closed")?;
    let redirections = take_redirections(&mut words)?;
    let mut user = None;
    if words.first().is_some_and(|word| word == "sudo") {
        if words.len() < 4 || words[1] != "-u" {
            bail!("sudo must be used as 'sudo -u USER PROGRAM ...'");
        }
        user = words.drain(..3).nth(2);
    }
    if words.is_empty() {
        bail!("no program after $");
    }
    if words[0] != "lab" {
        for word in &mut words {
            let bytes = String::from_utf8(expand(word)).ok().filter(|word| !word.contains('\0'));
            *word = bytes.with_context(|| format!("'{word}' cannot be an argument: only lab sock takes NUL and bytes that are not UTF-8"))?;
        }
    }
    Ok(Command { user, words, redirections })
}

/// Takes `< FILE`, `<FILE`, `> FILE`, `<&-`, `>&-` and `2>&-` off the end of a command line.
fn take_redirections(words: &mut Vec<String>) -> Result<Vec<Redirection>> {
    let Some(first) = words.iter().position(|word| word.starts_with(['<', '>']) || word.starts_with("2>")) else { return Ok(Vec::new()) };
    let mut redirections = Vec::new();
    let mut rest = words.drain(first..);
    while let Some(word) = rest.next() {
        if word == "2>&-" {
            redirections.push(Redirection::Close(2));
            continue;
        }
        let (sign, path) = word.split_at_checked(1).unwrap_or_default();
        let path = if path.is_empty() && !sign.is_empty() { rest.next().unwrap_or_default() } else { path.to_owned() };
        let is_file = !path.starts_with(['<', '>', '&']);
        redirections.push(match (sign, path.as_str()) {
            ("<" | ">", "") => bail!("no file after '{sign}'"),
            ("<", "&-") => Redirection::Close(0),
            (">", "&-") => Redirection::Close(1),
            ("<", _) if is_file => Redirection::From(path.into()),
            (">", _) if is_file => Redirection::To(path.into()),
            _ => bail!("'{word}' is none of < FILE, > FILE, <&-, >&-, 2>&-"),
        });
    }
    Ok(redirections)
}

/// What can be seen to be wrong without playing the scene.
fn check(scene: &Scene) -> Result<()> {
    if scene.steps.is_empty() {
        bail!("the scene has no step");
    }
    let mut running: Vec<&str> = Vec::new();
    for step in &scene.steps {
        let actor = step.actor.as_str();
        let runs = running.contains(&actor);
        match &step.action {
            Action::Start(_) if runs => bail!("line {}: {actor} is started again before its end ('=')", step.line),
            Action::Start(_) => running.push(actor),
            _ if !runs => bail!("line {}: {actor} has not been started", step.line),
            Action::End(_) => running.retain(|name| *name != actor),
            _ => {}
        }
    }
    if !running.is_empty() {
        bail!("the end of {} is missing ('=')", running.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(block: &str) -> Result<Vec<Scene>> {
        parse("group", Path::new("group/README.md"), &format!("## Lecture 6: UDP\n### A pair\n```scene pair\n{block}\n```\n"))
    }

    #[test]
    fn a_block_becomes_steps() {
        let scenes = parse_one("server  $ udpserver\n# a comment\n\nserver  > a  b\nserver  ^C\nserver  >\nserver  = SIGINT").unwrap();
        let scene = &scenes[0];
        assert_eq!((scene.name.as_str(), scene.title.as_str(), scene.lecture()), ("pair", "A pair", Some(6)));
        let steps: Vec<String> = scene.steps.iter().map(|step| format!("{} {step}", step.line)).collect();
        assert_eq!(steps, ["4 server  $ udpserver", "7 server  > a  b", "8 server  ^C", "9 server  >", "10 server  = SIGINT"]);
        assert_eq!(scene.programs(), ["udpserver"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (block, message) in [
            ("server udpserver", "'udpserver' is not the sign of a step"),
            ("server $ udpserver\nserver ! bind", "in C: CALL"),
            ("server $ udpserver\nserver ! differs: bind; close", "in C: CALL"),
            ("server > x", "server has not been started"),
            ("server $ udpserver", "the end of server is missing"),
            ("server $ udpserver\nserver $ udpserver", "started again before its end"),
            ("server $ sudo udpserver", "sudo -u USER"),
            ("server $ udpserver {NUL}", "'{NUL}' cannot be an argument"),
            ("server $ udpserver {xff}", "'{xff}' cannot be an argument"),
            ("server $ udpserver\nserver ! differs: recvform", "'recvform' is none of the calls"),
            ("server $ udpserver\nserver ! in C: write, here: read or bnid", "'bnid' is none of the calls"),
            ("server $ udpserver\nserver % 3 udp", "'3 udp' is not a row"),
            ("server $ udpserver\nserver @ recvform", "'recvform' is none of the calls"),
            ("server $ udpserver\nserver = SIGSTOPP", "'SIGSTOPP' is neither an exit status (0 to 255) nor a signal (SIGINT)"),
            (&format!("{} $ udpserver", "a".repeat(100)), "at most 99 bytes"),
            ("", "no step"),
        ] {
            let error = format!("{:#}", parse_one(block).unwrap_err());
            assert!(error.contains(message), "{error}");
            assert!(error.starts_with("group/README.md:"), "{error}");
        }
    }

    #[test]
    fn repetitions_are_written_out_and_folded() {
        for (text, bytes) in [
            ("Hi, {x*5}!{", &b"Hi, xxxxx!{"[..]),
            ("{ab*5} {x*y} {xfg} {*3}", b"{ab*5} {x*y} {xfg} {*3}"),
            ("a{NUL}b{NUL*2}", b"a\0b\0\0"),
            ("a{CR}{LF*2}{LFX}", b"a\r\n\n{LFX}"),
            ("{xff}{x80*2}{x7f}{x*2}", b"\xff\x80\x80\x7fxx"),
            ("{\u{e4}*2}{n}", "\u{e4}\u{e4}{n}".as_bytes()),
        ] {
            assert_eq!(expand(text), bytes, "{text}");
        }
        for (bytes, text) in [
            (&b"xx y{z}"[..], "xx y{z}"),
            (&[b'x'; 40], &"x".repeat(40)),
            (&[b'x'; 41], "{x*41}"),
            (&[0; 4096], "{NUL*4096}"),
            (b"\xff\n\0\xc3\xa4\xc3", "{xff}{LF}{NUL}\u{e4}{xc3}"),
            (b"{NUL}{x80}", "{x7b}NUL}{x7b}x80}"),
            (b"{{*41}", "{x7b}{*41}"),
            (&[b'}'; 41], &"}".repeat(41)),
        ] {
            assert_eq!(notation(bytes), text);
            assert_eq!(expand(text), bytes);
        }
    }

    #[test]
    fn redirections_are_read() {
        let command = |text: &str| parse_command(text).map(|command| (command.words.join(" "), command.redirections));
        let from = |path: &str| Redirection::From(path.into());
        assert_eq!(command("a b").unwrap(), ("a b".into(), vec![]));
        assert_eq!(command("a <&- >&-").unwrap(), ("a".into(), vec![Redirection::Close(0), Redirection::Close(1)]));
        assert_eq!(command("a 2>&- > f").unwrap(), ("a".into(), vec![Redirection::Close(2), Redirection::To("f".into())]));
        assert_eq!(command("a b < lines >/dev/full").unwrap(), ("a b".into(), vec![from("lines"), Redirection::To("/dev/full".into())]));
        assert_eq!(command("sudo -u nobody a </dev/null").unwrap(), ("a".into(), vec![from("/dev/null")]));
        for text in ["a <", "a >> b", "a >&2", "a < b c", "< b", "a < b ''", "a < b \u{e4}", "a <&3", "a <<x", "a > <"] {
            assert!(command(text).is_err(), "{text}");
        }
    }

    #[test]
    fn white_space_at_the_end_does_not_count() {
        let text = Text("send bytes: 2".into());
        let mut numbers = Placeholders::default();
        assert!(text.matches(b"send bytes: 2 \r", &mut numbers));
        assert!(!text.matches(b" send bytes: 2", &mut numbers));
        assert!(!text.matches(b"send bytes: 21", &mut numbers));
        assert!(!Text("a{xff}".into()).matches(b"a\xfe", &mut numbers));
    }
}
