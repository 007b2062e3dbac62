//! The programs under valgrind's memcheck, or built with Rust's AddressSanitizer.
//!
//! Memcheck sees bytes without a value, on their way to a peer too, and wrong use of the heap. On
//! the stack it does not see where one buffer ends and the next begins; AddressSanitizer does.

use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Result, bail};
use regex_lite::Regex;

use crate::args::one_of;
use crate::scene::Scene;
use crate::trace;

/// What watches the programs' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Memcheck,
    /// For programs that were built with it: `-fsanitize=address` in gcc.
    Asan,
}

impl FromStr for Tool {
    type Err = String;

    fn from_str(text: &str) -> Result<Tool, String> {
        one_of(text, &[("memcheck", Tool::Memcheck), ("asan", Tool::Asan)])
    }
}

impl Tool {
    /// Whether it is there.
    /// An error says in one line that it is not, and the way out.
    pub fn available(self) -> Result<()> {
        let is_there = || Command::new("valgrind").arg("--version").stdin(Stdio::null()).output().is_ok();
        if self == Tool::Memcheck && !is_there() {
            bail!("valgrind is not installed; on Debian and Ubuntu: apt-get install valgrind");
        }
        Ok(())
    }

    /// The words that run these words, a program of ours in front; what the tool finds goes to
    /// `log` with a suffix after a dot.
    pub fn wrap(self, words: &[String], log: &Path) -> Vec<String> {
        let log = log.display();
        let wrapper: Vec<String> = match self {
            // Files that valgrind opens by their names take the descriptors that the program's
            // sockets should have, 3 and 4. Its text is discarded, or it would be on the terminal.
            Tool::Memcheck => ["sh", "-c", "exec 8>/dev/null 9>\"$0\"; exec valgrind --quiet --xml=yes --xml-fd=9 --log-fd=8 \"$@\"", &format!("{log}.xml")].map(str::to_owned).into(),
            Tool::Asan => vec!["env".to_owned(), format!("ASAN_OPTIONS=detect_leaks=0:log_path={log}")],
        };
        wrapper.into_iter().chain(words.iter().cloned()).collect()
    }

    /// What it has found, in its logs: a line for each finding.
    /// Fails if they cannot be read.
    pub fn read(self, log: &Path) -> Result<Vec<String>> {
        let finding = match self {
            Tool::Memcheck => r"(?s)<error>.*?<kind>(?<kind>.*?)</kind>.*?(?:<text>|<what>)(?<finding>.*?)</",
            Tool::Asan => r"ERROR: AddressSanitizer: (?<finding>[^\n]*?) on (?:unknown )?address",
        };
        let (finding, logs) = (Regex::new(finding).expect("a regular expression"), trace::logs(log)?);
        // What is not freed is freed by the end, in C as here. With --xml=yes valgrind looks for that
        // whatever it is told.
        let found = logs.iter().flat_map(|(_, text)| finding.captures_iter(text)).filter(|found| found.name("kind").is_none_or(|kind| !kind.as_str().starts_with("Leak_")));
        Ok(found.map(|found| found["finding"].to_owned()).collect())
    }
}

/// Whether the tool can watch a scene: strace and it cannot both have a process.
pub fn can_watch(scene: &Scene) -> bool {
    !scene.uses("strace")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_logs_of_a_start_are_read_and_no_others() {
        let memcheck = "<error>\n  <kind>SyscallParam</kind>\n  <what>Syscall param sendto(msg) points to uninitialised byte(s)</what>\n</error>\n<error>\n<kind>InvalidRead</kind>\n<xwhat><text>2 bytes</text></xwhat></error>\n<error><kind>Leak_DefinitelyLost</kind><xwhat><text>16 bytes lost</text></xwhat></error>";
        let asan = "==1==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x7b at pc 0x5\nWRITE of size 4101\n";
        for (tool, file, text, findings) in [
            (Tool::Memcheck, "server-1.xml", memcheck, &["Syscall param sendto(msg) points to uninitialised byte(s)", "2 bytes"] as &[&str]),
            (Tool::Asan, "server-1.123", asan, &["stack-buffer-overflow"]),
            (Tool::Asan, "server-1.123", "all is well", &[]),
            (Tool::Asan, "server-11.123", asan, &[]),
            (Tool::Asan, "client-1.123", asan, &[]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(file), text).unwrap();
            assert_eq!(tool.read(&folder.path().join("server-1")).unwrap(), findings, "{file}: {text}");
        }
    }
}
