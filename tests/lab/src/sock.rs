//! `lab sock`: a shell whose commands are the socket calls, in the spirit of Stevens' `sock`; for
//! scenes, and for people who want to try a call.
//!
//! A command makes the one call that it is named after, and answers with what that returned. Texts
//! and local addresses are in the [notation](crate::scene::expand) of scenes, here and there.

mod address;
mod names;

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc::{self, AF_INET, c_int, socklen_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::args::{Args, Long, Short, Value, unexpected};
use crate::scene::{MOST, expand, notation};
use crate::terminal::wrap;
use address::Address;
use names::{DIRECTIONS, EVENTS, FLAGS, KINDS, OPTIONS, Value as OptionValue, error_text, look_up, look_up_all, names};

const USAGE: &str = "\
A shell whose commands are the socket calls

Usage: cargo lab sock [-c COMMANDS | FILE]

  -c COMMANDS  run these commands
  FILE         run the commands in this file; without -c and FILE, those you type
  --limit S    how long a call may block, in seconds (default: 10)

";

/// The commands: how each is used, and what it does.
const COMMANDS: [(&str, &str); 21] = [
    ("socket KIND", "makes a socket"),
    ("socketpair KIND", "makes two sockets that are connected"),
    ("bind ADDRESS", "gives it an address"),
    ("connect ADDRESS", "sets its peer; none removes it (AF_UNSPEC)"),
    ("listen [BACKLOG]", "lets clients connect"),
    ("accept", "makes a socket for the next connection"),
    ("send TEXT [FLAG ...]", "sends a text"),
    ("sendto ADDRESS TEXT [FLAG ...]", "sends it there"),
    ("write TEXT", "sends a text"),
    ("recv [SIZE] [FLAG ...]", "receives at most SIZE bytes (65536)"),
    ("recvfrom [SIZE] [FLAG ...]", "the same, and says from whom"),
    ("recvmsg [SIZE] [FLAG ...]", "the same, with flags, errors and credentials"),
    ("read [SIZE]", "receives, like recv"),
    ("setsockopt OPTION VALUE ...", "sets an option"),
    ("getsockopt OPTION", "gets one"),
    ("getsockname", "gets its own address"),
    ("getpeername", "gets its peer's address"),
    ("poll [EVENT ...] MS", "waits at most MS ms for these events (POLLIN)"),
    ("shutdown HOW", "shuts down SHUT_RD, SHUT_WR or SHUT_RDWR"),
    ("close", "closes it"),
    ("help", "prints this"),
];

/// What the commands have in common, and what to try.
const NOTES: &str = "\
A command acts on the newest socket. `3 recv` switches to descriptor 3, for this
command and the following ones. A command ends at ; or at the end of the line; ^D
ends the shell. Each command answers with what its call returned. A call that
blocks is given up after ten seconds (--limit).

KIND is udp, tcp, udp6, tcp6, stream, dgram or seqpacket; the last three are local
sockets, and only these make a socketpair. ADDRESS is 127.0.0.1:9501, or a path for
a local socket; with bind '' the kernel picks a name. `sendto sender TEXT` sends to
the address that the last recvfrom has reported. In texts and paths {x*5} stands
for xxxxx, {NUL} for that byte, {xff} for the byte ff. A path that begins with
{NUL} is an abstract name. A VALUE is a number: seconds for SO_RCVTIMEO (0.5) and
for SO_LINGER (or off); for IP_ADD_MEMBERSHIP it is a group and the address of an
interface.

Three experiments:
  Does UDP notice that nobody is there? (With sendto in place of connect and send?)
    socket udp; connect 127.0.0.1:9; send g1; recv
  Does a receiver see where a text ends? (With dgram in place of stream?)
    socketpair stream; 3 send one; send two; 4 recv
  Who gives a socket its address, and when?
    socket udp; getsockname; connect 127.0.0.1:9; getsockname; connect none; getsockname
";

/// Whether SIGALRM has come, and SIGPIPE.
static TIME_OUT: AtomicBool = AtomicBool::new(false);
static BROKEN_PIPE: AtomicBool = AtomicBool::new(false);

/// Runs `lab sock` with these arguments.
/// Fails if a command of `-c` or of a file is not one.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<()> {
    let (mut limit, mut commands, mut file) = (10, None, None);
    let mut args = Args::new("lab sock", &help(), args);
    while let Some(arg) = args.next()? {
        match arg {
            Short('c') => commands = Some(args.text("c")?),
            Long("limit") => limit = args.limit()?,
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            other => return Err(unexpected(other, "lab sock")),
        }
    }
    // No SA_RESTART: the call that a signal interrupts returns.
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGALRM, Signal::SIGPIPE] {
        // SAFETY: the handler stores to an atomic.
        unsafe { sigaction(signal, &action)? };
    }
    let mut shell = Shell { limit, sockets: Vec::new(), sender: None };
    if let Some(commands) = &commands {
        return commands.lines().try_for_each(|line| shell.line(line));
    }
    if let Some(file) = &file {
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

extern "C" fn note(signal: c_int) {
    if signal == libc::SIGALRM { &TIME_OUT } else { &BROKEN_PIPE }.store(true, Ordering::Relaxed);
}

struct Shell {
    limit: u32,
    /// The open sockets, by descriptor and family; commands are for the last of them.
    sockets: Vec<(RawFd, c_int)>,
    /// The last sender that `recvfrom` or `recvmsg` reported.
    sender: Option<Address>,
}

/// What a call returned, or the text for -1.
type Returned = Result<usize, String>;

/// Makes a call of libc; every pointer that it gets is to something of the size that goes with it.
macro_rules! call {
    // SAFETY: so the kernel stays within it.
    ($shell:ident.$call:ident($($argument:expr),*)) => { $shell.call(stringify!($call), || unsafe { libc::$call($($argument),*) } as isize)? };
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
        let number = words[0].parse().ok();
        let (name, rest) = words[usize::from(number.is_some())..].split_first().context("no command after the descriptor")?;
        let (usage, _) = COMMANDS.iter().find(|(usage, _)| usage.split(' ').next() == Some(name)).with_context(|| format!("no command is called '{name}'; help lists them"))?;
        let misused = || format!("usage: {usage}");
        let (args, flags) = rest.split_at(rest.iter().rposition(|word| !word.starts_with("MSG_")).map_or(0, |last| last + 1));
        ensure!(flags.is_empty() || usage.contains("FLAG"), misused());
        let flags = look_up_all(FLAGS, flags)?;
        let (fd, family) = if matches!(*name, "help" | "socket" | "socketpair") { (-1, 0) } else { self.choose(number)? };
        let mut address = Address::room();
        Ok(match (*name, args) {
            ("help", []) => help().trim_end().to_owned(),
            ("socket", [kind]) => {
                let (family, kind) = look_up(KINDS, kind)?;
                self.made(call!(self.socket(family, kind, 0)), family, String::new())
            }
            ("socketpair", [kind]) => {
                let ((family, kind), mut pair) = (look_up(KINDS, kind)?, [-1; 2]);
                let returned = call!(self.socketpair(family, kind, 0, pair.as_mut_ptr()));
                self.sockets.extend(returned.iter().flat_map(|_| pair.map(|fd| (fd, family))));
                answer(returned, |_| format!(" {} {}", pair[0], pair[1]))
            }
            ("bind", [to]) => {
                address = Address::parse(to, family)?;
                answer(call!(self.bind(fd, address.at(), address.len)), nothing)
            }
            ("connect", [to]) => {
                address = Address::parse(to, family)?;
                answer(call!(self.connect(fd, address.at(), address.len)), nothing)
            }
            ("listen", [] | [_]) => {
                let backlog = args.first().map_or(Ok(libc::SOMAXCONN), |text| text.parse()).with_context(misused)?;
                answer(call!(self.listen(fd, backlog)), nothing)
            }
            ("accept", []) => {
                let returned = call!(self.accept(fd, address.at_mut(), &mut address.len));
                self.made(returned, family, format!(" from {}", address.show()))
            }
            ("send", [_, ..]) => {
                let bytes = expand(&args.join(" "));
                answer(call!(self.send(fd, bytes.as_ptr().cast(), bytes.len(), flags)), nothing)
            }
            ("sendto", [to, texts @ ..]) if !texts.is_empty() => {
                let bytes = expand(&texts.join(" "));
                address = match *to {
                    "sender" => self.sender.clone().context("there is no sender yet; call recvfrom first")?.clipped(),
                    to => Address::parse(to, family)?,
                };
                answer(call!(self.sendto(fd, bytes.as_ptr().cast(), bytes.len(), flags, address.at(), address.len)), nothing)
            }
            ("write", [_, ..]) => {
                let bytes = expand(&args.join(" "));
                answer(call!(self.write(fd, bytes.as_ptr().cast(), bytes.len())), nothing)
            }
            ("recv", [] | [_]) => {
                let mut bytes = buffer(args).with_context(misused)?;
                answer(call!(self.recv(fd, bytes.as_mut_ptr().cast(), bytes.len(), flags)), |n| quote(&bytes, n))
            }
            ("recvfrom", [] | [_]) => {
                let mut bytes = buffer(args).with_context(misused)?;
                let returned = call!(self.recvfrom(fd, bytes.as_mut_ptr().cast(), bytes.len(), flags, address.at_mut(), &mut address.len));
                if returned.is_ok() {
                    self.sender = Some(address.clone());
                }
                answer(returned, |n| format!("{} from {}", quote(&bytes, n), address.show()))
            }
            ("recvmsg", [] | [_]) => self.recvmsg(fd, buffer(args).with_context(misused)?, flags)?,
            ("read", [] | [_]) => {
                let mut bytes = buffer(args).with_context(misused)?;
                answer(call!(self.read(fd, bytes.as_mut_ptr().cast(), bytes.len())), |n| quote(&bytes, n))
            }
            ("setsockopt", [option_name, values @ ..]) if !values.is_empty() => {
                let (level, option, value) = look_up(OPTIONS, option_name)?;
                let bytes = value.encode(values).with_context(|| format!("{} is not a value of {option_name}; {}", values.join(" "), misused()))?;
                answer(call!(self.setsockopt(fd, level, option, bytes.as_ptr().cast(), bytes.len() as socklen_t)), nothing)
            }
            ("getsockopt", [option]) => {
                let (level, option, value) = look_up(OPTIONS, option)?;
                // Room for the largest, a time.
                let mut bytes = [0_u8; 16];
                let mut len = bytes.len() as socklen_t;
                answer(call!(self.getsockopt(fd, level, option, bytes.as_mut_ptr().cast(), &mut len)), |_| format!(" {}", value.show(&bytes)))
            }
            ("getsockname", []) => answer(call!(self.getsockname(fd, address.at_mut(), &mut address.len)), |_| format!(" {}", address.show())),
            ("getpeername", []) => answer(call!(self.getpeername(fd, address.at_mut(), &mut address.len)), |_| format!(" {}", address.show())),
            ("poll", [events @ .., ms]) => {
                let events = if events.is_empty() { libc::POLLIN } else { look_up_all(EVENTS, events)? };
                let (mut poll, ms) = (libc::pollfd { fd, events, revents: 0 }, ms.parse().with_context(misused)?);
                answer(call!(self.poll(&mut poll, 1, ms)), |_| names(EVENTS, |event| poll.revents & event != 0))
            }
            ("shutdown", [how]) => {
                let how = look_up(DIRECTIONS, how)?;
                answer(call!(self.shutdown(fd, how)), nothing)
            }
            ("close", []) => {
                self.sockets.retain(|(open, _)| *open != fd);
                answer(call!(self.close(fd)), nothing)
            }
            _ => bail!(misused()),
        })
    }

    /// The descriptor that a command is for, with its family, and those after it are for.
    fn choose(&mut self, number: Option<RawFd>) -> Result<(RawFd, c_int)> {
        let at = self.sockets.iter().position(|(fd, _)| Some(*fd) == number);
        match (number, at) {
            // A descriptor that is not ours is left to the kernel, which reports the error.
            (Some(number), None) => return Ok((number, AF_INET)),
            (_, at) => self.sockets[at.unwrap_or(0)..].rotate_left(usize::from(at.is_some())),
        }
        self.sockets.last().copied().context("there is no socket yet; socket udp makes one")
    }

    /// The answer to a call that has made a socket, from now on the one that commands are for.
    fn made(&mut self, returned: Returned, family: c_int, more: String) -> String {
        self.sockets.extend(returned.iter().map(|fd| (*fd as RawFd, family)));
        answer(returned, |_| more)
    }

    /// Makes a call, which may block until the limit.
    fn call(&self, name: &str, call: impl FnOnce() -> isize) -> Result<Returned> {
        TIME_OUT.store(false, Ordering::Relaxed);
        BROKEN_PIPE.store(false, Ordering::Relaxed);
        set_timer(self.limit);
        let returned = Errno::result(call());
        set_timer(0);
        if returned == Err(Errno::EINTR) && TIME_OUT.load(Ordering::Relaxed) {
            bail!("{name}: time-out after {} s", self.limit);
        }
        let signal = if BROKEN_PIPE.load(Ordering::Relaxed) { ", SIGPIPE" } else { "" };
        Ok(returned.map(|value| value as usize).map_err(|error| format!("{}{signal}", error_text(error))))
    }

    /// Receives with all that `recvmsg` tells: on the error queue, to whom a text was sent and why it failed.
    fn recvmsg(&mut self, fd: RawFd, mut bytes: Vec<u8>, flags: c_int) -> Result<String> {
        let (mut address, mut control) = (Address::room(), [0_u64; 64]);
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all of it may be zero.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_name, message.msg_namelen) = (address.at_mut().cast(), address.len);
        (message.msg_iov, message.msg_iovlen) = (&mut part, 1);
        (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
        let returned = call!(self.recvmsg(fd, &mut message, flags));
        if returned.is_err() {
            return Ok(answer(returned, nothing));
        }
        address.len = message.msg_namelen;
        let mut more = names(FLAGS, |flag| message.msg_flags & flag != 0);
        // SAFETY: the kernel has filled in the message.
        let mut next = unsafe { libc::CMSG_FIRSTHDR(&message) };
        // SAFETY: it is null, or one of the headers in `control`, with its data after it.
        while let Some(header) = unsafe { next.as_ref() } {
            let data = unsafe { std::slice::from_raw_parts(libc::CMSG_DATA(header), header.cmsg_len - libc::CMSG_LEN(0) as usize) };
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => more += &format!(", {}", OptionValue::Credentials.show(data)),
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => more += &address::extended_error(data),
                _ => {}
            }
            next = unsafe { libc::CMSG_NXTHDR(&message, header) };
        }
        let is_error = message.msg_flags & libc::MSG_ERRQUEUE != 0;
        if !is_error {
            self.sender = Some(address.clone());
        }
        let way = if is_error { "to" } else { "from" };
        Ok(answer(returned, |n| format!("{} {way} {}{more}", quote(&bytes, n), address.show())))
    }
}

/// The answer to a command, with this after what the call returned if that was not -1.
fn answer(returned: Returned, more: impl FnOnce(usize) -> String) -> String {
    returned.map_or_else(|error| format!("= -1 {error}"), |value| format!("= {value}{}", more(value)))
}

/// Of a line of answers, those with received bytes: a program may have sent wrong ones. The other answers
/// are true whatever the programs do. A line that is not from `lab sock` stays as it is.
pub fn received(line: &str) -> impl Iterator<Item = &str> {
    let is_answers = line.starts_with("= ");
    let pieces = line.split("; ").filter(|answer| answer.contains('"') && !answer.starts_with("= 0 "));
    pieces.filter(move |_| is_answers).chain(Some(line).filter(|_| !is_answers))
}

fn nothing(_: usize) -> String {
    String::new()
}

/// A buffer of the size that a call is given.
fn buffer(args: &[&str]) -> Result<Vec<u8>> {
    let size = args.first().map_or(Ok(1 << 16), |size| size.parse())?;
    ensure!(size <= MOST, "SIZE is at most {MOST}");
    Ok(vec![0; size])
}

/// What was received, which may be less than was sent.
fn quote(bytes: &[u8], received: usize) -> String {
    format!(" \"{}\"", notation(&bytes[..received.min(bytes.len())]))
}

fn set_timer(seconds: u32) {
    let time = |tv_sec: u32, tv_usec| libc::timeval { tv_sec: tv_sec.into(), tv_usec };
    // Again after a moment, in case the first one comes before the call.
    let timer = libc::itimerval { it_value: time(seconds, 0), it_interval: time(0, 100_000) };
    // SAFETY: the kernel reads the timer.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) };
}

fn help() -> String {
    let commands: String = COMMANDS.iter().map(|(usage, what)| format!("  {usage:<31} {what}\n")).collect();
    let flags = wrap(&format!("Flags:{}", names(FLAGS, |_| true)), 80, 2).join("\n");
    let options = wrap(&format!("Options:{}", names(OPTIONS, |_| true)), 80, 2).join("\n");
    format!("{USAGE}Commands:\n{commands}\n{flags}\n{options}\n\n{NOTES}")
}
