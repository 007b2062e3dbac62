//! The kernel's view: which sockets a process has, from /proc.
//!
//! `/proc/PID/fd` says which descriptors are sockets and gives their inodes; `/proc/PID/net/tcp`,
//! `udp` and `unix` say what has that inode, in the process's own network namespace.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::libc;

use crate::placeholders::Placeholders;
use crate::proc;

/// One socket of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    pub fd: i32,
    pub inode: u64,
    pub seen: Seen,
}

/// What a table of the kernel says about a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `tcp`, `udp`, `unix-stream` and so on.
    protocol: String,
    /// ADDRESS:PORT or a path; `-` if it has none.
    local: String,
    /// The same of the other end; `?` if it has one that /proc does not tell, as for local sockets.
    remote: String,
    /// As in the kernel's names without `TCP_` and `SS_`, and LISTEN for a local socket that does.
    state: &'static str,
    /// What waits to be received and to be sent. TCP counts bytes, but the connections to be accepted where
    /// the state is LISTEN; UDP counts the memory that the datagrams take.
    queues: Option<[u32; 2]>,
}

/// The states of local sockets, by the number in the table less 1.
const UNIX_STATES: [&str; 4] = ["UNCONNECTED", "CONNECTING", "CONNECTED", "DISCONNECTING"];

/// The flag of a local socket on which someone has called listen.
const SO_ACCEPTCON: u32 = 1 << 16;

const HEADINGS: [&str; 8] = ["fd", "inode", "protocol", "local", "remote", "state", "rx", "tx"];

/// The sockets of process `pid`, by descriptor.
/// Fails if there is no such process, or its descriptors are not for us to see.
pub fn of(pid: i32) -> Result<Vec<Socket>> {
    let read = || -> io::Result<Vec<Socket>> {
        let mut tables = BTreeMap::new();
        let mut sockets = Vec::new();
        for (fd, inode) in proc::sockets(pid)? {
            let protocol = protocol(pid, fd);
            // The kernel walks all connections of the machine for a table: only those are read that are needed.
            let table = match tables.entry(protocol.clone()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(table_of(pid, &protocol)?),
            };
            let seen = table.iter().find(|(known, _)| *known == inode).map_or_else(|| unhashed(protocol), |(_, seen)| seen.clone());
            sockets.push(Socket { fd, inode, seen });
        }
        Ok(sockets)
    };
    read().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow!("there is no process {pid}"),
        io::ErrorKind::PermissionDenied => anyhow!("only its user and root may see the descriptors of process {pid}"),
        _ => anyhow!(error).context(format!("cannot read /proc/{pid}")),
    })
}

/// The sockets of this protocol in the process's network namespace, by inode.
fn table_of(pid: i32, protocol: &str) -> io::Result<Vec<(u64, Seen)>> {
    match protocol {
        "tcp" | "tcp6" | "udp" | "udp6" => Ok(proc::table(&pid.to_string(), protocol)?.iter().map(|row| (row.inode, inet(protocol, row))).collect()),
        "unix" => Ok(fs::read_to_string(format!("/proc/{pid}/net/unix"))?.lines().skip(1).filter_map(unix).collect()),
        _ => Ok(Vec::new()),
    }
}

fn inet(protocol: &str, row: &proc::Row) -> Seen {
    // A remote port is never 0.
    let remote = if row.remote.port() == 0 { "-".to_owned() } else { row.remote.to_string() };
    Seen { protocol: protocol.to_owned(), local: row.local.to_string(), remote, state: row.state, queues: Some([row.rx, row.tx]) }
}

/// A line of `/proc/PID/net/unix`: Num RefCount Protocol Flags Type St Inode Path.
fn unix(line: &str) -> Option<(u64, Seen)> {
    // The last column is a path, which may hold spaces; the one before it is padded.
    let mut rest = line;
    let mut columns = [""; 7];
    for column in &mut columns {
        (*column, rest) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
    }
    let [_, _, _, flags, kind, state, inode] = columns;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    let protocol = match hex(kind)? {
        1 => "unix-stream",
        2 => "unix-dgram",
        5 => "unix-seqpacket",
        _ => return None,
    };
    let state = if hex(flags)? & SO_ACCEPTCON == 0 { *UNIX_STATES.get(hex(state)?.checked_sub(1)? as usize)? } else { "LISTEN" };
    let local = if rest.is_empty() { "-" } else { rest };
    let remote = if state == "CONNECTED" { "?" } else { "-" };
    Some((inode.parse().ok()?, Seen { protocol: protocol.to_owned(), local: local.to_owned(), remote: remote.to_owned(), state, queues: None }))
}

/// `tcp`, `tcp6`, `udp`, `udp6`, `unix` or what else the kernel calls the protocol of a socket; `?` if it is
/// not for us to see.
fn protocol(pid: i32, fd: i32) -> String {
    let path = format!("/proc/{pid}/fd/{fd}\0");
    let mut name = [0u8; 32];
    // SAFETY: both strings end in a NUL, and the name is valid for its length.
    let len = unsafe { libc::getxattr(path.as_ptr().cast(), c"system.sockprotoname".as_ptr(), name.as_mut_ptr().cast(), name.len()) };
    let name = usize::try_from(len).map_or_else(|_| "?".into(), |len| String::from_utf8_lossy(&name[..len]).trim_end_matches('\0').to_lowercase());
    match name.strip_suffix("v6") {
        Some(name) => format!("{name}6"),
        // Linux 5.15 calls streams unix-stream.
        None if name.starts_with("unix") => "unix".to_owned(),
        None => name,
    }
}

/// What is not in its protocol's table: neither bound nor connected, if it is TCP or UDP.
fn unhashed(protocol: String) -> Seen {
    let state = if protocol.starts_with("tcp") || protocol.starts_with("udp") { "CLOSE" } else { "?" };
    Seen { protocol, local: "-".to_owned(), remote: "-".to_owned(), state, queues: None }
}

/// The row as a scene states it: `3 tcp 0.0.0.0:9501 - LISTEN`.
impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Seen { protocol, local, remote, state, .. } = &self.seen;
        write!(f, "{} {protocol} {local} {remote} {state}", self.fd)
    }
}

/// These sockets as a table with headings; no line at all if there is none.
pub fn table(sockets: &[Socket]) -> String {
    if sockets.is_empty() {
        return String::new();
    }
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for Socket { fd, inode, seen } in sockets {
        let [rx, tx] = seen.queues.map_or_else(|| ["-", "-"].map(str::to_owned), |queues| queues.map(|waiting| waiting.to_string()));
        rows.push([fd.to_string(), inode.to_string(), seen.protocol.clone(), seen.local.clone(), seen.remote.clone(), seen.state.to_owned(), rx, tx]);
    }
    let widths: Vec<usize> = (0..HEADINGS.len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 8]| row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>().join("  ");
    rows.iter().map(|row| line(row).trim_end().to_owned() + "\n").collect()
}

/// The processes that `whose` means, a process number or the name of a program: number and name.
/// Fails if there is none.
pub fn find(whose: &str) -> Result<Vec<(i32, String)>> {
    if let Ok(pid) = whose.parse() {
        let name = name(pid).with_context(|| format!("there is no process {pid}"))?;
        return Ok(vec![(pid, name)]);
    }
    let found: Vec<(i32, String)> = proc::processes().into_iter().filter(|pid| name(*pid).as_deref() == Some(whose)).map(|pid| (pid, whose.to_owned())).collect();
    ensure!(!found.is_empty(), "no program called {whose} is running; start it first, or give a process number");
    Ok(found)
}

/// The file name it was started by; the kernel's own name for it has 15 characters at most.
fn name(pid: i32) -> Option<String> {
    let (comm, _) = proc::stat(pid)?;
    let file = proc::command_line(pid).first().and_then(|path| Path::new(path).file_name()).map(|name| name.to_string_lossy().into_owned());
    Some(file.unwrap_or(comm))
}

/// A row that a scene expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    fd: i32,
    /// The words of [`Socket`]'s row and, perhaps, of its queues; `None` if it is to be no socket.
    text: Option<String>,
}

impl FromStr for Row {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Row> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let is_row = match words.get(1..).unwrap_or_default() {
            ["-"] | [_, _, _, _] => true,
            [_, _, _, _, "rx" | "tx", number] => number.parse::<u32>().is_ok(),
            _ => false,
        };
        match words.first().and_then(|fd| fd.parse().ok()) {
            Some(fd) if is_row => Ok(Row { fd, text: (words[1] != "-").then(|| words.join(" ")) }),
            _ => bail!("'{text}' is not a row: FD PROTOCOL LOCAL REMOTE STATE [rx N|tx N], or FD -"),
        }
    }
}

impl Row {
    /// Whether it is a row of these sockets, in a scene with these numbers.
    pub fn is_true(&self, sockets: &[Socket], numbers: &mut Placeholders) -> bool {
        let mut here = sockets.iter().filter(|socket| socket.fd == self.fd);
        let Some(text) = &self.text else { return here.next().is_none() };
        here.any(|socket| {
            let mut texts = vec![socket.to_string()];
            if let Some([rx, tx]) = socket.seen.queues {
                texts.extend([format!("{socket} rx {rx}"), format!("{socket} tx {tx}")]);
            }
            texts.iter().any(|row| numbers.matches(text.as_bytes(), row.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_hold_a_space() {
        let (inode, seen) = unix("0000000000000000: 00000002 00000000 00010000 0001 01   512 /tmp/a name").unwrap();
        assert_eq!((inode, seen.protocol.as_str(), seen.local.as_str(), seen.state), (512, "unix-stream", "/tmp/a name", "LISTEN"));
    }

    #[test]
    fn a_row_is_compared_word_by_word() {
        let queues = Some([10, 0]);
        let seen = Seen { protocol: "tcp".into(), local: "127.0.0.1:9501".into(), remote: "127.0.0.1:40001".into(), state: "ESTABLISHED", queues };
        let sockets = [Socket { fd: 4, inode: 1, seen }];
        let mut numbers = Placeholders::default();
        let mut is_true = |text: &str| text.parse::<Row>().unwrap().is_true(&sockets, &mut numbers);
        assert!(!is_true("4 tcp 127.0.0.1:{port} 127.0.0.1:9501 ESTABLISHED"));
        assert!(is_true("4  tcp  127.0.0.1:9501  127.0.0.1:{port}  ESTABLISHED"));
        assert!(is_true("4 tcp 127.0.0.1:9501 127.0.0.1:{port} ESTABLISHED rx 10"));
        assert!(!is_true("4 tcp 127.0.0.1:9501 127.0.0.1:{port} ESTABLISHED rx 1"));
        assert!(!is_true("3 tcp 127.0.0.1:9501 127.0.0.1:{port} ESTABLISHED"));
        assert!(is_true("3 -"));
        assert!(!is_true("4 -"));
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for text in ["", "4", "x tcp a b c", "4 tcp a b", "4 tcp a b c rx", "4 tcp a b c rx x", "4 tcp a b c d"] {
            assert!(text.parse::<Row>().unwrap_err().to_string().contains("is not a row"), "{text}");
        }
    }
}
