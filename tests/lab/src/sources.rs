//! Which line of its source made a call: strace's stacks (`-k`), read with `addr2line`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::programs;

/// How a line of strace's that tells of a frame of the stack begins.
pub const FRAME: &str = " > ";

/// Where in its source a program made a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    /// The line of the program's own source file.
    pub line: Option<u32>,
    /// The file and line that made the call for it, if that is another file: `common/src/lib.rs:58`.
    pub inside: Option<String>,
}

/// Why no call can have a line here, if so: strace does not show stacks, or there is no addr2line.
pub fn unavailable() -> Option<&'static str> {
    static WHY: OnceLock<Option<&str>> = OnceLock::new();
    *WHY.get_or_init(|| {
        let says = |tool: &str, option: &str| Command::new(tool).arg(option).stdin(Stdio::null()).output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        match (says("strace", "-V"), says("addr2line", "--version")) {
            (Ok(strace), _) if !strace.contains("stack-trace=") => Some("this strace does not show stacks (-k)"),
            (_, Err(_)) => Some("addr2line is not installed; on Debian and Ubuntu: apt-get install binutils"),
            _ => None,
        }
    })
}

/// Whether a call on this line of the C program is one line late in the port: lines.tsv has it as `write+1`.
pub fn is_late(program: &str, line: u32) -> bool {
    let start = format!("{program}\t{line}\t");
    include_str!("../lines.tsv").lines().any(|row| row.starts_with(&start) && row.contains("+1"))
}

/// Whether a binary has a table of lines: a section of that name, in the table at the end of the file.
pub fn has_table(binary: &Path) -> bool {
    fs::read(binary).is_ok_and(|bytes| bytes.windows(11).rev().any(|window| window == b".debug_line"))
}

/// The places of the addresses in the stacks of a program.
#[derive(Debug, Default)]
pub struct Sources {
    program: String,
    /// What the addresses of strace's differ by from those of the file.
    shift: u64,
    /// For each address the places, those inlined first.
    places: BTreeMap<u64, Vec<(String, u32)>>,
}

impl Sources {
    /// Reads the places of all frames in the traces `texts` of a program.
    pub fn read(program: &str, binary: &Path, texts: &[String]) -> Sources {
        let frames = || texts.iter().flat_map(|text| text.lines()).filter_map(|line| frame(line, program));
        let start = frames().find_map(|(function, address)| Some(address.wrapping_sub(u64::from_str_radix(function.strip_prefix("_start+0x")?, 16).ok()?)));
        let shift = start.zip(entry(binary)).map_or(0, |(start, entry)| entry.wrapping_sub(start));
        let mut sources = Sources { program: program.to_owned(), shift, places: BTreeMap::new() };
        let addresses: BTreeSet<u64> = frames().map(|(_, address)| sources.call(address)).collect();
        let mut command = Command::new("addr2line");
        command.args(["-a", "-i", "-e"]).arg(binary).args(addresses.iter().map(|address| format!("{address:#x}")));
        let Some(output) = (!addresses.is_empty()).then(|| command.stdin(Stdio::null()).output().ok()).flatten() else { return sources };
        let mut places = &mut Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            if let Some(address) = line.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
                places = sources.places.entry(address).or_default();
            } else if let Some((file, line)) = line.split(" (").next().and_then(|place| place.rsplit_once(':'))
                && let Ok(line) = line.parse()
            {
                places.push((file.to_owned(), line));
            }
        }
        sources
    }

    /// A return address is that of what comes after the call.
    fn call(&self, address: u64) -> u64 {
        address.wrapping_add(self.shift).wrapping_sub(1)
    }

    /// Where the call with this stack was made.
    pub fn at(&self, stack: &[&str]) -> At {
        let frames = stack.iter().filter_map(|line| frame(line, &self.program));
        let places: Vec<&(String, u32)> = frames.filter_map(|(_, address)| self.places.get(&self.call(address))).flatten().collect();
        let main = places.iter().position(|(file, _)| self.is_main(file));
        let inside = places[..main.unwrap_or(0)].iter().find_map(|(file, line)| Some(format!("{}:{line}", shared(file)?)));
        At { line: main.map(|at| places[at].1), inside }
    }

    fn is_main(&self, file: &str) -> bool {
        let file = Path::new(file);
        file.file_name().is_some_and(|name| name.to_string_lossy().strip_suffix(".c") == Some(&self.program)) || programs::find(&self.program).is_some_and(|program| file.ends_with(program.source()))
    }
}

/// The short name of a file that programs share: `common/src/lib.rs`, `lib/log.c`.
fn shared(file: &str) -> Option<&str> {
    let parts = if file.ends_with("common/src/lib.rs") { 3 } else { 2 };
    (parts == 3 || file.ends_with(".c")).then(|| file.rmatch_indices('/').nth(parts - 1).map_or(file, |(at, _)| &file[at + 1..]))
}

/// Function and address of a frame in the program: ` > /a/udpclient(main+0x326) [0x2476]`.
fn frame<'a>(line: &'a str, program: &str) -> Option<(&'a str, u64)> {
    let (place, address) = line.strip_prefix(FRAME)?.strip_suffix(']')?.rsplit_once(" [0x")?;
    let (file, function) = place.split_once('(')?;
    (Path::new(file).file_name()? == program).then_some((function.trim_end_matches(')'), u64::from_str_radix(address, 16).ok()?))
}

/// The address of `_start` in a file of 64 bits.
fn entry(binary: &Path) -> Option<u64> {
    let bytes = fs::read(binary).ok()?;
    (bytes.get(..5)? == b"\x7fELF\x02").then_some(u64::from_le_bytes(bytes.get(24..32)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: [&str; 3] = [" > /usr/lib/libc.so.6(write+0x13) [0x10acb3]", " > /b/udpclient(main+0x3e6) [0x2536]", " > /b/udpclient(_start+0x21) [0x2021]"];

    #[test]
    fn the_innermost_frame_in_the_programs_own_source_counts() {
        let place = |file: &str, line| vec![(file.to_owned(), line)];
        let places = |of_main: &str| BTreeMap::from([(0x2104, place("/x/common/src/lib.rs", 58)), (0x2535, place(of_main, 42))]);
        let at = |of_main: &str, stack: &[&str]| Sources { program: "udpclient".into(), shift: 0, places: places(of_main) }.at(stack);
        for main in ["/x/udp-basic/udpclient/src/main.rs", "udpclient.c"] {
            assert_eq!(at(main, &[STACK[0], STACK[1]]), At { line: Some(42), inside: None });
        }
        let with_shared = [STACK[0], " > /b/udpclient(error+0x5) [0x2105]", STACK[1], STACK[2]];
        assert_eq!(at("/y/udpclient.c", &with_shared), At { line: Some(42), inside: Some("common/src/lib.rs:58".into()) });
        assert_eq!(at("/y/log.c", &with_shared), At::default());
        assert_eq!((shared("/y/lib/log.c"), shared("log.c"), shared("/usr/include/x86_64-linux-gnu/bits/stdio2.h")), (Some("lib/log.c"), Some("log.c"), None));
    }
}
