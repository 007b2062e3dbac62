//! Running a program under strace, and the options that takes.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::trace::OWN;

/// The oldest strace with all that we ask for: `poke_exit` came last.
const OLDEST: (u32, u32) = (5, 11);

/// How many bytes of a string are shown: more than any of our messages has.
const STRING_LIMIT: usize = 1 << 16;

/// Of which calls strace shows the stack: each takes it some milliseconds, those of the loader above all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stacks {
    None,
    /// Of the programs' own, and nothing at all of others.
    Own,
    All,
}

/// The words of `strace ... PROGRAM ARGS` for these words, with these injections (`inject=...`), and with
/// the stacks of these calls; calls go to one file for each process, `log` with a dot and the process number.
///
/// If the words are themselves a strace that makes calls fail, its `-e inject=...` are kept, but those
/// for calls that are also among ours, and the rest of its options is not: a process has one tracer.
pub fn wrap(words: &[String], injections: &[String], stacks: Stacks, log: &Path) -> Vec<String> {
    let (theirs, program) = split(words);
    // -DD: the tracer is in a process group of its own, and the program is our child as if it were
    // not traced. Ctrl-C and our signals are for the program alone.
    let mut wrapped: Vec<String> =
        ["strace", "-DD", "-ff", "-q", "--absolute-timestamps=format:unix,precision:ns", "-s", &STRING_LIMIT.to_string(), "-o", &log.to_string_lossy()].map(str::to_owned).into();
    if stacks != Stacks::None {
        wrapped.push("-k".to_owned());
    }
    // Of two for the same call strace takes the last.
    let injections: Vec<&str> = theirs.into_iter().chain(injections.iter().map(String::as_str)).collect();
    if stacks == Stacks::Own {
        // One that is not traced cannot be made to fail.
        let injected = injections.iter().filter_map(|injection| injection.strip_prefix("inject=")?.split(':').next());
        let calls: Vec<&str> = ["execve"].into_iter().chain(OWN).chain(injected).collect();
        wrapped.extend(["-e".to_owned(), format!("trace=?{}", calls.join(",?"))]);
    }
    for injection in injections {
        wrapped.extend(["-e".to_owned(), injection.to_owned()]);
    }
    wrapped.extend(program.iter().cloned());
    wrapped
}

/// What a command line makes fail (`inject=...`), and the command line without its strace.
fn split(words: &[String]) -> (Vec<&str>, &[String]) {
    if words.first().is_none_or(|word| word != "strace") {
        return (Vec::new(), words);
    }
    let mut injections = Vec::new();
    let mut at = 1;
    while let Some(word) = words.get(at)
        && word.starts_with('-')
    {
        // Of the options that scenes use, these have a value.
        if ["-e", "-o", "-s"].contains(&word.as_str()) {
            at += 1;
            injections.extend(words.get(at).map(String::as_str).filter(|value| value.starts_with("inject=")));
        }
        at += 1;
    }
    (injections, &words[at.min(words.len())..])
}

/// Whether strace is there, new enough, and may trace.
/// An error says in one line which it is not, and the way out.
pub fn available() -> Result<()> {
    let strace = |args: &[&str]| Command::new("strace").args(args).stdin(Stdio::null()).output();
    // With the latest of what we ask for: an older one does not know it. The status is that of the program.
    let inject = "inject=socket:error=EMFILE:poke_exit=@arg1=00";
    let Ok(tried) = strace(&["-qqq", "-o", "/dev/null", "-e", inject, "/bin/sh", "-c", "exit 7"]) else {
        bail!("strace is not installed; on Debian and Ubuntu: apt-get install strace");
    };
    if tried.status.code() == Some(7) {
        return Ok(());
    }
    match version(&String::from_utf8_lossy(&strace(&["-V"])?.stdout)) {
        None => bail!("this strace does not say its version; {}.{} or later is needed", OLDEST.0, OLDEST.1),
        Some(version) if version < OLDEST => bail!("this strace is version {}.{}; {}.{} or later is needed", version.0, version.1, OLDEST.0, OLDEST.1),
        Some(_) => {
            let why = String::from_utf8_lossy(&tried.stderr);
            bail!("strace may not trace here ({}); a container needs the capability SYS_PTRACE", why.lines().next().unwrap_or("it does not say why").trim());
        }
    }
}

/// The X and Y of "strace -- version X.Y".
fn version(text: &str) -> Option<(u32, u32)> {
    let rest = text.lines().next()?.strip_prefix("strace -- version ")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
