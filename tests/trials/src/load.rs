//! Servers under load: many messages from many clients at once, each answer and each printed line
//! compared, the server's size before and after, and its end.
//!
//! A client has some messages under way, no more than the server's socket holds: none may be lost,
//! and none is sent again.

use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procfs::process::Process;

use crate::tally::Fate;
use lab::actor::{Actor, end_name};
use lab::play::{C_FOLDER, Stdout};
use lab::signals;

/// How long a server may take to start, to answer, to come to rest and to end.
pub const LIMIT: Duration = Duration::from_secs(5);

/// How long all messages may take.
const WHOLE_LIMIT: Duration = Duration::from_secs(600);

/// How many datagrams may be under way to one UDP socket: 277 small ones fill its 212,992 bytes.
pub const UNDER_WAY: usize = 128;

/// How many connections may be under way: that many its queue holds until it accepts them, and who
/// finds no place there tries again after 1, 3, 7 and more seconds.
const CONNECTIONS: usize = 5;

/// How many KiB a server may have more after the load than after its first messages.
pub const GROWTH: u64 = 16;

/// What stdio holds back of what is written to a pipe, in bytes, at most.
const HELD_BACK: usize = 4096;

/// How often to tell how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// A server and what it does with a message.
pub struct Load {
    pub program: &'static str,
    arguments: &'static [&'static str],
    line: Kind,
    /// It gets one message where udpserver gets so many.
    pub share: usize,
    /// Whether it serves one client only.
    pub alone: bool,
    /// The message with this text in it.
    message: fn(&str) -> String,
    answer: fn(&str) -> String,
    /// What it prints before the first message; it gets its process number.
    head: fn(u32) -> String,
    /// What it prints for a message, given its number and the client's port.
    print: fn(&str, usize, u16) -> String,
    /// How many messages its count on ^C leaves out; `None` if it does not count, and ^C kills it.
    pub uncounted: Option<usize>,
}

/// How its clients reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Udp(u16),
    /// Bound to paths that are short and long in turn.
    Dgram,
    Stream,
    /// A connection for each message.
    Http(u16),
}

/// Where the local servers listen.
const PATH: &str = "server.sock";

fn plain(text: &str) -> String {
    text.to_owned()
}

fn hi(message: &str) -> String {
    format!("Hi, {message}")
}

fn nothing(_: u32) -> String {
    String::new()
}

const HTTP: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";

pub const LOADS: [Load; 6] = [
    Load {
        program: "udpserver",
        arguments: &[],
        line: Kind::Udp(43211),
        share: 1,
        alone: false,
        message: plain,
        answer: hi,
        head: nothing,
        print: |message, _, _| format!("received {} bytes: {message}\n", message.len()),
        uncounted: Some(0),
    },
    Load {
        program: "udp20_server",
        arguments: &[],
        line: Kind::Udp(9501),
        share: 1,
        alone: false,
        message: plain,
        answer: |_| "hello".to_owned(),
        head: |pid| format!("udp server start,pid={pid}\r\nbind returnValue=0\r\nerrno=0,Success\r\n"),
        print: |message, _, port| format!("receive bytes={},msg={message},ip=127.0.0.1,port={port}\r\nsend bytes=5\r\n", message.len()),
        uncounted: None,
    },
    Load {
        program: "udpconnectserver",
        arguments: &[],
        line: Kind::Udp(43211),
        share: 10,
        alone: true,
        message: plain,
        answer: hi,
        head: nothing,
        print: |message, number, _| {
            let first = if number == 0 { format!("received {} bytes: {message}\n", message.len()) } else { String::new() };
            format!("{first}send bytes: {} \n", message.len() + 4)
        },
        uncounted: Some(1),
    },
    Load {
        program: "unixstreamserver",
        arguments: &[PATH],
        line: Kind::Stream,
        share: 10,
        alone: true,
        // The server prints no newline of its own.
        message: |text| format!("{text}\n"),
        answer: |message| format!("{:\0<4096}", hi(message)),
        head: nothing,
        print: |message, _, _| format!("Receive: {message}"),
        uncounted: None,
    },
    Load {
        program: "unixdataserver",
        arguments: &[PATH],
        line: Kind::Dgram,
        share: 5,
        alone: false,
        message: plain,
        answer: hi,
        head: nothing,
        print: |message, _, _| format!("Receive: {message} \nnow sending: Hi, {message} \n"),
        uncounted: None,
    },
    Load {
        program: "tcp30_server",
        arguments: &[],
        line: Kind::Http(9501),
        share: 100,
        alone: false,
        message: |text| format!("GET /{text} HTTP/1.1\r\n\r\n"),
        answer: |_| HTTP.to_owned(),
        head: |pid| format!("tcp server start,pid={pid}\r\nbind returnValue=0listen returnValue=0\r\nclient linked,connfd=4\r\n"),
        // The last line says that it has accepted the next client.
        print: |message, _, _| format!("receive bytes={},msg={message}\r\nsend bytes={}\r\nclient linked,connfd=4\r\n", message.len(), HTTP.len()),
        uncounted: None,
    },
];

impl Load {
    /// The message of a client with this number, with so many dots behind it: none is like another.
    pub fn message(&self, client: usize, number: usize, dots: usize) -> String {
        (self.message)(&format!("<{client}.{number}>{:.<dots$}", ""))
    }

    /// One of a load: now longer, now shorter than the one before.
    fn next(&self, client: usize, number: usize) -> String {
        self.message(client, number, number % 61)
    }

    pub fn answer(&self, message: &str) -> String {
        (self.answer)(message)
    }

    /// What it prints for a message of a client with this port.
    pub fn print(&self, message: &str, number: usize, port: u16) -> String {
        (self.print)(message, number, port)
    }

    /// Where its clients send datagrams to, if it is a UDP server.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.line {
            Kind::Udp(port) => Some((Ipv4Addr::LOCALHOST, port).into()),
            _ => None,
        }
    }

    /// Starts it, the port or the C program in the working folder.
    pub fn start(&self, c: bool, stdout: Stdout) -> Result<Actor> {
        // As most shells have it: a server that closes nothing comes to its end.
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(1024), hard)?;
        let folder = if c { format!("./{C_FOLDER}") } else { ".".to_owned() };
        let mut command = Command::new(format!("{folder}/{}", self.program));
        command.args(self.arguments).env_clear();
        Actor::start(self.program, command, None, stdout, &[])
    }

    /// Sends `messages` from `clients` at once, and ^C at the end; tells what became of them.
    ///
    /// # Errors
    ///
    /// If the server cannot be started, or something else than the server fails.
    pub fn carry(&self, c: bool, clients: usize, messages: usize, progress: &mut dyn FnMut(usize)) -> Result<Carried> {
        let clients = if self.alone { 1 } else { clients };
        let shares = |messages: usize| (0..clients).map(|client| messages / clients + usize::from(client < messages % clients)).collect::<Vec<_>>();
        let (warm_up, whole) = (shares(first(messages)), shares(messages));

        let mut session = Session::start(self, c, clients)?;
        let mut carried = Carried { messages, ..Carried::default() };
        session.carry(warm_up.iter().map(|to| 0..*to), &mut carried, progress)?;
        if carried.right + carried.wrong == first(messages) {
            session.wait("the server to wait for the next message", Session::is_at_rest)?;
            carried.before = Size::of(&session.server)?;
            let before = busy(&session.server)?;
            carried.time = session.carry(warm_up.iter().zip(&whole).map(|(from, to)| *from..*to), &mut carried, progress)?;
            if carried.right + carried.wrong == messages {
                session.wait("the server to wait for the next message", Session::is_at_rest)?;
                carried.busy = busy(&session.server)?.saturating_sub(before);
                carried.after = Size::of(&session.server)?;
                session.end(&whole, &mut carried)?;
                return Ok(carried);
            }
        }
        carried.lost = messages - carried.right - carried.wrong;
        let (fate, what) = session.fate();
        carried.fate = Some(fate);
        carried.complaints.insert(0, format!("{} messages were not answered: {what}", carried.lost));
        Ok(carried)
    }
}

/// A server, its clients and its output.
struct Session<'a> {
    load: &'a Load,
    server: Actor,
    clients: Vec<Client>,
    out: Output<'a>,
    /// How many messages are done with.
    done: AtomicUsize,
}

impl Session<'_> {
    fn start(load: &Load, c: bool, clients: usize) -> Result<Session<'_>> {
        let mut server = load.start(c, Stdout::Pipe)?;
        let out = Output { pipe: server.take_stdout().context("the server has no pipe")?, printed: Printed::new(load, server.pid(), clients), rest: Vec::new() };
        let mut session = Session { load, server, clients: Vec::new(), out, done: AtomicUsize::new(0) };
        session.wait("the server to wait for a client", Session::is_at_rest)?;
        let places = Arc::new(Places(Mutex::new(CONNECTIONS), Condvar::new()));
        session.clients = (0..clients).map(|number| Client::new(load, number, clients, &places)).collect::<Result<_>>()?;
        session.out.printed.ports = session.clients.iter().map(|client| client.port).collect();
        Ok(session)
    }

    /// Whether the server waits for a client or a message.
    fn is_at_rest(&self) -> bool {
        let call = match self.load.line {
            Kind::Udp(_) | Kind::Dgram => "recvfrom",
            Kind::Stream if !self.clients.is_empty() => "read",
            Kind::Stream | Kind::Http(_) => "accept",
        };
        self.server.pulses().iter().any(|pulse| pulse.is_in(call))
    }

    /// Lets each client carry its messages of these numbers; how long that takes until the last of
    /// them is done.
    fn carry(&mut self, numbers: impl Iterator<Item = Range<usize>>, carried: &mut Carried, progress: &mut dyn FnMut(usize)) -> Result<Duration> {
        let start = Instant::now();
        let (load, done) = (self.load, &self.done);
        thread::scope(|scope| {
            let threads: Vec<_> = self.clients.iter_mut().zip(numbers).map(|(client, numbers)| scope.spawn(move || client.carry(load, numbers, done))).collect();
            let (mut end, mut told) = (start, start);
            while !threads.iter().all(ScopedJoinHandle::is_finished) {
                self.out.take()?;
                self.server.look()?;
                if told.elapsed() > PROGRESS {
                    told = Instant::now();
                    progress(done.load(Ordering::Relaxed));
                }
            }
            for thread in threads {
                let Ok(report) = thread.join() else { bail!("a client panicked") };
                carried.right += report.right;
                carried.wrong += report.wrong;
                carried.complaints.extend(report.complaint);
                end = end.max(report.end);
            }
            signals::check()?;
            Ok(end - start)
        })
    }

    /// Interrupts the server, to which so many messages were sent, and says what is not as it should.
    fn end(&mut self, sent: &[usize], carried: &mut Carried) -> Result<()> {
        if !carried.after.is_about(carried.before) {
            carried.complaints.push(format!("it grew from {} to {}", carried.before, carried.after));
        }
        self.server.interrupt()?;
        self.wait("the server's end", |session| session.server.end().is_some())?;
        let end = self.server.end().context("it has ended")?;
        self.out.drain()?;
        let (expected, tail, held_back) = match self.load.uncounted {
            Some(uncounted) => ("0", format!("\nreceived {} datagrams\n", carried.messages - uncounted), 0),
            None => ("SIGINT", String::new(), HELD_BACK),
        };
        if end_name(end) != expected {
            carried.complaints.push(format!("at ^C it ended with {}", end_name(end)));
        }
        carried.complaints.extend(self.out.printed.judge(sent, &tail, held_back));
        let screen = String::from_utf8_lossy(self.server.screen());
        if !screen.trim().is_empty() {
            carried.complaints.push(format!("on its terminal: {screen:?}"));
        }
        Ok(())
    }

    /// What a server is at that has not answered.
    fn fate(&mut self) -> (Fate, String) {
        let before = self.out.printed.bytes;
        let came = self.wait("the server to rest", |session| session.server.end().is_some() || session.is_at_rest());
        match (self.server.end(), came) {
            (Some(end), _) if end.signal().is_some() => (Fate::Crashes, format!("it has ended with {}", end_name(end))),
            (Some(end), _) => (Fate::Wrong, format!("it has ended with {}: {}", end_name(end), String::from_utf8_lossy(self.server.screen()).trim())),
            (None, Ok(())) => (Fate::Wrong, "it waits for the next one".to_owned()),
            (None, Err(_)) if self.server.is_at_rest() && self.out.printed.bytes == before => (Fate::Hangs, "it hangs".to_owned()),
            (None, Err(_)) => (Fate::Loops, "it runs on, and does not come to rest".to_owned()),
        }
    }

    /// Waits until `done`, and takes in meanwhile what the server prints.
    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<()> {
        let start = Instant::now();
        while !done(self) {
            ensure!(start.elapsed() < LIMIT, "time-out after {} s: waited for {what}", LIMIT.as_secs());
            self.server.look()?;
            self.out.take()?;
        }
        Ok(())
    }
}

/// How many of the messages show how large the server is that serves them.
fn first(messages: usize) -> usize {
    (messages / 10).clamp(100, 10_000).min(messages / 2)
}

/// What became of a load.
#[derive(Debug, Default)]
pub struct Carried {
    pub messages: usize,
    /// Answered to the byte, from where the answer should come.
    pub right: usize,
    pub wrong: usize,
    /// Not answered within the limit, or not sent after one that was not.
    pub lost: usize,
    /// For all messages but the first ones.
    pub time: Duration,
    /// How much of that time the server had a processor.
    pub busy: Duration,
    /// After the first messages.
    pub before: Size,
    pub after: Size,
    /// What the server was at when messages were lost.
    pub fate: Option<Fate>,
    pub complaints: Vec<String>,
}

impl Carried {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        (self.messages - first(self.messages)) as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

/// How large a process is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// VmRSS, but counted page by page: /proc/PID/status adds up what each processor last told.
    pub kib: u64,
    pub descriptors: usize,
}

impl Size {
    fn of(server: &Actor) -> Result<Size> {
        let process = Process::new(server.pid() as i32).context("the server has ended")?;
        let maps = process.smaps_rollup()?.memory_map_rollup;
        let bytes: u64 = maps.iter().filter_map(|map| map.extension.map.get("Rss")).sum();
        Ok(Size { kib: bytes / 1024, descriptors: process.fd_count()? })
    }

    fn is_about(self, before: Size) -> bool {
        self.kib <= before.kib + GROWTH && self.descriptors == before.descriptors
    }
}

/// How long it has had a processor.
fn busy(server: &Actor) -> Result<Duration> {
    let process = Process::new(server.pid() as i32).context("the server has ended")?;
    Ok(Duration::from_nanos(process.schedstat()?.sum_exec_runtime))
}

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} KiB and {} descriptors", self.kib, self.descriptors)
    }
}

/// One of those that send.
struct Client {
    number: usize,
    /// 0 if it is not UDP.
    port: u16,
    line: Line,
    /// How many messages it may have under way.
    window: usize,
}

enum Line {
    Udp(UdpSocket, SocketAddr),
    Dgram(UnixDatagram),
    Stream(UnixStream),
    Http(SocketAddr, Arc<Places>, Option<(Place, TcpStream)>),
}

/// The connections that may still be made.
struct Places(Mutex<usize>, Condvar);

/// One of them; dropping it gives it back.
struct Place(Arc<Places>);

impl Place {
    /// Waits for one: whoever has one gives it back within the limits for its connection.
    fn take(places: &Arc<Places>) -> Place {
        let free = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        *places.1.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
        Place(places.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.1.notify_one();
    }
}

/// How one client fared.
struct Report {
    right: usize,
    wrong: usize,
    /// What was first not as it should.
    complaint: Option<String>,
    end: Instant,
}

impl Client {
    fn new(load: &Load, number: usize, clients: usize, places: &Arc<Places>) -> Result<Client> {
        let (line, window) = match load.line {
            Kind::Udp(port) => {
                let socket = udp_client(port)?;
                socket.set_read_timeout(Some(LIMIT))?;
                (Line::Udp(socket, (Ipv4Addr::LOCALHOST, port).into()), (UNDER_WAY / clients).max(1))
            }
            Kind::Dgram => {
                let long = if number.is_multiple_of(2) { "" } else { "-with-a-name-that-is-longer" };
                let socket = UnixDatagram::bind(format!("client{number}{long}.sock"))?;
                socket.connect(PATH)?;
                socket.set_read_timeout(Some(LIMIT))?;
                socket.set_write_timeout(Some(LIMIT))?;
                // The socket's queue holds ten for all of them: who finds no room waits for it.
                (Line::Dgram(socket), 1)
            }
            Kind::Stream => {
                let socket = UnixStream::connect(PATH)?;
                socket.set_read_timeout(Some(LIMIT))?;
                socket.set_write_timeout(Some(LIMIT))?;
                (Line::Stream(socket), 1)
            }
            Kind::Http(port) => (Line::Http((Ipv4Addr::LOCALHOST, port).into(), places.clone(), None), 1),
        };
        let port = if let Line::Udp(socket, _) = &line { socket.local_addr()?.port() } else { 0 };
        Ok(Client { number, port, line, window })
    }

    /// Sends its messages of these numbers and compares the answers.
    fn carry(&mut self, load: &Load, numbers: Range<usize>, done: &AtomicUsize) -> Report {
        let mut report = Report { right: 0, wrong: 0, complaint: None, end: Instant::now() };
        let deadline = Instant::now() + WHOLE_LIMIT;
        let mut buffer = vec![0; 1 << 16];
        let mut under_way = VecDeque::new();
        let mut unsent = numbers;
        while signals::noted().is_none() {
            while under_way.len() < self.window
                && let Some(number) = unsent.next()
            {
                let message = load.next(self.number, number);
                let answer = load.answer(&message);
                if let Err(error) = self.line.send(message.as_bytes()) {
                    report.complain(self.number, number, &format!("cannot be sent: {error}"));
                    return report;
                }
                under_way.push_back((number, answer));
            }
            let Some((number, answer)) = under_way.pop_front() else { break };
            match self.line.receive(&mut buffer, answer.as_bytes()) {
                _ if Instant::now() > deadline => {
                    report.complain(self.number, number, &format!("is the last within {} s", WHOLE_LIMIT.as_secs()));
                    return report;
                }
                Ok(received) if received == answer.as_bytes() => report.right += 1,
                Ok(received) => {
                    // An answer to a later one: those before it, of which this was one, are lost.
                    if let Some(later) = under_way.iter().position(|(_, answer)| answer.as_bytes() == received) {
                        under_way.drain(..=later);
                        report.right += 1;
                        report.complain(self.number, number, "is lost");
                    } else {
                        report.wrong += 1;
                        report.complain(self.number, number, &format!("is answered {:?}", String::from_utf8_lossy(&received[..received.len().min(100)])));
                    }
                }
                Err(error) => {
                    report.complain(self.number, number, &format!("is lost: {error:#}"));
                    return report;
                }
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
        report.end = Instant::now();
        report
    }
}

impl Report {
    fn complain(&mut self, client: usize, number: usize, what: &str) {
        self.complaint.get_or_insert_with(|| format!("client {client}: its message {number} {what}"));
    }
}

impl Line {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Line::Udp(socket, server) => uninterrupted(|| socket.send_to(message, *server)).map(drop),
            Line::Dgram(socket) => uninterrupted(|| socket.send(message)).map(drop),
            Line::Stream(socket) => socket.write_all(message),
            Line::Http(server, places, connection) => {
                let place = Place::take(places);
                let mut socket = TcpStream::connect_timeout(server, LIMIT)?;
                socket.set_read_timeout(Some(LIMIT))?;
                socket.write_all(message)?;
                *connection = Some((place, socket));
                Ok(())
            }
        }
    }

    /// What comes next; of a stream as much as is expected, and all to the end if that is right.
    fn receive<'a>(&mut self, buffer: &'a mut [u8], expected: &[u8]) -> Result<&'a [u8]> {
        let n = match self {
            Line::Udp(socket, server) => {
                let (n, from) = uninterrupted(|| socket.recv_from(buffer)).map_err(no_answer)?;
                ensure!(from == *server, "an answer from {from}");
                n
            }
            Line::Dgram(socket) => {
                let (n, from) = uninterrupted(|| socket.recv_from(buffer)).map_err(no_answer)?;
                ensure!(from.as_pathname() == Some(Path::new(PATH)), "an answer from {from:?}");
                n
            }
            Line::Stream(socket) => read(socket, &mut buffer[..expected.len()])?,
            Line::Http(_, _, connection) => {
                let (_place, mut socket) = connection.take().context("no connection")?;
                let n = read(&mut socket, &mut buffer[..expected.len()])?;
                // A client that has what it knows to be all does not wait for more, but then more is wrong.
                if buffer[..n] == *expected { n + read(&mut socket, &mut buffer[n..])? } else { n }
            }
        };
        Ok(&buffer[..n])
    }
}

/// A socket at a port that is not the server's, though that may be free yet.
pub fn udp_client(server: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    if socket.local_addr()?.port() != server {
        return Ok(socket);
    }
    // While that one is there the next has another.
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?)
}

/// Reads until the buffer is full or the other side has closed.
fn read(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match uninterrupted(|| from.read(&mut buffer[len..])).map_err(no_answer)? {
            0 => break,
            n => len += n,
        }
    }
    Ok(len)
}

/// Makes the call again if something has woken it: with a time limit the kernel does not do that.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn no_answer(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => anyhow::anyhow!("no answer within the limit"),
        _ => error.into(),
    }
}

/// The pipe from a server, and what has come through it.
struct Output<'a> {
    pipe: ChildStdout,
    printed: Printed<'a>,
    /// A line of which more is to come.
    rest: Vec<u8>,
}

impl Output<'_> {
    /// Waits for more, a moment at the most, and takes it; whether there may be more.
    fn take(&mut self) -> Result<bool> {
        poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::from(1u8))?;
        let mut buffer = [0; 1 << 16];
        match self.pipe.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) => self.rest.extend(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot read from the pipe"),
        }
        let mut from = 0;
        while let Some(len) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            self.printed.line(&String::from_utf8_lossy(&self.rest[from..from + len]));
            from += len + 1;
        }
        self.printed.bytes += from;
        self.rest.drain(..from);
        Ok(true)
    }

    /// Takes everything until its end.
    fn drain(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.take()? {
            ensure!(start.elapsed() < LIMIT, "the pipe is open after the server's end");
        }
        self.printed.bytes += self.rest.len();
        Ok(())
    }
}

/// What a server prints, line by line: for each message its lines, once, each client's in order.
struct Printed<'a> {
    load: &'a Load,
    head: String,
    ports: Vec<u16>,
    /// The number of the next message of each client.
    next: Vec<usize>,
    /// The lines still to come for the last message.
    due: VecDeque<String>,
    /// From an empty line on.
    tail: String,
    bytes: usize,
    complaint: Option<String>,
}

impl Printed<'_> {
    fn new(load: &Load, pid: u32, clients: usize) -> Printed<'_> {
        let head = (load.head)(pid);
        let due = lines(&head);
        Printed { load, head, ports: vec![0; clients], next: vec![0; clients], due, tail: String::new(), bytes: 0, complaint: None }
    }

    fn line(&mut self, line: &str) {
        if self.complaint.is_some() {
            return;
        }
        if self.due.is_empty() {
            if line.is_empty() || !self.tail.is_empty() {
                self.tail += line;
                self.tail.push('\n');
                return;
            }
            let Some(client) = client(line).filter(|client| *client < self.next.len()).or((self.next.len() == 1).then_some(0)) else {
                self.complaint = Some(format!("it printed {line:?}, which is of no client"));
                return;
            };
            self.due = lines(&self.of_message(client, self.next[client]));
            self.next[client] += 1;
        }
        match self.due.pop_front() {
            Some(due) if due != line => self.complaint = Some(format!("it printed {line:?}, not {due:?}")),
            _ => {}
        }
    }

    fn of_message(&self, client: usize, number: usize) -> String {
        self.load.print(&self.load.next(client, number), number, self.ports[client])
    }

    /// What is wrong with all it has printed, if this is how many messages the clients have sent,
    /// what it is to print at the end, and how many bytes it may have kept for itself.
    fn judge(&self, sent: &[usize], tail: &str, held_back: usize) -> Option<String> {
        if self.complaint.is_some() {
            return self.complaint.clone();
        }
        if self.tail != tail {
            return Some(format!("at its end it printed {:?}, not {tail:?}", self.tail));
        }
        let expected = self.head.len()
            + tail.len()
            + sent.iter().enumerate().flat_map(|(client, sent)| (0..*sent).map(move |number| (client, number))).map(|(client, number)| self.of_message(client, number).len()).sum::<usize>();
        let missing = expected.checked_sub(self.bytes);
        missing.is_none_or(|missing| missing > held_back).then(|| format!("it printed {} bytes, not {expected}", self.bytes))
    }
}

/// Its lines without their newlines.
fn lines(text: &str) -> VecDeque<String> {
    text.split_terminator('\n').map(str::to_owned).collect()
}

/// The client that the message in this line is of: `<CLIENT.NUMBER>`.
pub fn client(line: &str) -> Option<usize> {
    line.split_once('<')?.1.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDPSERVER: &Load = &LOADS[0];
    const UNIXSTREAMSERVER: &Load = &LOADS[3];

    /// What udpserver prints of a message.
    fn line(client: usize, number: usize) -> String {
        let message = UDPSERVER.next(client, number);
        UDPSERVER.print(&message, number, 0)
    }

    /// What is wrong with this text of a udpserver to which two clients have sent two messages each.
    fn judged(text: &str, held_back: usize) -> Option<String> {
        let mut printed = Printed::new(UDPSERVER, 1, 2);
        lines(text).iter().for_each(|line| printed.line(line));
        printed.bytes = text.len();
        printed.judge(&[2, 2], "\nreceived 4 datagrams\n", held_back)
    }

    #[test]
    fn each_message_must_be_printed_once_and_each_clients_in_order() {
        let tail = "\nreceived 4 datagrams\n";
        let (a, b, c, d) = (line(0, 0), line(0, 1), line(1, 0), line(1, 1));
        for right in [format!("{a}{b}{c}{d}{tail}"), format!("{c}{a}{d}{b}{tail}")] {
            assert_eq!(judged(&right, 0), None);
        }
        for (what, wrong, complaint) in [
            ("doubled", format!("{a}{a}{b}{c}{d}{tail}"), "it printed "),
            ("missing", format!("{a}{b}{c}{tail}"), "bytes, not "),
            ("one too many", format!("{a}{b}{c}{d}{}{tail}", line(1, 2)), "bytes, not "),
            ("another order", format!("{b}{a}{c}{d}{tail}"), "it printed "),
            ("no client's", format!("{a}{b}hello\n{c}{d}{tail}"), "which is of no client"),
            ("an unknown client's", format!("{a}{b}{}{c}{d}{tail}", line(2, 0)), "which is of no client"),
            ("another count", format!("{a}{b}{c}{d}\nreceived 3 datagrams\n"), "at its end it printed"),
            ("no count", format!("{a}{b}{c}{d}"), "at its end it printed"),
            ("more behind the count", format!("{a}{b}{c}{d}{tail}{a}"), "at its end it printed"),
        ] {
            let said = judged(&wrong, 0);
            assert!(said.as_ref().is_some_and(|said| said.contains(complaint)), "{what}: {said:?}");
        }
    }

    #[test]
    fn no_more_may_be_held_back_than_stdio_does() {
        let text = format!("{}{}{}\nreceived 4 datagrams\n", line(0, 0), line(0, 1), line(1, 0));
        assert_eq!(judged(&text, line(1, 1).len()), None);
        assert!(judged(&text, line(1, 1).len() - 1).is_some());
    }

    #[test]
    fn a_server_may_not_grow() {
        let before = Size { kib: 1000, descriptors: 4 };
        for (kib, descriptors, is_about) in [(1000, 4, true), (900, 4, true), (1016, 4, true), (1017, 4, false), (1 << 20, 4, false), (1000, 5, false), (1000, 3, false)] {
            assert_eq!(Size { kib, descriptors }.is_about(before), is_about, "{kib} KiB and {descriptors} descriptors");
        }
    }

    #[test]
    fn an_answer_is_right_to_the_byte() {
        let answer = |number: usize| UNIXSTREAMSERVER.answer(&UNIXSTREAMSERVER.next(0, number));
        for (second, right) in [(answer(1), 2), (answer(1).replace('>', "<"), 1), (answer(2), 1), (answer(1).replace('\0', "."), 1)] {
            let (socket, mut server) = UnixStream::pair().unwrap();
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            server.write_all(format!("{}{second}", answer(0)).as_bytes()).unwrap();
            let mut client = Client { number: 0, port: 0, line: Line::Stream(socket), window: 1 };
            let report = client.carry(UNIXSTREAMSERVER, 0..2, &AtomicUsize::new(0));
            assert_eq!((report.right, report.wrong, report.complaint.is_some()), (right, 2 - right, right < 2), "{second:?}");
        }
    }

    #[test]
    fn an_answer_comes_from_the_server() {
        let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (server, other, client) = (socket(), socket(), socket());
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let address = client.local_addr().unwrap();
        let mut line = Line::Udp(client, server.local_addr().unwrap());
        let mut buffer = [0; 10];
        server.send_to(b"hello", address).unwrap();
        assert_eq!(line.receive(&mut buffer, b"hello").unwrap(), b"hello");
        other.send_to(b"hello", address).unwrap();
        assert_eq!(line.receive(&mut buffer, b"hello").unwrap_err().to_string(), format!("an answer from {}", other.local_addr().unwrap()));
    }

    #[test]
    fn a_local_answer_comes_from_the_servers_path() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("client"), folder.path().join("other"));
        let client = UnixDatagram::bind(&here).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        UnixDatagram::bind(there).unwrap().send_to(b"hello", here).unwrap();
        let error = Line::Dgram(client).receive(&mut [0; 10], b"hello").unwrap_err().to_string();
        assert!(error.starts_with("an answer from "), "{error}");
    }
}
