//! Soak: thousands of messages to each server, every answer compared to the byte; its memory and its
//! descriptors may not grow. And ^C while it works: it ends, its count is true, and each line that it
//! printed is whole.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    setsockopt,
    sockopt::{Linger, ReceiveTimeout},
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;

use crate::verdict::{Kind, Players, Verdict};
use lab::actor::{Actor, end_name};
use lab::player::Stdout;
use lab::programs::Cast;
use lab::sandbox::Sandbox;
use lab::signals;

/// How long a server may take to start, to answer, to come to rest and to end.
const LIMIT: Duration = Duration::from_secs(5);

/// How many KiB a server may have more after the last message than after the first tenth.
const GROWTH: u64 = 16;

/// At most so many answers before a ^C, and so many microseconds after them.
const ANSWERS: usize = 300;
const LATER: u64 = 200;

/// One ^C in so many comes in the time, in microseconds, that a server takes to start.
const EARLY: usize = 8;
const START: u64 = 3000;

const PATH: &str = "server.sock";
const HTTP: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";

/// A server under load.
pub struct Load {
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    kind: Via,
    answer: fn(&str) -> String,
    /// What it prints for a message of this number, if it counts on ^C what it has answered.
    prints: Option<fn(&str, usize) -> String>,
}

/// How its clients reach it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Via {
    /// A port, and how many clients.
    Udp(u16, usize),
    Dgram,
    Stream,
    /// A connection for each message.
    Http,
}

impl Via {
    fn clients(self) -> usize {
        match self {
            Via::Udp(_, clients) => clients,
            Via::Dgram => 4,
            Via::Stream => 1,
            Via::Http => 0,
        }
    }

    /// How many messages may be under way: a UDP socket holds 277 small ones, a local one 10.
    fn under_way(self) -> usize {
        match self {
            Via::Udp(..) => 64,
            Via::Dgram => 8,
            Via::Stream | Via::Http => 1,
        }
    }
}

fn hi(message: &str) -> String {
    format!("Hi, {message}")
}

fn received(message: &str) -> String {
    format!("received {} bytes: {message}\n", message.len())
}

pub const LOADS: [Load; 6] = [
    Load { program: "udpserver", arguments: &[], kind: Via::Udp(43211, 8), answer: hi, prints: Some(|message, _| received(message)) },
    Load { program: "udp20_server", arguments: &[], kind: Via::Udp(9501, 8), answer: |_| "hello".to_owned(), prints: None },
    Load {
        program: "udpconnectserver",
        arguments: &[],
        kind: Via::Udp(43211, 1),
        answer: hi,
        prints: Some(|message, number| format!("{}send bytes: {} \n", if number == 0 { received(message) } else { String::new() }, message.len() + 4)),
    },
    Load { program: "unixstreamserver", arguments: &[PATH], kind: Via::Stream, answer: |message| format!("{:\0<4096}", hi(message)), prints: None },
    Load { program: "unixdataserver", arguments: &[PATH], kind: Via::Dgram, answer: hi, prints: None },
    Load { program: "tcp30_server", arguments: &[], kind: Via::Http, answer: |_| HTTP.to_owned(), prints: None },
];

/// A message: each is longer or shorter than the one before, and none is like another.
fn message(number: usize) -> String {
    format!("<{number}>{:.<1$}", "", number % 61)
}

impl Load {
    fn start(&self, stdout: Stdout) -> Result<Actor> {
        let mut command = Command::new(format!("./{}", self.program));
        command.args(self.arguments).env_clear();
        // In the folder of a ^C before, there may be a file that output would be appended to.
        let _ = fs::remove_file(format!("{}.stdout", self.program));
        Actor::start(self.program, command, None, stdout, &[])
    }

    fn is_at_rest(&self, server: &Actor, is_connected: bool) -> bool {
        let call = match self.kind {
            Via::Udp(..) | Via::Dgram => "recvfrom",
            Via::Stream if is_connected => "read",
            Via::Stream | Via::Http => "accept",
        };
        server.states().iter().any(|state| state.is_in(call))
    }

    /// Sends so many messages; what is wrong with the server.
    pub fn carry(&self, players: &Players, messages: usize) -> Result<Option<Verdict>> {
        let _stage = Sandbox::new(players.isolation, &Cast::of_ports(&players.builds.ports))?;
        let mut server = self.start(Stdout::File)?;
        if let Err(error) = wait(&mut server, "the server to start", |server| self.is_at_rest(server, false)) {
            return Ok(Some(Verdict::new(Kind::Wrong, format!("{error:#}"))));
        }
        let mut clients = (0..self.kind.clients()).map(|number| self.connect(number)).collect::<Result<Vec<_>>>()?;
        let first = messages.div_ceil(10);
        let mut sizes = Vec::new();
        for numbers in [0..first, first..messages] {
            let rests = |server: &mut Actor| wait(server, "the server to wait for the next message", |server| self.is_at_rest(server, true));
            if let Err(error) = self.exchange(&mut clients, numbers).and_then(|()| rests(&mut server)) {
                signals::check()?;
                server.look()?;
                let state = server.end().map_or("runs".to_owned(), |end| format!("ended with {}", end_name(end)));
                return Ok(Some(Verdict::new(Kind::Wrong, format!("{error:#}; it {state}"))));
            }
            sizes.push(size(server.pid())?);
        }
        if sizes[1].0 > sizes[0].0 + GROWTH || sizes[1].1 != sizes[0].1 {
            return Ok(Some(Verdict::new(Kind::Memory, format!("it went from {} KiB and {} descriptors to {} and {}", sizes[0].0, sizes[0].1, sizes[1].0, sizes[1].1))));
        }
        kill(Pid::from_raw(server.pid() as i32), Signal::SIGINT)?;
        Ok(self.judge(&mut server, messages, Stdout::File))
    }

    /// The answer to a message.
    pub fn answer(&self, message: &str) -> String {
        (self.answer)(message)
    }

    /// Whether each message has a connection of its own.
    pub fn connects(&self) -> bool {
        self.kind == Via::Http
    }

    /// A client's end of a connection. Local ones are bound to long names and short ones in turn.
    pub fn connect(&self, number: usize) -> Result<File> {
        let socket: OwnedFd = match self.kind {
            Via::Udp(port, _) => udp(port)?.into(),
            Via::Dgram => {
                let name = format!("{:c<1$}", number, 1 + number % 2 * 90);
                // A client before may have left it.
                let _ = fs::remove_file(&name);
                let socket = UnixDatagram::bind(name)?;
                socket.connect(PATH)?;
                socket.into()
            }
            Via::Stream => UnixStream::connect(PATH)?.into(),
            Via::Http => TcpStream::connect((Ipv4Addr::LOCALHOST, 9501))?.into(),
        };
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(LIMIT.as_secs() as i64))?;
        Ok(socket.into())
    }

    /// Sends the messages of these numbers, some under way at a time; an error if an answer is wrong.
    fn exchange(&self, clients: &mut [File], mut numbers: Range<usize>) -> Result<()> {
        let (window, count) = (self.kind.under_way(), clients.len());
        let mut connection = None;
        let mut under_way = VecDeque::new();
        while !numbers.is_empty() || !under_way.is_empty() {
            signals::check()?;
            while under_way.len() < window
                && let Some(number) = numbers.next()
            {
                let mut message = message(number);
                if self.kind == Via::Http {
                    self.leave(number)?;
                    // Longer than the server's buffer, sometimes.
                    message = format!("GET /{message}{:.<1$} HTTP/1.1\r\n\r\n", "", if number % 50 == 3 { 5000 } else { 0 });
                    connection = Some(self.connect(number)?);
                }
                let client = connection.as_mut().unwrap_or_else(|| &mut clients[number % count]);
                client.write_all(message.as_bytes()).with_context(|| format!("message {number} cannot be sent"))?;
                under_way.push_back(number);
            }
            let Some(number) = under_way.pop_front() else { break };
            let answer = (self.answer)(&message(number));
            let (client, mut received) = (connection.as_mut().unwrap_or_else(|| &mut clients[number % count]), vec![0; answer.len() + 1]);
            match self.kind {
                Via::Udp(..) | Via::Dgram => client.read(&mut received).map(|len| received.truncate(len)),
                Via::Stream => client.read_exact(&mut received[..answer.len()]).map(|()| received.truncate(answer.len())),
                Via::Http => {
                    received.clear();
                    client.read_to_end(&mut received).map(drop)
                }
            }
            .with_context(|| format!("message {number} is not answered"))?;
            ensure!(received == answer.as_bytes(), "message {number} is answered {:?}", String::from_utf8_lossy(&received[..received.len().min(100)]));
        }
        Ok(())
    }

    /// Some leave: without a word, without their answer, with a reset.
    fn leave(&self, number: usize) -> Result<()> {
        match number % 50 {
            0 => drop(self.connect(number)?),
            1 => self.connect(number)?.write_all(b"GET / HTTP/1.1\r\n\r\n")?,
            2 => {
                let mut other = self.connect(number)?;
                other.write_all(b"GET")?;
                setsockopt(&other, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the server counts, and ^C is tried on it.
    pub fn counts(&self) -> bool {
        self.prints.is_some()
    }

    /// Starts the server and interrupts it at a moment that `rng` draws, while one client sends; what is
    /// wrong with its end.
    pub fn interrupt(&self, players: &Players, stdout: Stdout, rng: &mut Rng) -> Result<Option<Verdict>> {
        let Via::Udp(port, _) = self.kind else { return Ok(None) };
        let _stage = Sandbox::new(players.isolation, &Cast::of_ports(&players.builds.ports))?;
        let socket = udp(port)?;
        socket.set_nonblocking(true)?;
        let early = rng.usize(..EARLY) == 0;
        let (answers, later) = if early { (0, rng.u64(..START)) } else { (rng.usize(1..=ANSWERS), rng.u64(..LATER)) };
        let mut server = self.start(stdout)?;
        if !early {
            wait(&mut server, "the server to start", |server| self.is_at_rest(server, false))?;
        }
        let (start, mut due, mut interrupted) = (Instant::now(), None, None);
        let (mut sent, mut answered) = (0, 0);
        loop {
            while sent < answered + self.kind.under_way() && !early && socket.send(message(sent).as_bytes()).is_ok() {
                sent += 1;
            }
            if let Err(error) = self.receive(&socket, &mut answered) {
                return Ok(Some(Verdict::new(Kind::Wrong, format!("{error:#}"))));
            }
            if server.end().is_some() || interrupted.unwrap_or(start).elapsed() > LIMIT {
                break;
            }
            if answered >= answers && due.is_none() {
                due = Some(Instant::now() + Duration::from_micros(later));
            }
            if interrupted.is_none() && due.is_some_and(|due| Instant::now() > due) {
                kill(Pid::from_raw(server.pid() as i32), Signal::SIGINT)?;
                interrupted = Some(Instant::now());
            }
            server.look()?;
        }
        if interrupted.is_none() {
            return Ok(Some(Verdict::new(Kind::Hangs, format!("it gave {answered} answers to {sent} messages"))));
        }
        Ok(self.judge(&mut server, answered, stdout))
    }

    /// Takes the answers that are there; an error if one is wrong.
    fn receive(&self, socket: &UdpSocket, answered: &mut usize) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match socket.recv(&mut buffer) {
                Ok(len) => {
                    ensure!(buffer[..len] == *(self.answer)(&message(*answered)).as_bytes(), "message {answered} is answered {:?}", String::from_utf8_lossy(&buffer[..len]));
                    *answered += 1;
                }
                // The server has not bound its port yet, or has ended.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot receive"),
            }
        }
    }

    /// What is wrong with a server that was interrupted after so many answers.
    fn judge(&self, server: &mut Actor, answers: usize, stdout: Stdout) -> Option<Verdict> {
        if wait(server, "its end", |server| server.end().is_some()).is_err() {
            return Some(Verdict::new(Kind::Hangs, format!("it does not end at ^C after {answers} answers")));
        }
        let end = server.end().map(end_name).unwrap_or_default();
        let printed = if stdout == Stdout::File { fs::read(format!("{}.stdout", self.program)).unwrap_or_default() } else { server.screen().to_owned() };
        judge_end(self.prints, &end, &String::from_utf8_lossy(&printed), answers)
    }
}

/// What is wrong with the end of a server, which has printed this and given so many answers. A count is
/// true if it has all answers, or all but one: ^C may come between an answer and its count, and
/// udpconnectserver does not count its first.
fn judge_end(prints: Option<fn(&str, usize) -> String>, end: &str, printed: &str, answers: usize) -> Option<Verdict> {
    let wrong = |why: String| Some(Verdict::new(Kind::Wrong, why));
    let Some(prints) = prints else {
        return if end == "SIGINT" { None } else { Some(Verdict::new(Kind::Crashes, format!("at ^C it ended with {end}"))) };
    };
    match end {
        "0" => {}
        // It had no handler yet.
        "SIGINT" if printed.is_empty() && answers == 0 => return None,
        _ => return Some(Verdict::new(Kind::Crashes, format!("at ^C it ended with {end} after {answers} answers"))),
    }
    let parts = printed.rsplit_once("\nreceived ").and_then(|(lines, count)| Some((lines, count.strip_suffix(" datagrams\n")?.parse::<usize>().ok()?)));
    let Some((lines, count)) = parts else { return wrong(format!("no count, but {:?}", printed.lines().last())) };
    if count > answers || count + 1 < answers {
        return wrong(format!("it counted {count}, and gave {answers} answers"));
    }
    let (mut rest, mut number) = (lines, 0);
    while !rest.is_empty() {
        let Some(more) = rest.strip_prefix(&prints(&message(number), number)) else { return wrong(format!("after message {number} it printed {:?}", rest.lines().next())) };
        (rest, number) = (more, number + 1);
    }
    // One prints a message before it answers, the other after.
    if number + 1 < answers || number > answers + 1 { wrong(format!("it printed {number} messages, and gave {answers} answers")) } else { None }
}

/// How many KiB a process has in memory, counted page by page, and how many descriptors.
pub fn size(pid: u32) -> Result<(u64, usize)> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let rss = text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB")?.parse().ok());
    Ok((rss.context("no Rss in smaps_rollup")?, fs::read_dir(format!("/proc/{pid}/fd"))?.count()))
}

fn udp(server: u16) -> Result<UdpSocket> {
    let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    if socket.local_addr()?.port() == server {
        // While that one is there, the next has another port.
        socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    }
    socket.connect((Ipv4Addr::LOCALHOST, server))?;
    Ok(socket)
}

/// Waits until `done`.
fn wait(server: &mut Actor, what: &str, done: impl Fn(&Actor) -> bool) -> Result<()> {
    let start = Instant::now();
    while !done(server) {
        ensure!(start.elapsed() < LIMIT, "time-out after {} s: waited for {what}", LIMIT.as_secs());
        std::thread::sleep(Duration::from_micros(100));
        server.look()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_server_that_counts_is_judged() {
        let lines = |count: usize| (0..count).map(|number| received(&message(number))).collect::<String>();
        let all = |count: usize| format!("{}\nreceived {count} datagrams\n", lines(3));
        for (end, printed, answers, kind) in [
            ("0", all(3), 3, None),
            ("0", all(2), 3, None),
            ("0", all(1), 3, Some(Kind::Wrong)),
            ("0", all(4), 3, Some(Kind::Wrong)),
            ("0", lines(3), 3, Some(Kind::Wrong)),
            ("0", format!("{}received 5 by\nreceived 3 datagrams\n", lines(3)), 3, Some(Kind::Wrong)),
            ("0", format!("{0}{0}\nreceived 3 datagrams\n", lines(3)), 3, Some(Kind::Wrong)),
            ("0", format!("{}\nreceived 3 datagrams\n", lines(1)), 3, Some(Kind::Wrong)),
            ("1", all(3), 3, Some(Kind::Crashes)),
            ("SIGINT", all(3), 3, Some(Kind::Crashes)),
            ("SIGINT", String::new(), 0, None),
        ] {
            let verdict = judge_end(LOADS[0].prints, end, &printed, answers);
            assert_eq!(verdict.map(|verdict| verdict.kind), kind, "{end}: {printed:?} after {answers}");
        }
    }
}
