//! `lab sock`: a shell whose commands are the socket calls, in the spirit of Stevens' `sock`; for
//! scenes, and for people who want to try a call.
//!
//! A command makes the one call that it is named after, and answers with what that returned. Texts
//! and local addresses are in the [notation](crate::scene::expand) of scenes, here and there.

use std::ffi::CStr;
use std::fs;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc::{self, AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, c_int, c_short, socklen_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::scene::{expand, notation};

#[derive(clap::Args)]
#[command(after_help = help())]
pub struct Sock {
    /// Run these commands
    #[arg(short, value_name = "COMMANDS", conflicts_with = "file")]
    commands: Option<String>,
    /// Run the commands in this file [default: what is typed]
    file: Option<PathBuf>,
    /// How long a call may block, in seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// The commands: how each is used, and what it does.
const COMMANDS: [(&str, &str); 21] = [
    ("socket KIND [SOCK_NONBLOCK]", "makes a socket: udp tcp udp6 tcp6 stream dgram seqpacket"),
    ("socketpair KIND", "makes two that are connected: stream dgram seqpacket"),
    ("bind ADDRESS", "gives it an address; '' lets the kernel pick a local one"),
    ("connect ADDRESS", "fixes whom it talks to; none ends that (AF_UNSPEC)"),
    ("listen [BACKLOG]", "takes connections"),
    ("accept", "makes a socket for the next connection"),
    ("send TEXT [FLAG ...]", "sends a text"),
    ("sendto ADDRESS TEXT [FLAG ...]", "sends it there; sender: to the one last heard of"),
    ("write TEXT", "sends a text"),
    ("recv [SIZE] [FLAG ...]", "receives at most so many bytes (65536)"),
    ("recvfrom [SIZE] [FLAG ...]", "the same, and from whom"),
    ("recvmsg [SIZE] [FLAG ...]", "the same, with flags, errors and credentials"),
    ("read [SIZE]", "receives, like recv"),
    ("setsockopt OPTION VALUE ...", "sets an option"),
    ("getsockopt OPTION", "asks for one"),
    ("getsockname", "asks for its address"),
    ("getpeername", "asks for the other side's"),
    ("poll [EVENT ...] [MS]", "waits until it is ready (POLLIN)"),
    ("shutdown HOW", "ends one direction or both: SHUT_RD SHUT_WR SHUT_RDWR"),
    ("close", "closes it"),
    ("help", "says this"),
];

/// What the commands have in common, and what to try.
const NOTES: &str = "\
A command is for the socket made last; one that begins with a number (3 recv) is for that
descriptor, and so are those after it. ; or a new line ends a command. ADDRESS is 127.0.0.1:9501,
or a path for stream, dgram and seqpacket. In texts and paths {x*5} stands for xxxxx, {NUL} for
that byte, {xff} for any byte; a path that begins with {NUL} is an abstract name. Each command
answers with what its call returned. A call that blocks for ten seconds is given up.

Three experiments:
  Does UDP notice that nobody is there? (With sendto in place of connect and send?)
    socket udp; connect 127.0.0.1:9; send g1; recv
  Does a receiver see where a text ends? (With dgram in place of stream?)
    socketpair stream; 3 send one; send two; 4 recv
  Who gives a socket its address, and when?
    socket udp; getsockname; connect 127.0.0.1:9; getsockname; connect none; getsockname
";

/// The names of libc with their values.
macro_rules! named {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

/// Socket options by level and by what their value is.
macro_rules! options {
    ($($level:ident $value:ident: $($name:ident)*;)*) => { &[$($((stringify!($name), (libc::$level, libc::$name, Value::$value))),*),*] };
}

const KINDS: &[(&str, (c_int, c_int))] = &[
    ("udp", (AF_INET, SOCK_DGRAM)),
    ("tcp", (AF_INET, SOCK_STREAM)),
    ("udp6", (AF_INET6, SOCK_DGRAM)),
    ("tcp6", (AF_INET6, SOCK_STREAM)),
    ("stream", (AF_UNIX, SOCK_STREAM)),
    ("dgram", (AF_UNIX, SOCK_DGRAM)),
    ("seqpacket", (AF_UNIX, SOCK_SEQPACKET)),
];

const FLAGS: &[(&str, c_int)] = named![MSG_DONTWAIT MSG_PEEK MSG_TRUNC MSG_WAITALL MSG_NOSIGNAL MSG_ERRQUEUE MSG_OOB MSG_MORE MSG_EOR MSG_CTRUNC];

const EVENTS: &[(&str, c_short)] = named![POLLIN POLLOUT POLLPRI POLLERR POLLHUP POLLRDHUP POLLNVAL];

const DIRECTIONS: &[(&str, c_int)] = named![SHUT_RD SHUT_WR SHUT_RDWR];

const OPTIONS: &[(&str, (c_int, c_int, Value))] = options![
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
enum Value {
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

/// Whether SIGALRM has come, and SIGPIPE.
static TIME_OUT: AtomicBool = AtomicBool::new(false);
static BROKEN_PIPE: AtomicBool = AtomicBool::new(false);

impl Sock {
    pub fn run(&self) -> Result<()> {
        // No SA_RESTART: the call that a signal interrupts returns.
        let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
        for signal in [Signal::SIGALRM, Signal::SIGPIPE] {
            // SAFETY: the handler stores to an atomic.
            unsafe { sigaction(signal, &action)? };
        }
        let mut shell = Shell { limit: self.limit, sockets: Vec::new(), sender: None };
        if let Some(commands) = &self.commands {
            return commands.lines().try_for_each(|line| shell.line(line));
        }
        if let Some(file) = &self.file {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            return text.lines().zip(1..).try_for_each(|(line, number)| shell.line(line).with_context(|| format!("{}:{number}", file.display())));
        }
        for line in io::stdin().lock().split(b'\n') {
            match shell.line(&String::from_utf8_lossy(&line?)) {
                Err(error) if error.is::<io::Error>() => return Err(error),
                Err(mistake) => eprintln!("{mistake:#}"),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

extern "C" fn note(signal: c_int) {
    if signal == libc::SIGALRM { &TIME_OUT } else { &BROKEN_PIPE }.store(true, Ordering::Relaxed);
}

struct Shell {
    limit: u32,
    /// The open sockets, by descriptor and family; commands are for the last of them.
    sockets: Vec<(RawFd, c_int)>,
    /// Whom `recvfrom` or `recvmsg` last heard of.
    sender: Option<Address>,
}

impl Shell {
    /// Runs the commands of a line, and prints their answers in one.
    fn line(&mut self, line: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        let mut separator = "";
        let outcome = line.split(';').try_for_each(|command| {
            let words = shlex::split(command).context("a quote is not closed")?;
            if !words.is_empty() {
                write!(out, "{separator}{}", self.command(&words.iter().map(String::as_str).collect::<Vec<_>>())?)?;
                separator = "; ";
            }
            Ok(out.flush()?)
        });
        if !separator.is_empty() {
            writeln!(out)?;
        }
        outcome
    }

    /// Runs a command; its answer. An error is a mistake of the user's, or a call that was given up.
    fn command(&mut self, words: &[&str]) -> Result<String> {
        let (number, words) = match words[0].parse::<RawFd>() {
            Ok(number) => (Some(number), &words[1..]),
            Err(_) => (None, words),
        };
        let at = self.sockets.iter().position(|(fd, _)| Some(*fd) == number);
        if let Some(at) = at {
            self.sockets[at..].rotate_left(1);
        }
        let current = match number {
            // The kernel says what it thinks of a descriptor that is none of ours.
            Some(number) if at.is_none() => Some((number, AF_INET)),
            _ => self.sockets.last().copied(),
        };
        let (name, rest) = words.split_first().context("no command after the descriptor")?;
        let (usage, _) = *COMMANDS.iter().find(|(usage, _)| usage.split(' ').next() == Some(name)).with_context(|| format!("no command is called '{name}'; help lists them"))?;
        let usage = || format!("usage: {usage}");
        let (args, flags) = rest.split_at(rest.iter().rposition(|word| !word.starts_with("MSG_")).map_or(0, |last| last + 1));
        ensure!(flags.is_empty() || usage().contains("FLAG"), usage());
        let flags = flags.iter().flat_map(|word| word.split('|')).try_fold(0, |all, flag| Ok::<_, anyhow::Error>(all | look_up(FLAGS, flag)?))?;
        // SAFETY: all pointers that the calls get are to buffers of the length that goes with them.
        match (*name, args) {
            ("help", []) => return Ok(help().trim_end().to_owned()),
            ("socket", [kind, nonblock @ ..]) if matches!(nonblock, [] | ["SOCK_NONBLOCK"]) => {
                let (family, kind) = look_up(KINDS, kind)?;
                let kind = kind | if nonblock.is_empty() { 0 } else { libc::SOCK_NONBLOCK };
                let made = self.call(name, || unsafe { libc::socket(family, kind, 0) as isize })?;
                self.sockets.extend(made.as_ref().map(|fd| (*fd as RawFd, family)));
                return Ok(answer(made, |_| String::new()));
            }
            ("socketpair", [kind]) => {
                let (family, kind) = look_up(KINDS, kind)?;
                let mut pair = [-1; 2];
                let made = self.call(name, || unsafe { libc::socketpair(family, kind, 0, pair.as_mut_ptr()) as isize })?;
                self.sockets.extend(made.iter().flat_map(|_| pair.map(|fd| (fd, family))));
                return Ok(answer(made, |_| format!(" {} {}", pair[0], pair[1])));
            }
            _ => {}
        }
        let (fd, family) = current.context("there is no socket yet; socket udp makes one")?;
        let nothing = |_| String::new();
        match (*name, args) {
            ("bind" | "connect", [address]) => {
                let address = Address::parse(address, family)?;
                let call = if *name == "bind" { libc::bind } else { libc::connect };
                Ok(answer(self.call(name, || unsafe { call(fd, address.at(), address.len) as isize })?, nothing))
            }
            ("listen", [] | [_]) => {
                let backlog = args.first().map_or(Ok(libc::SOMAXCONN), |text| text.parse().with_context(usage))?;
                Ok(answer(self.call(name, || unsafe { libc::listen(fd, backlog) as isize })?, nothing))
            }
            ("accept", []) => {
                let mut from = Address::room();
                let made = self.call(name, || unsafe { libc::accept(fd, from.at_mut(), &mut from.len) as isize })?;
                self.sockets.extend(made.as_ref().map(|fd| (*fd as RawFd, family)));
                Ok(answer(made, |_| format!(" from {}", from.show())))
            }
            ("send" | "write", [_, ..]) => {
                let bytes = expand(&args.join(" "));
                let (at, len) = (bytes.as_ptr().cast(), bytes.len());
                let sent = self.call(name, || unsafe { if *name == "send" { libc::send(fd, at, len, flags) } else { libc::write(fd, at, len) } })?;
                Ok(answer(sent, nothing))
            }
            ("sendto", [to, texts @ ..]) if !texts.is_empty() => {
                let bytes = expand(&texts.join(" "));
                let to = if *to == "sender" { self.sender.clone().context("there is no sender yet; recvfrom tells of one")? } else { Address::parse(to, family)? };
                Ok(answer(self.call(name, || unsafe { libc::sendto(fd, bytes.as_ptr().cast(), bytes.len(), flags, to.at(), to.len_to_send()) })?, nothing))
            }
            ("recv" | "read", [] | [_]) => {
                let mut bytes = vec![0; size(args).with_context(usage)?];
                let (at, len) = (bytes.as_mut_ptr().cast(), bytes.len());
                let received = self.call(name, || unsafe { if *name == "recv" { libc::recv(fd, at, len, flags) } else { libc::read(fd, at, len) } })?;
                Ok(answer(received, |n| quote(&bytes, n)))
            }
            ("recvfrom", [] | [_]) => {
                let (mut bytes, mut from) = (vec![0; size(args).with_context(usage)?], Address::room());
                let received = self.call(name, || unsafe { libc::recvfrom(fd, bytes.as_mut_ptr().cast(), bytes.len(), flags, from.at_mut(), &mut from.len) })?;
                if received.is_ok() {
                    self.sender = Some(from.clone());
                }
                Ok(answer(received, |n| format!("{} from {}", quote(&bytes, n), from.show())))
            }
            ("recvmsg", [] | [_]) => self.recvmsg(fd, size(args).with_context(usage)?, flags),
            ("setsockopt", [option, values @ ..]) if !values.is_empty() => {
                let (level, option, value) = look_up(OPTIONS, option)?;
                let bytes = value.encode(values).with_context(usage)?;
                Ok(answer(self.call(name, || unsafe { libc::setsockopt(fd, level, option, bytes.as_ptr().cast(), bytes.len() as socklen_t) as isize })?, nothing))
            }
            ("getsockopt", [option]) => {
                let (level, option, value) = look_up(OPTIONS, option)?;
                let mut bytes = vec![0_u8; value.size()];
                let mut len = bytes.len() as socklen_t;
                let returned = self.call(name, || unsafe { libc::getsockopt(fd, level, option, bytes.as_mut_ptr().cast(), &mut len) as isize })?;
                Ok(answer(returned, |_| format!(" {}", value.show(&bytes))))
            }
            ("getsockname" | "getpeername", []) => {
                let mut address = Address::room();
                let call = if *name == "getsockname" { libc::getsockname } else { libc::getpeername };
                let returned = self.call(name, || unsafe { call(fd, address.at_mut(), &mut address.len) as isize })?;
                Ok(answer(returned, |_| format!(" {}", address.show())))
            }
            ("poll", _) => {
                let (events, ms) = args.split_at(args.iter().take_while(|word| word.starts_with("POLL")).count());
                let events = events.iter().flat_map(|word| word.split('|')).try_fold(0, |all, event| Ok::<_, anyhow::Error>(all | look_up(EVENTS, event)?))?;
                let ms = match ms {
                    [] => -1,
                    [ms] => ms.parse().with_context(usage)?,
                    _ => bail!(usage()),
                };
                let mut poll = libc::pollfd { fd, events: if events == 0 { libc::POLLIN } else { events }, revents: 0 };
                let ready = self.call(name, || unsafe { libc::poll(&mut poll, 1, ms) as isize })?;
                Ok(answer(ready, |_| names(EVENTS, |event| poll.revents & event != 0)))
            }
            ("shutdown", [how]) => {
                let how = look_up(DIRECTIONS, how)?;
                Ok(answer(self.call(name, || unsafe { libc::shutdown(fd, how) as isize })?, nothing))
            }
            ("close", []) => {
                let closed = self.call(name, || unsafe { libc::close(fd) as isize })?;
                self.sockets.retain(|(open, _)| *open != fd);
                Ok(answer(closed, nothing))
            }
            _ => bail!(usage()),
        }
    }

    /// Makes a call: what it returned, or the text for -1. It may block until the limit.
    fn call(&self, name: &str, call: impl FnOnce() -> isize) -> Result<Result<usize, String>> {
        for noted in [&TIME_OUT, &BROKEN_PIPE] {
            noted.store(false, Ordering::Relaxed);
        }
        set_timer(self.limit);
        let returned = Errno::result(call());
        set_timer(0);
        if returned == Err(Errno::EINTR) && TIME_OUT.load(Ordering::Relaxed) {
            bail!("{name}: time-out after {} s", self.limit);
        }
        let signal = if BROKEN_PIPE.load(Ordering::Relaxed) { ", SIGPIPE" } else { "" };
        Ok(returned.map(|value| value as usize).map_err(|error| format!("-1 {}{signal}", error_text(error))))
    }

    /// Receives with all that `recvmsg` tells: on the error queue whom it was sent to and why it failed.
    fn recvmsg(&mut self, fd: RawFd, size: usize, flags: c_int) -> Result<String> {
        let (mut bytes, mut address, mut control) = (vec![0_u8; size], Address::room(), [0_u64; 64]);
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all of it may be zero.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_name, message.msg_namelen) = (address.at_mut().cast(), address.len);
        (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
        (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
        let received = self.call("recvmsg", || unsafe { libc::recvmsg(fd, &mut message, flags) })?;
        address.len = message.msg_namelen;
        let is_error = message.msg_flags & libc::MSG_ERRQUEUE != 0;
        if received.is_ok() && !is_error {
            self.sender = Some(address.clone());
        }
        let mut more = String::new();
        // SAFETY: the kernel has filled in the message, and there is room in `control` for what it tells.
        unsafe {
            let mut next = if received.is_ok() { libc::CMSG_FIRSTHDR(&message) } else { ptr::null_mut() };
            while let Some(header) = next.as_ref() {
                let data = libc::CMSG_DATA(header);
                match (header.cmsg_level, header.cmsg_type) {
                    (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => more += &format!(", {}", Value::Credentials.show(std::slice::from_raw_parts(data, 12))),
                    (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
                        let error = data.cast::<libc::sock_extended_err>().read_unaligned();
                        more += &format!(": {}", error_text(Errno::from_raw(error.ee_errno as c_int)));
                        if error.ee_origin != libc::SO_EE_ORIGIN_LOCAL {
                            let len = header.cmsg_len - (data as usize - ptr::from_ref(header) as usize) - size_of_val(&error);
                            let offender = Address::from(std::slice::from_raw_parts(data.add(size_of_val(&error)), len));
                            let name = offender.ip().map_or_else(|| offender.show(), |at| at.ip().to_string());
                            more += &format!(", ICMP type {} code {} from {name}", error.ee_type, error.ee_code);
                        }
                    }
                    _ => {}
                }
                next = libc::CMSG_NXTHDR(&message, header);
            }
        }
        let names = names(FLAGS, |flag| message.msg_flags & flag != 0);
        let way = if is_error { "to" } else { "from" };
        Ok(answer(received, |n| format!("{} {way} {}{names}{more}", quote(&bytes, n), address.show())))
    }
}

/// The answer to a command, with this behind what the call returned if that was not -1.
fn answer(returned: Result<usize, String>, more: impl FnOnce(usize) -> String) -> String {
    returned.map_or_else(|error| format!("= {error}"), |value| format!("= {value}{}", more(value)))
}

fn set_timer(seconds: u32) {
    let time = |seconds, tv_usec| libc::timeval { tv_sec: seconds, tv_usec };
    // Again after a moment, in case the first one comes before the call.
    let timer = libc::itimerval { it_value: time(seconds.into(), 0), it_interval: time(0, 100_000) };
    // SAFETY: the kernel reads the timer.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) };
}

fn help() -> String {
    let commands: String = COMMANDS.iter().map(|(usage, what)| format!("  {usage:<31} {what}\n")).collect();
    format!("Commands:\n{commands}\nFlags:{}\nOptions:{}\n\n{NOTES}", names(FLAGS, |_| true), names(OPTIONS, |_| true))
}

/// "ECONNREFUSED (Connection refused)"
fn error_text(error: Errno) -> String {
    // SAFETY: strerror gives a string, which this thread alone may change.
    let text = unsafe { CStr::from_ptr(libc::strerror(error as c_int)) };
    format!("{error:?} ({})", text.to_string_lossy())
}

fn look_up<T: Copy>(table: &[(&str, T)], name: &str) -> Result<T> {
    let known = || format!("'{name}' is none of{}", names(table, |_| true));
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).with_context(known)
}

/// The names in a table that are so, each after a space.
fn names<T: Copy>(table: &[(&str, T)], is_so: impl Fn(T) -> bool) -> String {
    table.iter().filter(|(_, value)| is_so(*value)).map(|(name, _)| format!(" {name}")).collect()
}

/// The size that a call is given for its buffer.
fn size(args: &[&str]) -> Result<usize> {
    args.first().map_or(Ok(1 << 16), |size| Ok(size.parse()?))
}

/// What was received, which may be less than was sent.
fn quote(bytes: &[u8], received: usize) -> String {
    format!(" \"{}\"", notation(&bytes[..received.min(bytes.len())]))
}

/// The address of a socket, as the kernel has it.
#[derive(Clone)]
struct Address {
    bytes: [u8; size_of::<libc::sockaddr_storage>()],
    len: socklen_t,
}

impl From<&[u8]> for Address {
    fn from(bytes: &[u8]) -> Address {
        let mut address = Address::room();
        address.bytes[..bytes.len()].copy_from_slice(bytes);
        address.len = bytes.len() as socklen_t;
        address
    }
}

impl Address {
    /// Room for the kernel to fill in.
    fn room() -> Address {
        Address { bytes: [0; size_of::<libc::sockaddr_storage>()], len: size_of::<libc::sockaddr_storage>() as socklen_t }
    }

    /// `127.0.0.1:9501`, a path, `{NUL}name` or, of no family at all, `none`.
    fn parse(text: &str, family: c_int) -> Result<Address> {
        let start = |family| (family as libc::sa_family_t).to_ne_bytes();
        let bytes = match text {
            "none" => vec![0; size_of::<libc::sockaddr>()],
            path if family == AF_UNIX => {
                let path = expand(path);
                ensure!(path.len() <= 108, "a path has at most 108 bytes");
                [&start(AF_UNIX), path.as_slice()].concat()
            }
            text => match text.parse().ok().with_context(|| format!("'{text}' is no ADDRESS:PORT"))? {
                SocketAddr::V4(at) => [&start(AF_INET)[..], &at.port().to_be_bytes(), &at.ip().octets(), &[0; 8]].concat(),
                SocketAddr::V6(at) => [&start(AF_INET6)[..], &at.port().to_be_bytes(), &[0; 4], &at.ip().octets(), &at.scope_id().to_ne_bytes()].concat(),
            },
        };
        Ok(Address::from(bytes.as_slice()))
    }

    /// The kernel counts a NUL after a path that fills its field, and refuses that length.
    fn len_to_send(&self) -> socklen_t {
        if self.family() == AF_UNIX { self.len.min(size_of::<libc::sockaddr_un>() as socklen_t) } else { self.len }
    }

    fn at(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    fn at_mut(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    fn family(&self) -> c_int {
        if self.len < 2 { 0 } else { u16::from_ne_bytes([self.bytes[0], self.bytes[1]]).into() }
    }

    fn ip(&self) -> Option<SocketAddr> {
        let bytes = |at: usize| &self.bytes[at..];
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        match self.family() {
            AF_INET => Some((Ipv4Addr::from(*bytes(4).first_chunk()?), port).into()),
            AF_INET6 => Some(SocketAddrV6::new(Ipv6Addr::from(*bytes(8).first_chunk()?), port, 0, u32::from_ne_bytes(*bytes(24).first_chunk()?)).into()),
            _ => None,
        }
    }

    /// As it is typed; `-` if there is none.
    fn show(&self) -> String {
        match (self.ip(), &self.bytes[2..(self.len as usize).max(2)]) {
            (Some(at), _) => at.to_string(),
            (None, []) => "-".to_owned(),
            (None, name @ [0, ..]) => notation(name),
            (None, path) => notation(path.strip_suffix(b"\0").unwrap_or(path)),
        }
    }
}

impl Value {
    fn size(self) -> usize {
        match self {
            Value::Int | Value::Error | Value::Addresses => 4,
            Value::Linger => 8,
            Value::Credentials => 12,
            Value::Time => 16,
        }
    }

    fn encode(self, words: &[&str]) -> Result<Vec<u8>> {
        Ok(match (self, words) {
            (Value::Addresses, words) => words.iter().map(|word| Ok(word.parse::<Ipv4Addr>()?.octets())).collect::<Result<Vec<_>>>()?.concat(),
            (Value::Linger, ["off"]) => vec![0; 8],
            (Value::Linger, [seconds]) => [1_i32.to_ne_bytes(), seconds.parse::<i32>()?.to_ne_bytes()].concat(),
            (Value::Time, [seconds]) => {
                let seconds: f64 = seconds.parse()?;
                [(seconds as i64).to_ne_bytes(), ((seconds.fract() * 1e6) as i64).to_ne_bytes()].concat()
            }
            (_, [number]) => number.parse::<i32>()?.to_ne_bytes().to_vec(),
            _ => bail!("one value is enough"),
        })
    }

    fn show(self, bytes: &[u8]) -> String {
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
