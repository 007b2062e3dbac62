//! Masks what differs from run to run though the program does the same.
//!
//! A masked value is shown between ‹ and ›. The same value has the same number in a trace: the third
//! address is ‹address 3› everywhere.

use std::fs;
use std::iter;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// Ports that a program asks for by number, though they lie in the range of those the kernel gives.
pub const OWN_PORTS: [u16; 2] = [43211, 9501];

/// The rules: what is masked, texts one of which a line has if the rule applies, where the value is found (it is the
/// last group), and why.
const RULES: [(&str, &str, &str, &str); 15] = [
    ("program", "execve(", r#"^(execve\()("[^"]*")"#, "the path of the binary"),
    ("program", "execve(", r#"^(execve\(‹program 1›, \[)("[^"]*")"#, "the path of the binary, as argv[0]"),
    ("address", "rt_sigreturn(", r"^rt_sigreturn\(.*\) += (\d{9,})$", "a handler returns to what was in a register then"),
    ("address", "0x", r"\b(0x[0-9a-f]{9,})\b", "where the kernel puts stack, heap and libraries is random"),
    (
        "pid",
        "set_tid_address(|getpid(|fork(|clone|wait4(|si_pid=|child_tid=|kill(",
        r"(?:^set_tid_address\(.*\) += |^getpid\(\) += |^(?:v?fork|clone3?)\(.*\) += |^wait4\(|^wait4\(.*\) += |si_pid=|child_tid=|^kill\()(\d+)",
        "the kernel gives each process a new number",
    ),
    ("pid", "pid=", r#"^write\(1, "(?:[^"\\]|\\.)*?\bpid=(\d+)"#, "the notes' servers print theirs"),
    ("pid", "/var/tmp/", r#""/var/tmp/(\d{5,7})""#, "upperclient names its socket after its own"),
    ("uid", "si_uid=", r"si_uid=(\d+)", "the sender of a signal is the user who runs lab"),
    ("time", "si_utime=", r"si_utime=([^,}]+)", "how long a child ran is never the same"),
    ("time", "si_stime=", r"si_stime=([^,}]+)", "the same, in the kernel"),
    ("port", "_port=", r"sin6?_port=htons\((\d+)\)", "the kernel picks the port of a socket that is not bound"),
    ("port", ",port=", r"\bip=[\d.]+,port=(\d+)", "the notes' UDP servers print a client's"),
    ("terminal", "st_rdev=", r"st_rdev=makedev\(0x88, (0x[0-9a-f]+|0)\)", "the kernel numbers the pseudo-terminals"),
    ("name", "/tmp/file", r#""/tmp/file(\w{6})""#, "tmpnam makes its names up"),
    ("bytes", "getrandom(", r#"^getrandom\("((?:\\.|[^"\\])*)""#, "the seed of malloc and of tmpnam"),
];

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| RULES.iter().map(|(_, _, pattern, _)| compile(pattern)).collect());

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a regular expression")
}

/// Masks the lines of one trace, in their order.
#[derive(Default)]
pub struct Mask {
    /// The values met, by kind, in the order of their first appearance.
    seen: Vec<(&'static str, String)>,
}

impl Mask {
    /// `line` with what is not the program's doing masked.
    pub fn line(&mut self, line: &str) -> String {
        let mut line = without_what_has_come(line);
        for ((kind, texts, ..), pattern) in RULES.iter().zip(PATTERNS.iter()) {
            // Looking for a text costs far less than a regular expression.
            if texts.split('|').any(|text| line.contains(text)) {
                line = pattern.replace_all(&line, |found: &Captures| self.replace(kind, found)).into_owned();
            }
        }
        without_lengths(&line)
    }

    fn replace(&mut self, kind: &'static str, found: &Captures) -> String {
        let whole = found.get(0).expect("there is a match").as_str();
        let value = found.get(found.len() - 1).expect("each rule has a group").as_str();
        if kind == "port" && !value.parse().is_ok_and(is_given_by_the_kernel) {
            return whole.to_owned();
        }
        let at = whole.rfind(value).expect("the value is in its match");
        let (before, after) = (&whole[..at], &whole[at + value.len()..]);
        if ["bytes", "time"].contains(&kind) {
            // It is the same again only by chance.
            return format!("{before}‹{kind}›{after}");
        }
        // upperclient writes its number with five digits at least.
        let value = if kind == "pid" { value.trim_start_matches('0') } else { value };
        let number = match self.seen.iter().filter(|(seen, _)| *seen == kind).position(|(_, seen)| seen == value) {
            Some(at) => at + 1,
            None => {
                self.seen.push((kind, value.to_owned()));
                self.seen.iter().filter(|(seen, _)| *seen == kind).count()
            }
        };
        format!("{before}‹{kind} {number}›{after}")
    }
}

/// A receive that does not wait, without what it found: that is a matter of time, unless strace made
/// it fail.
fn without_what_has_come(line: &str) -> String {
    if !line.contains("MSG_DONTWAIT") || line.ends_with("(INJECTED)") {
        return line.to_owned();
    }
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| compile(r"^(recvfrom\(\d+, ).*(, \d+, MSG_DONTWAIT, NULL, NULL\) += ).*$"));
    PATTERN.replace(line, "$1‹what has come›$2‹how much›").into_owned()
}

/// The bytes of a text in strace's notation: `a`, `\n`, `\0`, `\177`, `\xff`.
pub fn units(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        let mut len = rest.chars().next()?.len_utf8();
        if let Some(escape) = rest.strip_prefix('\\') {
            len += match escape.chars().next() {
                Some('0'..='7') => escape.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count(),
                Some('x') => 1 + escape[1..].bytes().take(2).take_while(u8::is_ascii_hexdigit).count(),
                next => next.map_or(0, char::len_utf8),
            };
        }
        let (unit, after) = rest.split_at(len);
        rest = after;
        Some(unit)
    })
}

/// `line` as every architecture has it: x86-64 alone says how a handler returns, and newer ones unlink
/// with unlinkat.
pub fn portable(line: &str) -> String {
    static RESTORER: LazyLock<Regex> = LazyLock::new(|| compile(r", sa_restorer=0x[0-9a-f]+|SA_RESTORER\|"));
    static UNLINKAT: LazyLock<Regex> = LazyLock::new(|| compile(r"^unlinkat\(AT_FDCWD, (.*), 0\) ="));
    match line {
        line if line.starts_with("rt_sigaction(") => RESTORER.replace_all(line, "").into_owned(),
        line if line.starts_with("unlinkat(") => UNLINKAT.replace(line, "unlink($1) =").into_owned(),
        line => line.to_owned(),
    }
}

/// Whether a port is one that the kernel gives to sockets that are not bound.
fn is_given_by_the_kernel(port: u16) -> bool {
    static RANGE: LazyLock<(u16, u16)> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
        // What the kernel starts with, should /proc not say.
        (numbers.next().unwrap_or(32768), numbers.next().unwrap_or(60999))
    });
    (RANGE.0..=RANGE.1).contains(&port) && !OWN_PORTS.contains(&port)
}

/// A line in which a process number stands in a text without what depends on its digits: how long
/// the text is, and so the address.
fn without_lengths(line: &str) -> String {
    static WITH_PID: LazyLock<Regex> = LazyLock::new(|| compile(r#""[^"]*‹pid \d+›"#));
    static TEXT: LazyLock<Regex> = LazyLock::new(|| compile(r#"(", )\d+(\) += )\d+$"#));
    static ADDRESS: LazyLock<Regex> = LazyLock::new(|| compile(r"(\}, )\d+(\) += -?\d+)|(\[\d+ => )\d+(\])"));
    if !line.contains("‹pid ") || !WITH_PID.is_match(line) {
        return line.to_owned();
    }
    let line = TEXT.replace(line, "$1‹length›$2‹length›");
    ADDRESS.replace_all(&line, "$1$3‹length›$2$4").into_owned()
}

/// `line` with each run of more than 40 equal characters, or escapes such as `\0`, as `{c*N}`.
pub fn fold(line: &str) -> String {
    let units: Vec<&str> = units(line).collect();
    let fold = |run: &[&str]| if run.len() > 40 && run[0] != " " { format!("{{{}*{}}}", run[0], run.len()) } else { run.concat() };
    units.chunk_by(|one, next| one == next).map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(lines: &[&str]) -> Vec<String> {
        let mut mask = Mask::default();
        lines.iter().map(|line| mask.line(line)).collect()
    }

    #[test]
    fn what_differs_from_run_to_run_is_masked() {
        let masked = mask(&[
            r#"execve("./c/udpclient", ["./c/udpclient", "127.0.0.1"], 0x7ffe325cb350 /* 35 vars */) = 0"#,
            "mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0x26000) = 0x7f5cb9fa9000",
            "munmap(0x7f5cb9fa9000, 8192) = 0",
            "set_tid_address(0x7f5cb9dbba10)         = 3294",
            r#"getrandom("\xd4\x9e\"\x01", 8, GRND_NONBLOCK) = 8"#,
            "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=3295, si_utime=0, si_stime=1 /* 0.01 s */} ---",
            r#"newfstatat(0, "", {st_mode=S_IFCHR|0600, st_rdev=makedev(0x88, 0x11), ...}, AT_EMPTY_PATH) = 0"#,
        ]);
        assert_eq!(
            masked,
            [
                r#"execve(‹program 1›, [‹program 1›, "127.0.0.1"], ‹address 1› /* 35 vars */) = 0"#,
                "mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0x26000) = ‹address 2›",
                "munmap(‹address 2›, 8192) = 0",
                "set_tid_address(‹address 3›)         = ‹pid 1›",
                r#"getrandom("‹bytes›", 8, GRND_NONBLOCK) = 8"#,
                "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=‹pid 2›, si_utime=‹time›, si_stime=‹time›} ---",
                r#"newfstatat(0, "", {st_mode=S_IFCHR|0600, st_rdev=makedev(0x88, ‹terminal 1›), ...}, AT_EMPTY_PATH) = 0"#,
            ]
        );
    }

    #[test]
    fn what_a_receive_that_does_not_wait_finds_is_masked() {
        let lines = mask(&[
            "recvfrom(4, 0x7ffe325cb350, 1024, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)",
            r#"recvfrom(4, "x, 1", 1024, MSG_DONTWAIT, NULL, NULL) = 4"#,
            r#"recvfrom(4, "", 1024, MSG_DONTWAIT, NULL, NULL) = 0"#,
            "recvfrom(4, 0x7ffe325cb350, 1024, MSG_DONTWAIT, NULL, NULL) = -1 EIO (Input/output error) (INJECTED)",
            "recvfrom(4, 0x7ffe325cb358, 1024, 0, NULL, NULL) = -1 EBADF (Bad file descriptor)",
        ]);
        let look = "recvfrom(4, ‹what has come›, 1024, MSG_DONTWAIT, NULL, NULL) = ‹how much›";
        let injected = "recvfrom(4, ‹address 1›, 1024, MSG_DONTWAIT, NULL, NULL) = -1 EIO (Input/output error) (INJECTED)";
        assert_eq!(lines, [look, look, look, injected, "recvfrom(4, ‹address 2›, 1024, 0, NULL, NULL) = -1 EBADF (Bad file descriptor)"]);
    }

    #[test]
    fn what_an_architecture_adds_is_left_out() {
        let x86 = "rt_sigaction(SIGINT, {sa_handler=0x55ec88633000, sa_mask=[INT], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x7f5cb9fa9000}, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0";
        let arm = "rt_sigaction(SIGINT, {sa_handler=0x55ec88633000, sa_mask=[INT], sa_flags=SA_RESTART}, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0";
        assert_eq!((portable(x86).as_str(), portable(arm).as_str()), (arm, arm));
        let unlink = r#"unlink("unixdata.sock") = -1 ENOENT (No such file or directory)"#;
        assert_eq!(portable(r#"unlinkat(AT_FDCWD, "unixdata.sock", 0) = -1 ENOENT (No such file or directory)"#), unlink);
        assert_eq!(portable(unlink), unlink);
    }
}
