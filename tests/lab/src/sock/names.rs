//! The names of kinds, flags, events and options, with their values.

use std::ffi::CStr;
use std::net::Ipv4Addr;
use std::ops::BitOr;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc::{self, AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, c_int, c_short};

/// The names of libc with their values.
macro_rules! named {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

/// Socket options by level and by what their value is.
macro_rules! options {
    ($($level:ident $value:ident: $($name:ident)*;)*) => { &[$($((stringify!($name), (libc::$level, libc::$name, Value::$value))),*),*] };
}

pub const KINDS: &[(&str, (c_int, c_int))] = &[
    ("udp", (AF_INET, SOCK_DGRAM)),
    ("tcp", (AF_INET, SOCK_STREAM)),
    ("udp6", (AF_INET6, SOCK_DGRAM)),
    ("tcp6", (AF_INET6, SOCK_STREAM)),
    ("stream", (AF_UNIX, SOCK_STREAM)),
    ("dgram", (AF_UNIX, SOCK_DGRAM)),
    ("seqpacket", (AF_UNIX, SOCK_SEQPACKET)),
];

pub const FLAGS: &[(&str, c_int)] = named![MSG_DONTWAIT MSG_PEEK MSG_TRUNC MSG_WAITALL MSG_NOSIGNAL MSG_ERRQUEUE MSG_OOB MSG_MORE MSG_EOR MSG_CTRUNC];

pub const EVENTS: &[(&str, c_short)] = named![POLLIN POLLOUT POLLPRI POLLERR POLLHUP POLLRDHUP POLLNVAL];

pub const DIRECTIONS: &[(&str, c_int)] = named![SHUT_RD SHUT_WR SHUT_RDWR];

pub const OPTIONS: &[(&str, (c_int, c_int, Value))] = options![
    SOL_SOCKET Int: SO_REUSEADDR SO_REUSEPORT SO_BROADCAST SO_KEEPALIVE SO_RCVBUF SO_SNDBUF SO_PASSCRED SO_TYPE SO_ACCEPTCONN;
    SOL_SOCKET Error: SO_ERROR;
    SOL_SOCKET Time: SO_RCVTIMEO SO_SNDTIMEO;
    SOL_SOCKET Linger: SO_LINGER;
    SOL_SOCKET Credentials: SO_PEERCRED;
    IPPROTO_IP Int: IP_RECVERR IP_TTL IP_MULTICAST_TTL IP_MULTICAST_LOOP;
    IPPROTO_IP Addresses: IP_MULTICAST_IF IP_ADD_MEMBERSHIP IP_DROP_MEMBERSHIP;
    IPPROTO_IPV6 Int: IPV6_V6ONLY IPV6_RECVERR;
    IPPROTO_TCP Int: TCP_NODELAY;
];

/// What the value of an option is.
#[derive(Clone, Copy)]
pub enum Value {
    Int,
    /// An error, which the kernel forgets once it is told.
    Error,
    /// In seconds.
    Time,
    /// `off`, or in seconds.
    Linger,
    Credentials,
    /// IPv4 addresses: a multicast group and an interface, or that alone.
    Addresses,
}

impl Value {
    pub fn encode(self, words: &[&str]) -> Result<Vec<u8>> {
        Ok(match (self, words) {
            (Value::Addresses, words) => words.iter().map(|word| Ok(word.parse::<Ipv4Addr>()?.octets())).collect::<Result<Vec<_>>>()?.concat(),
            (Value::Linger, ["off"]) => vec![0; 8],
            (Value::Linger, [seconds]) => [1_i32.to_ne_bytes(), seconds.parse::<i32>()?.to_ne_bytes()].concat(),
            (Value::Time, [seconds]) => {
                let seconds: f64 = seconds.parse()?;
                ensure!((0.0..1e9).contains(&seconds), "a time is 0 seconds or more");
                [(seconds as i64).to_ne_bytes(), ((seconds.fract() * 1e6) as i64).to_ne_bytes()].concat()
            }
            (_, [number]) => number.parse::<i32>()?.to_ne_bytes().to_vec(),
            _ => bail!("it takes one value"),
        })
    }

    pub fn show(self, bytes: &[u8]) -> String {
        let int = |at: usize| bytes[4 * at..].first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        match self {
            Value::Error if int(0) != 0 => error_text(Errno::from_raw(int(0))),
            Value::Int | Value::Error => int(0).to_string(),
            Value::Addresses => Ipv4Addr::from(u32::from_be_bytes(int(0).to_ne_bytes())).to_string(),
            Value::Linger if int(0) == 0 => "off".to_owned(),
            Value::Linger => int(1).to_string(),
            Value::Time => (f64::from(int(0)) + f64::from(int(2)) / 1e6).to_string(),
            Value::Credentials => format!("pid {} uid {} gid {}", int(0), int(1), int(2)),
        }
    }
}

pub fn look_up<T: Copy>(table: &[(&str, T)], name: &str) -> Result<T> {
    let known = || format!("'{name}' is not one of{}", names(table, |_| true));
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).with_context(known)
}

/// All of them together; a word may be several with | between.
pub fn look_up_all<T: Copy + Default + BitOr<Output = T>>(table: &[(&str, T)], words: &[&str]) -> Result<T> {
    words.iter().flat_map(|word| word.split('|')).try_fold(T::default(), |all, name| Ok(all | look_up(table, name)?))
}

/// The names in a table that are so, each after a space.
pub fn names<T: Copy>(table: &[(&str, T)], is_so: impl Fn(T) -> bool) -> String {
    table.iter().filter(|(_, value)| is_so(*value)).map(|(name, _)| format!(" {name}")).collect()
}

/// "ECONNREFUSED (Connection refused)"
pub fn error_text(error: Errno) -> String {
    // SAFETY: strerror gives a string, which this thread alone may change.
    let text = unsafe { CStr::from_ptr(libc::strerror(error as c_int)) };
    format!("{error:?} ({})", text.to_string_lossy())
}
