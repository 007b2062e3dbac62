//! The programs: each pair as port, as C, and some with std and with tokio. A run starts a server, waits until
//! it waits, starts its client with lines on its standard input, and waits for the client's end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Figures, LIMIT, Size, What, resident};
use lab::actor::end_name;
use lab::cast::{C_FOLDER, Cast};
use lab::memory::Tool;
use lab::sandbox::{Isolation, Sandbox};
use lab::{proc, signals, strace, time_wait};

pub const PORT: &str = "port";
pub const C: &str = "C";
pub const WHO: [&str; 4] = [PORT, C, "std", "tokio"];

pub const TIME: &str = "time per exchange, µs";
pub const CPU: &str = "CPU per exchange, µs";
const SIZE: [&str; 2] = ["server: size, KiB", "client: size, KiB"];
const MEMORY: [&str; 2] = ["server: memory, KiB", "client: memory, KiB"];
const FIRST: [&str; 2] = ["server: exec to socket, µs", "client: exec to socket, µs"];
const CALLS: [&str; 2] = ["server: calls per exchange", "client: calls per exchange"];
const START_CALLS: [&str; 2] = ["server: other calls", "client: other calls"];
const INSTRUCTIONS: [&str; 2] = ["server: instructions per exchange", "client: instructions per exchange"];
pub const QUANTITIES: [[&str; 2]; 7] = [[TIME, CPU], CALLS, START_CALLS, INSTRUCTIONS, FIRST, MEMORY, SIZE];

/// A server and its client, as command lines; empty if there is none.
pub struct Pair {
    server: &'static str,
    /// Without one we send requests.
    client: &'static str,
    /// How many exchanges a run has at most.
    most: usize,
    /// The name that the examples std_NAME and tokio_NAME have after the underscore; `None`: there are none.
    example: Option<&'static str>,
}

/// The client sends each line that it reads.
const LINES: usize = usize::MAX;

const fn pair(server: &'static str, client: &'static str, most: usize, example: Option<&'static str>) -> Pair {
    Pair { server, client, most, example }
}

pub const PAIRS: [Pair; 14] = [
    pair("udpserver", "udpclient 127.0.0.1", LINES, Some("udp")),
    pair("udpconnectserver", "udpconnectclient02 127.0.0.1", LINES, Some("udpconnect")),
    pair("udpconnectserver", "udpconnectclient 127.0.0.1", LINES, None),
    pair("unixstreamserver s.sock", "unixstreamclient s.sock", LINES, Some("unixstream")),
    pair("unixdataserver s.sock", "unixdataclient s.sock", LINES, Some("unixdata")),
    pair("upperserver", "upperclient", LINES, Some("upper")),
    // The C server keeps each connection's descriptor, and may have 1,024.
    pair("tcp30_server", "", 500, Some("http")),
    pair("tcp20_server", "", 1, None),
    pair("udp20_server", "udp10_client", 1, None),
    pair("udp10_server", "udp10_client", 1, None),
    pair("tcp10_server", "tcp10_client", 1, None),
    pair("unix20_tcp_server", "unix20_tcp_client", 1, None),
    pair("unix30_udp_server", "unix30_udp_client", 1, None),
    pair("", "unix10", 1, None),
];

pub fn what(pair: &str, quantity: &'static str, who: &'static str) -> What {
    What { part: "programs", of: pair.to_owned(), quantity, at: 0, who }
}

impl Pair {
    /// The names of its programs.
    pub fn names(&self) -> Vec<&'static str> {
        [self.server, self.client].iter().filter_map(|command| command.split(' ').next()).filter(|name| !name.is_empty()).collect()
    }

    /// The names of its examples.
    pub fn examples(&self) -> Vec<String> {
        self.example.iter().flat_map(|example| ["std", "tokio"].map(|way| format!("{way}_{example}"))).collect()
    }

    pub fn label(&self) -> String {
        self.names().join(", ")
    }

    /// The command lines of server and client, those that there are.
    fn commands(&self, who: &'static str) -> [Option<Vec<String>>; 2] {
        [(self.server, "server"), (self.client, "client")].map(|(command, role)| {
            let mut words = command.split(' ').map(str::to_owned).collect::<Vec<_>>();
            match who {
                PORT => words[0] = format!("./{}", words[0]),
                C => words[0] = format!("./{C_FOLDER}/{}", words[0]),
                _ => drop(words.splice(..1, [format!("./{who}_{}", self.example?), role.to_owned()])),
            }
            (!command.is_empty()).then_some(words)
        })
    }

    /// As which of port, C, std and tokio it is there.
    fn who(&self, cast: &Cast) -> Vec<&'static str> {
        let is_there = |who: &&'static str| match *who {
            PORT => true,
            C => self.names().iter().all(|name| cast.c.contains_key(*name)),
            _ => self.example.is_some_and(|example| cast.ports.contains_key(&format!("{who}_{example}"))),
        };
        WHO.into_iter().filter(is_there).collect()
    }

    /// Measures it; an error if a program cannot be started, fails, or does not do what it should in time.
    pub fn measure(&self, figures: &mut Figures, size: Size, cast: &Cast, isolation: Isolation) -> Result<()> {
        let _sandbox = Sandbox::new(isolation, cast)?;
        let who = self.who(cast);
        let can_trace = strace::available().is_ok();
        let mut add = |quantity, who, value: f64| figures.add(what(&self.label(), quantity, who), value);
        let run = |who, under, exchanges| run(self, who, under, exchanges).with_context(|| format!("{} ({who})", self.label()));
        for _ in size.rounds() {
            for who in &who {
                let exchanges = size.exchanges.min(self.most);
                // So many runs of programs that make one exchange are as one.
                let starts = if exchanges == 1 { 5 } else { 1 };
                let runs = (0..starts).map(|_| run(who, Under::Nothing, exchanges)).collect::<Result<Vec<_>>>()?;
                add(TIME, who, runs.iter().map(|run| run.wall.as_secs_f64() * 1e6).sum::<f64>() / (exchanges * starts) as f64);
                add(CPU, who, runs.iter().map(|run| run.cpu).sum::<f64>() / (exchanges * starts) as f64);
                if can_trace {
                    let logged = run(who, Under::First, 1)?.logged;
                    FIRST.iter().zip(logged).for_each(|(quantity, value)| value.into_iter().for_each(|value| add(quantity, who, value)));
                }
            }
        }
        for who in &who {
            let most = size.watched.min(self.most);
            // The first exchange finds functions and gets memory that the next ones have.
            let mut per_exchange = |under, quantities: [&'static str; 2], rest: Option<[&'static str; 2]>| -> Result<()> {
                let many = run(who, under, most)?;
                let few = if most == 1 { Run::default() } else { run(who, under, 2)? };
                for at in 0..2 {
                    let Some(all) = many.logged[at] else { continue };
                    let each = if most == 1 { all } else { (all - few.logged[at].unwrap_or_default()) / (most - 2) as f64 };
                    add(quantities[at], who, each);
                    rest.iter().filter(|_| most > 1).for_each(|rest| add(rest[at], who, all - most as f64 * each));
                }
                Ok(())
            };
            if can_trace {
                per_exchange(Under::Calls, CALLS, Some(START_CALLS))?;
            }
            if size.instructions && Tool::Memcheck.available().is_ok() {
                per_exchange(Under::Callgrind, INSTRUCTIONS, None)?;
            }
            // Pages of a file come in groups, by chance.
            for _ in 0..if can_trace { size.rounds / 3 } else { 0 } {
                let memory = run(who, Under::Calls, most)?.memory;
                MEMORY.iter().zip(memory).for_each(|(quantity, value)| value.into_iter().for_each(|value| add(quantity, who, value)));
            }
            for (quantity, words) in SIZE.iter().zip(self.commands(who)) {
                let Some(words) = words else { continue };
                if Command::new("strip").args(["-o", "stripped", &words[0]]).status().is_ok_and(|status| status.success()) {
                    add(quantity, who, fs::metadata("stripped")?.len() as f64 / 1024.);
                }
            }
        }
        Ok(())
    }
}

/// A program that was started; it is killed when this goes.
pub struct Running {
    name: String,
    pid: i32,
    /// What the program itself is called, if it is the child of a strace.
    traced: Option<String>,
    is_there: bool,
}

impl Running {
    pub fn start(words: &[String], stdin: Stdio) -> Result<Running> {
        signals::check()?;
        let mut command = Command::new(&words[0]);
        // callgrind counts each byte of the `rep stosb` with which memset may clear a buffer.
        command.args(&words[1..]).env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_stosb_threshold=10000000");
        let child = command.stdin(stdin).stdout(Stdio::null()).spawn().with_context(|| format!("cannot start {}", words[0]))?;
        let program = words.iter().find_map(|word| word.rsplit_once('/')).map(|(_, name)| name.chars().take(15).collect());
        Ok(Running { name: words.join(" "), pid: child.id() as i32, traced: program.filter(|_| words[0] == "strace"), is_there: true })
    }

    /// Takes its end; the CPU time it has had, in µs.
    fn reap(&mut self) -> Result<f64> {
        // SAFETY: a zeroed rusage is one, and is written by the call alone.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let mut status = 0;
        Errno::result(unsafe { libc::wait4(self.pid, &mut status, 0, &mut usage) })?;
        self.is_there = false;
        // The last is that of unix10, in which either process may be the first.
        let is_ended = libc::WIFSIGNALED(status) && [libc::SIGTERM, libc::SIGKILL, libc::SIGPIPE].contains(&libc::WTERMSIG(status));
        ensure!(status == 0 || is_ended, "{} ended with {}", self.name, end_name(ExitStatus::from_raw(status)));
        Ok([usage.ru_utime, usage.ru_stime].iter().map(|time| time.tv_sec as f64 * 1e6 + time.tv_usec as f64).sum())
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<f64> {
        // SAFETY: the call makes a descriptor of ours.
        let end = unsafe { OwnedFd::from_raw_fd(Errno::result(libc::syscall(libc::SYS_pidfd_open, self.pid, 0))? as i32) };
        let limit = PollTimeout::try_from(LIMIT).unwrap_or(PollTimeout::MAX);
        ensure!(poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], limit)? == 1, "time-out after {} s: {} does not end", LIMIT.as_secs(), self.name);
        self.reap()
    }

    /// Ends it, unless it has ended by itself.
    pub fn kill(self) -> Result<f64> {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// The process of the program, if it is there.
    pub fn program(&self) -> Option<i32> {
        let Some(name) = &self.traced else { return Some(self.pid) };
        proc::children(self.pid).into_iter().find(|pid| proc::stat(*pid).is_some_and(|(comm, _)| comm == *name))
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.program() {
            // An error means that it has ended.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Whether it has ended, or is held at its end.
    fn is_done(&self) -> bool {
        let is_held = self.program().and_then(proc::blocked_in).is_some_and(|(call, _)| call == libc::SYS_exit_group);
        is_held || proc::stat(self.pid).is_none_or(|(_, state)| state == 'Z')
    }

    /// Waits until it waits for a client or is done.
    pub fn wait(&self) -> Result<()> {
        let waits = || self.program().is_some_and(|pid| proc::blocked_in(pid).is_some() && proc::stat(pid).is_some_and(|(_, state)| state == 'S'));
        self.until("wait for a client", || waits() || self.is_done())
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !is_so() {
            ensure!(start.elapsed() < LIMIT, "time-out after {} s: {} does not {what}", LIMIT.as_secs(), self.name);
            signals::check()?;
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_there {
            self.signal(Signal::SIGKILL);
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
            let _ = self.reap();
        }
    }
}

/// What a program is run under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    Nothing,
    /// strace, which notes all calls.
    Calls,
    /// strace, which notes the time of the first ones.
    First,
    Callgrind,
}

impl Under {
    fn wrap(self, words: Vec<String>, log: &str) -> Vec<String> {
        let callgrind = format!("--log-file={log}");
        let wrapper: &[&str] = match self {
            Under::Nothing => &[],
            // At its end a program is held for 20 ms, for its memory to be looked at.
            Under::Calls => &["strace", "-f", "-qqq", "-o", log, "-e", "inject=exit_group:delay_enter=20000"],
            Under::First => &["strace", "-f", "-qqq", "--seccomp-bpf", "-ttt", "-e", "trace=execve,socket,socketpair", "-o", log],
            Under::Callgrind => &["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &callgrind],
        };
        wrapper.iter().map(|word| (*word).to_owned()).chain(words).collect()
    }

    /// The number in the log.
    fn read(self, log: &str) -> Result<f64> {
        let text = fs::read_to_string(log).with_context(|| format!("cannot read what {log} has"))?;
        let time = |line: &str| line.split_whitespace().nth(1)?.parse::<f64>().ok();
        let number = match self {
            // A call that another thread interrupts has two lines.
            Under::Calls => Some(text.lines().filter(|line| line.contains('(') && !line.contains(" resumed>")).count() as f64),
            Under::First => (|| Some((time(text.lines().find(|line| line.contains(" socket"))?)? - time(text.lines().next()?)?) * 1e6))(),
            Under::Callgrind => text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok()),
            Under::Nothing => None,
        };
        number.with_context(|| format!("{log} does not have what was looked for"))
    }
}

/// What a run has shown, of server and client.
#[derive(Default)]
struct Run {
    wall: Duration,
    cpu: f64,
    memory: [Option<f64>; 2],
    logged: [Option<f64>; 2],
}

fn run(pair: &Pair, who: &'static str, under: Under, exchanges: usize) -> Result<Run> {
    let mut shown = Run::default();
    let [server, client] = pair.commands(who);
    let logs = ["server.log", "client.log"];
    let memory = |program: &Running| resident(program.program()?).ok().map(|rss| rss as f64);
    let read = |log| (under != Under::Nothing).then(|| under.read(log)).transpose();
    time_wait::forget(9501)?;
    let server = server.map(|words| Running::start(&under.wrap(words, logs[0]), Stdio::null())).transpose()?;
    server.iter().try_for_each(Running::wait)?;
    let input = lines(exchanges)?;
    let start = Instant::now();
    match client {
        None => (0..exchanges).try_for_each(|_| request())?,
        Some(words) => {
            let client = Running::start(&under.wrap(words, logs[1]), input)?;
            if under == Under::Calls {
                client.until("end", || client.is_done())?;
                shown.memory[1] = memory(&client);
                server.iter().try_for_each(Running::wait)?;
                shown.memory[0] = server.as_ref().and_then(memory);
            }
            shown.cpu += client.end()?;
            shown.logged[1] = read(logs[1])?;
        }
    }
    shown.wall = start.elapsed();
    if let Some(server) = server {
        server.wait()?;
        if under == Under::Calls {
            // Some have ended by now.
            shown.memory[0] = shown.memory[0].or_else(|| memory(&server));
        }
        shown.cpu += server.kill()?;
        shown.logged[0] = read(logs[0])?;
    }
    Ok(shown)
}

fn lines(count: usize) -> Result<Stdio> {
    fs::write("lines", (0..count).map(|number| format!("line {number}\n")).collect::<String>())?;
    Ok(File::open("lines")?.into())
}

fn request() -> Result<()> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, 9501))?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    ensure!(connection.read(&mut [0; 1024])? > 0, "a request was not answered");
    Ok(())
}

/// Why some quantities are not measured here.
pub fn lacks(size: Size) -> Vec<String> {
    let mut lacks: Vec<String> = strace::available().err().map(|error| format!("no calls, memory and time to the first call: {error}")).into_iter().collect();
    if !size.instructions {
        lacks.push("no instructions: --quick leaves them out".to_owned());
    } else if let Err(error) = Tool::Memcheck.available() {
        lacks.push(format!("no instructions: {error}"));
    }
    if Command::new("strip").arg("--version").output().is_err() {
        lacks.push("no sizes: strip is not installed; on Debian and Ubuntu: apt-get install binutils".to_owned());
    }
    lacks
}
