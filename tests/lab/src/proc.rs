//! What /proc says of processes and of the sockets in a network namespace.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One row of `/proc/PID/net/tcp`, `udp` and their like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub state: &'static str,
    /// Bytes or connections that wait to be sent and to be received.
    pub tx: u32,
    pub rx: u32,
    pub inode: u64,
}

/// The kernel's names of the states of a TCP socket, without `TCP_`. UDP uses two: ESTABLISHED once it is
/// connected, and CLOSE.
const STATES: [&str; 12] = ["ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"];

/// The rows of a table in `/proc/PID/net`, by its name: `tcp`, `tcp6`, `udp` or `udp6`.
/// Fails if there is no such process, or the kernel has no such table.
pub fn table(pid: &str, name: &str) -> io::Result<Vec<Row>> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/{name}"))?;
    Ok(text.lines().skip(1).filter_map(row).collect())
}

/// `sl local remote st tx:rx tr:when retransmits uid timeout inode`.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split_whitespace().collect();
    let &[_, local, remote, state, queues, _, _, _, _, inode, ..] = cells.as_slice() else { return None };
    let (tx, rx) = queues.split_once(':')?;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    let state = STATES.get((hex(state)? as usize).wrapping_sub(1)).copied().unwrap_or("?");
    Some(Row { local: address(local)?, remote: address(remote)?, state, tx: hex(tx)?, rx: hex(rx)?, inode: inode.parse().ok()? })
}

/// `0100007F:A8CB`: the address in words as they lie in memory, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let bytes: Vec<u8> = (0..words.len() / 8).map(|at| u32::from_str_radix(&words[8 * at..8 * at + 8], 16).ok()).collect::<Option<Vec<u32>>>()?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The descriptors of a process that are sockets, each with its inode, in order.
/// Fails if there is no such process, or its descriptors are not for us to see.
pub fn sockets(pid: i32) -> io::Result<Vec<(i32, u64)>> {
    let mut sockets = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        // A descriptor that has been closed meanwhile is none.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let inode = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        let fd = entry.file_name().to_str().and_then(|name| name.parse().ok());
        sockets.extend(fd.zip(inode));
    }
    sockets.sort_unstable();
    Ok(sockets)
}

/// The numbers of all processes.
pub fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The words of the command line that started a process.
pub fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).split_terminator('\0').map(str::to_owned).collect()
}

/// The processes that a process has started and that have not been waited for.
pub fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// What a process runs, the first 15 bytes of its name, and its state: `R` running, `S` asleep, ...
pub fn stat(pid: i32) -> Option<(String, char)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, a bracket too.
    let (rest, after) = text.rsplit_once(") ")?;
    Some((rest.split_once('(')?.1.to_owned(), after.chars().next()?))
}

/// How often a process has been taken off a processor.
pub fn switches(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let count = |line: &str| line.split_once("ctxt_switches:").and_then(|(_, count)| count.trim().parse::<u64>().ok());
    Some(text.lines().filter_map(count).sum())
}

/// The system call that a process is blocked in, and its first argument; `None` also if it is not for us
/// to see.
pub fn blocked_in(pid: i32) -> Option<(i64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let call = words.next()?.parse().ok().filter(|call| *call >= 0)?;
    let argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((call, argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_row_of_a_table_is_read() {
        let line = "   0: 0100007F:A8CB 00000000:0000 0A 00000001:0000000F 00:00000000 00000000  1000        0 3190 1 0000000000000000 100 0 0 10 0";
        let expected = Row { local: "127.0.0.1:43211".parse().unwrap(), remote: "0.0.0.0:0".parse().unwrap(), state: "LISTEN", tx: 1, rx: 15, inode: 3190 };
        assert_eq!(row(line), Some(expected));
        assert_eq!(address("00000000000000000000000001000000:0050"), Some("[::1]:80".parse().unwrap()));
        assert_eq!(row("  sl  local_address rem_address   st tx_queue rx_queue"), None);
    }
}
