//! ^C at random moments: a server that counts is interrupted while clients send to it as fast as
//! they can, and must end with a count that is true.
//!
//! The moment is a number of answers and some microseconds, so that the signal comes while the
//! server works: in a system call, in printf, between the two, or before it has a handler.

use std::fmt::{self, Display};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::process::{ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::{self, LIMIT, Load, UNDER_WAY};
use crate::tally::Fate;
use lab::actor::end_name;
use lab::play::Stdout;

/// After how many answers at the most; the server's output fills its buffer every 100 or so.
const ANSWERS: usize = 300;
/// How long after that, in microseconds, at the most; the server takes some for a message.
const LATER: u64 = 200;
/// One in so many comes without waiting for an answer, in the time that a server takes to start.
const EARLY: usize = 8;
const START: u64 = 3000;
/// One in so many comes when udpconnectserver has been told "goodbye".
const GOODBYE: usize = 4;
/// How long after the last answer before it, in microseconds, at the most.
const EXIT: u64 = 8;

/// What became of a server that was interrupted.
#[derive(Debug)]
pub struct Interrupted {
    pub answers: usize,
    /// `None` if it ended as it should.
    pub fate: Option<Fate>,
    pub what: String,
    pub print: Print,
    /// Whether the signal came between an answer and its count, in udpserver.
    pub behind: bool,
    /// Whether it came before the handler was set.
    pub early: bool,
}

/// What it had printed of the messages when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Print {
    /// Every line, once, and one more if its message was not answered yet.
    Whole,
    /// The last line is not complete.
    Torn,
    /// Something twice.
    Doubled,
    /// Something else.
    Otherwise,
}

impl Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Print::Whole => "whole",
            Print::Torn => "torn",
            Print::Doubled => "doubled",
            Print::Otherwise => "something else",
        })
    }
}

/// Starts the server, lets `clients` send to it and interrupts it at a moment that `rng` draws.
///
/// # Errors
///
/// If the server cannot be started or its end cannot be seen.
pub fn interrupt(load: &Load, c: bool, clients: usize, stdout: Stdout, rng: &mut Rng) -> Result<Interrupted> {
    let address = load.address().context("only UDP servers count")?;
    let clients = if load.alone { 1 } else { clients };
    let mut senders = (0..clients).map(|_| Sender::new(address)).collect::<Result<Vec<_>>>()?;
    let window = (UNDER_WAY / clients).max(1);
    let early = rng.usize(..EARLY) == 0;
    // udpconnectserver has an end of its own, which ^C may meet.
    let goodbye = load.alone && !early && rng.usize(..GOODBYE) == 0;
    let answers = if early { 0 } else { rng.usize(1..=ANSWERS) };
    let later = rng.u64(
        ..match (early, goodbye) {
            (true, _) => START,
            (false, true) => EXIT,
            (false, false) => LATER,
        },
    );

    let mut server = load.start(c, stdout)?;
    let mut pipe = server.take_stdout();
    let mut out = Vec::new();
    let start = Instant::now();
    let mut due = early.then(|| start + Duration::from_micros(later));
    let mut interrupted = None;
    let mut turns = 0;
    while server.end().is_none() && interrupted.unwrap_or(start).elapsed() < LIMIT {
        for (number, sender) in senders.iter_mut().enumerate() {
            sender.turn(load, number, window)?;
            if interrupted.is_none() && due.is_some_and(|due| Instant::now() > due) {
                match kill(Pid::from_raw(server.pid() as i32), Signal::SIGINT) {
                    // It may have ended, told "goodbye".
                    Ok(()) | Err(Errno::ESRCH) => interrupted = Some(Instant::now()),
                    Err(error) => return Err(error).context("cannot interrupt it"),
                }
            }
        }
        if due.is_none() && senders.iter().map(|sender| sender.answered).sum::<usize>() >= answers {
            if goodbye && !senders[0].leaves {
                senders[0].leave()?;
            }
            if senders.iter().all(Sender::is_ready) {
                due = Some(Instant::now() + Duration::from_micros(later));
            }
        }
        turns += 1;
        // Sending is what keeps the server busy; to look at it takes as long.
        if turns % 8 == 0 || interrupted.is_some() {
            server.look()?;
            read(&mut pipe, &mut out);
        }
    }
    ensure!(interrupted.is_some() || goodbye, "{} did not give {answers} answers within {} s: {}", load.program, LIMIT.as_secs(), String::from_utf8_lossy(server.screen()));
    let end = server.end();
    // It is killed if it hangs.
    let screen = String::from_utf8_lossy(server.screen()).into_owned();
    drop(server);
    read(&mut pipe, &mut out);
    for (number, sender) in senders.iter_mut().enumerate() {
        sender.receive(load, number)?;
    }
    let printed = if pipe.is_some() { String::from_utf8_lossy(&out).into_owned() } else { screen };
    let sent: Vec<usize> = senders.iter().map(|sender| sender.sent).collect();
    Ok(judge(load, end, &printed, &senders, &sent))
}

/// Takes what is in the pipe.
fn read(pipe: &mut Option<ChildStdout>, out: &mut Vec<u8>) {
    let mut buffer = [0; 1 << 16];
    if let Some(pipe) = pipe {
        // Errors mean that there is no more now.
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            out.extend(&buffer[..n]);
        }
    }
}

/// A client that does not wait for anything.
struct Sender {
    socket: UdpSocket,
    sent: usize,
    answered: usize,
    /// Whether it has said "goodbye" and sends no more.
    leaves: bool,
    /// An answer that is not the next one.
    wrong: Option<String>,
}

impl Sender {
    fn new(address: SocketAddr) -> Result<Sender> {
        let socket = load::udp_client(address.port())?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        Ok(Sender { socket, sent: 0, answered: 0, leaves: false, wrong: None })
    }

    /// Takes what is there, and sends what may be under way.
    fn turn(&mut self, load: &Load, number: usize, window: usize) -> Result<()> {
        self.receive(load, number)?;
        while !self.leaves && self.sent < self.answered + window {
            match self.socket.send(load.message(number, self.sent, 0).as_bytes()) {
                Ok(_) => self.sent += 1,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.refused();
                    break;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        self.leaves = true;
        self.socket.send(b"goodbye").map(drop).context("cannot say goodbye")
    }

    /// Whether the server is at its last message, if that is "goodbye", or is at any.
    fn is_ready(&self) -> bool {
        !self.leaves || self.answered == self.sent
    }

    fn receive(&mut self, load: &Load, number: usize) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(n) => {
                    let message = load.message(number, self.answered, 0);
                    if buffer[..n] != *load.answer(&message).as_bytes() {
                        self.wrong.get_or_insert_with(|| format!("{message:?} is answered {:?}", String::from_utf8_lossy(&buffer[..n])));
                    }
                    self.answered += 1;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.refused(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
    }

    /// The last one has not reached the server, which has not bound its port yet or has ended.
    fn refused(&mut self) {
        self.sent = self.sent.saturating_sub(1).max(self.answered);
    }
}

/// Whether all that is as it must be when the signal comes at any moment.
fn judge(load: &Load, end: Option<ExitStatus>, printed: &str, senders: &[Sender], sent: &[usize]) -> Interrupted {
    let answers: usize = senders.iter().map(|sender| sender.answered).sum();
    let all: usize = sent.iter().sum();
    let mut seen = Interrupted { answers, fate: None, what: String::new(), print: Print::Whole, behind: false, early: false };
    let mut is = |fate: Fate, what: String| {
        seen.fate = Some(fate);
        seen.what = what;
    };
    let Some(end) = end else {
        is(Fate::Hangs, format!("it does not end within {} s of ^C, {answers} answers given", LIMIT.as_secs()));
        return seen;
    };
    match end_name(end).as_str() {
        "0" => {}
        "SIGINT" if printed.is_empty() && answers == 0 => {
            seen.early = true;
            return seen;
        }
        other if other.parse::<i32>().is_err() => {
            is(Fate::Crashes, format!("it ended by {other}, {answers} answers given"));
            return seen;
        }
        other => {
            is(Fate::Wrong, format!("it ended with {other}, {answers} answers given"));
            return seen;
        }
    }
    // It may have ended before the signal came.
    let by_itself = senders.iter().any(|sender| sender.leaves).then_some((printed, answers));
    let Some((lines, count)) = split(printed).or(by_itself) else {
        is(Fate::Wrong, format!("it did not print its count, but {:?}", printed.lines().last().unwrap_or_default()));
        return seen;
    };
    // The count comes after the answer, and in udpconnectserver with the next message.
    if count > answers || count + 1 < answers || answers > all {
        is(Fate::Wrong, format!("it counted {count}, and gave {answers} answers to {all} messages"));
    } else if let Some(wrong) = senders.iter().find_map(|sender| sender.wrong.clone()) {
        is(Fate::Wrong, wrong);
    }
    seen.behind = !load.alone && count < answers;
    seen.print = Print::of(load, lines, answers, sent.len());
    seen
}

/// What it printed of the messages, and the count behind that.
fn split(printed: &str) -> Option<(&str, usize)> {
    let (lines, count) = printed.rsplit_once("\nreceived ")?;
    Some((lines, count.strip_suffix(" datagrams\n")?.parse().ok()?))
}

impl Print {
    /// Of these lines, when so many messages of so many clients were answered.
    fn of(load: &Load, lines: &str, answers: usize, clients: usize) -> Print {
        let mut next = vec![0; clients];
        let (mut rest, mut messages, mut whole) = (lines, 0, true);
        while !rest.is_empty() {
            let line = rest.split('\n').next().unwrap_or_default();
            let client = if clients == 1 { Some(0) } else { load::client(line).filter(|client| *client < clients) };
            let block = client.map(|client| load.print(&load.message(client, next[client], 0), next[client], 0)).unwrap_or_default();
            match (client, rest.strip_prefix(&block)) {
                (Some(client), Some(more)) => {
                    next[client] += 1;
                    messages += 1;
                    rest = more;
                }
                _ => {
                    // The first of the two lines that a message may have is whole, too.
                    whole = rest.ends_with('\n') && block.starts_with(rest);
                    break;
                }
            }
        }
        // udpserver prints before it answers, udpconnectserver after that.
        let printed = if load.alone { answers.saturating_sub(1)..=answers } else { answers..=answers + 1 };
        let is_doubled = || (8..=lines.len() / 2).any(|len| lines.is_char_boundary(lines.len() - len) && lines[..lines.len() - len].ends_with(&lines[lines.len() - len..]));
        match rest {
            _ if whole && printed.contains(&messages) => Print::Whole,
            _ if !whole && !rest.contains('\n') && printed.contains(&messages) => Print::Torn,
            _ if is_doubled() => Print::Doubled,
            _ => Print::Otherwise,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::load::LOADS;

    const UDPSERVER: &Load = &LOADS[0];
    const UDPCONNECTSERVER: &Load = &LOADS[2];

    fn sender(answered: usize) -> Sender {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Sender { socket, sent: answered, answered, leaves: false, wrong: None }
    }

    /// What a server with one client prints of so many messages.
    fn lines(load: &Load, messages: usize) -> String {
        (0..messages).map(|number| load.print(&load.message(0, number, 0), number, 0)).collect()
    }

    #[test]
    fn a_server_must_end_well_with_a_count_that_is_true() {
        const SIGINT: i32 = Signal::SIGINT as i32;
        const SIGSEGV: i32 = Signal::SIGSEGV as i32;
        let counted = |count: usize| format!("{}\nreceived {count} datagrams\n", lines(UDPSERVER, 3));
        for (status, printed, fate) in [
            (Some(0), counted(3), None),
            (Some(0), counted(2), None),
            (Some(0), counted(1), Some(Fate::Wrong)),
            (Some(0), counted(4), Some(Fate::Wrong)),
            (Some(0), lines(UDPSERVER, 3), Some(Fate::Wrong)),
            (Some(0), String::new(), Some(Fate::Wrong)),
            (Some(1 << 8), counted(3), Some(Fate::Wrong)),
            (Some(SIGINT), counted(3), Some(Fate::Crashes)),
            (Some(SIGINT), String::new(), Some(Fate::Crashes)),
            (Some(SIGSEGV), counted(3), Some(Fate::Crashes)),
            (None, counted(3), Some(Fate::Hangs)),
        ] {
            let seen = judge(UDPSERVER, status.map(ExitStatus::from_raw), &printed, &[sender(3)], &[3]);
            assert_eq!((seen.fate, seen.answers, seen.early), (fate, 3, false), "{status:?}: {printed:?}: {}", seen.what);
        }
    }

    #[test]
    fn only_a_server_that_has_done_nothing_may_be_ended_by_the_signal() {
        let sigint = Some(ExitStatus::from_raw(Signal::SIGINT as i32));
        let seen = judge(UDPSERVER, sigint, "", &[sender(0)], &[1]);
        assert_eq!((seen.fate, seen.early), (None, true));
        assert_eq!(judge(UDPSERVER, sigint, "received", &[sender(0)], &[1]).fate, Some(Fate::Crashes));
    }

    #[test]
    fn answers_must_be_right_and_no_more_than_the_messages() {
        let printed = format!("{}\nreceived 3 datagrams\n", lines(UDPSERVER, 3));
        let end = Some(ExitStatus::from_raw(0));
        let wrong = Sender { wrong: Some("it is answered otherwise".to_owned()), ..sender(3) };
        assert_eq!(judge(UDPSERVER, end, &printed, &[wrong], &[3]).fate, Some(Fate::Wrong));
        assert_eq!(judge(UDPSERVER, end, &printed, &[sender(3)], &[2]).fate, Some(Fate::Wrong));
    }

    #[test]
    fn what_was_printed_has_a_kind_of_its_own() {
        let one = |number: usize| UDPSERVER.print(&UDPSERVER.message(0, number, 0), number, 0);
        let three = lines(UDPSERVER, 3);
        for (printed, print) in [
            (three.clone(), Print::Whole),
            (lines(UDPSERVER, 4), Print::Whole),
            (format!("{three}received 5 by"), Print::Torn),
            (format!("{three}{three}"), Print::Doubled),
            (format!("{three}{}", one(2)), Print::Doubled),
            (lines(UDPSERVER, 2), Print::Otherwise),
            (lines(UDPSERVER, 5), Print::Otherwise),
            (format!("{}{}", one(0), one(2)), Print::Otherwise),
            (format!("something\n{three}"), Print::Otherwise),
        ] {
            assert_eq!(Print::of(UDPSERVER, &printed, 3, 1), print, "{printed:?}");
        }
        // All its lines but the first are alike.
        for (messages, print) in [(1, Print::Otherwise), (2, Print::Whole), (3, Print::Whole), (4, Print::Doubled)] {
            assert_eq!(Print::of(UDPCONNECTSERVER, &lines(UDPCONNECTSERVER, messages), 3, 1), print, "{messages} messages");
        }
    }

    #[test]
    fn the_kind_of_what_was_printed_is_told() {
        let three = lines(UDPSERVER, 3);
        for (lines, print) in [(three.clone(), Print::Whole), (format!("{three}{three}"), Print::Doubled), (lines(UDPSERVER, 1), Print::Otherwise)] {
            let seen = judge(UDPSERVER, Some(ExitStatus::from_raw(0)), &format!("{lines}\nreceived 3 datagrams\n"), &[sender(3)], &[3]);
            assert_eq!((seen.fate, seen.print), (None, print), "{lines:?}");
        }
    }
}
