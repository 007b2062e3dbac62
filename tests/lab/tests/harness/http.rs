//! The HTTP servers and a real client, curl, and clients that are many, leave, or say too much.
//!
//! Each test runs this program again in a process of its own, which takes a network and a folder
//! for itself before it has a second thread, as a scene does.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::programs::{Cast, Profile};
use lab::sandbox::{Isolation, Sandbox};
use lab::sockets;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt::Linger};

use crate::support::{self, Builds};

/// The servers' address.
const AT: &str = "127.0.0.1:9501";
const URL: &str = "http://127.0.0.1:9501/";
const BODY: &str = "hello, world";

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How many memory pages may come and go: the kernel counts those in use for each processor apart.
const PAGES: u64 = 64;

/// Set to the path of the server in the process that a test runs.
const SERVER: &str = "LAB_HTTP_SERVER";

type Body = fn(Server) -> Result<()>;

const TESTS: [(&str, &str, Body); 7] = [
    ("curl", "tcp20_server", curl_once),
    ("curl", "tcp30_server", curl_many),
    ("to_the_byte", "tcp20_server", to_the_byte),
    ("to_the_byte", "tcp30_server", to_the_byte),
    ("a_hundred_clients_at_once", "tcp30_server", a_hundred_clients_at_once),
    ("clients_that_leave", "tcp30_server", clients_that_leave),
    ("long_requests", "tcp30_server", long_requests),
];

pub fn trials(builds: &Builds) -> Vec<Trial> {
    let no_curl = support::missing("curl");
    let trials = TESTS.map(|(test, program, _)| {
        let name = format!("http/{program}/{test}");
        let ignored = no_curl.as_deref().filter(|_| test == "curl");
        let path = builds.folder(Profile::Dev).join(program);
        support::trial(name.clone(), ignored, move || run_again(&name, &path))
    });
    trials.into()
}

/// Runs one test in a process of its own.
fn run_again(name: &str, path: &Path) -> Result<(), Failed> {
    let output = support::output(support::command(env::current_exe()?).arg(name).env(SERVER, path))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

/// If we are that process: how the test ends.
pub fn in_its_own_process(arguments: &Arguments) -> Option<ExitCode> {
    let path = env::var_os(SERVER)?;
    let end = on_stage(arguments.filter.as_deref().unwrap_or_default(), Path::new(&path));
    Some(end.map_or_else(
        |error| {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// In that process: the test, with its server running on a stage of its own.
fn on_stage(name: &str, path: &Path) -> Result<()> {
    let (_, program, body) = TESTS.iter().find(|(test, program, _)| format!("http/{program}/{test}") == name).with_context(|| format!("no test is called {name}"))?;
    let _stage = Sandbox::new(Isolation::enter(true), &Cast::of_ports(&BTreeMap::from([((*program).to_owned(), path.to_owned())])))?;
    body(Server::start(program)?)
}

/// A running server; dropping it ends it.
struct Server {
    child: Child,
    /// How many descriptors it has while it waits for a client.
    descriptors: usize,
}

impl Server {
    /// Starts it and waits until it listens.
    fn start(program: &str) -> Result<Server> {
        let mut command = Command::new(format!("./{program}"));
        // It ends when we do, however that is.
        // SAFETY: the closure makes one system call.
        unsafe {
            command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
        }
        let mut server = Server { child: command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?, descriptors: 0 };
        let listens = || Ok(sockets::of(server.pid())?.iter().any(|socket| socket.to_string() == "3 tcp 0.0.0.0:9501 - LISTEN"));
        wait_for("the server to listen", listens)?;
        server.descriptors = server.fd_count()?;
        Ok(server)
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for its end.
    fn end(mut self) -> Result<ExitStatus> {
        let mut end = None;
        wait_for("the server's end", || {
            end = self.child.try_wait()?;
            Ok(end.is_some())
        })?;
        end.context("it has been waited for")
    }

    /// How many descriptors it has.
    fn fd_count(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// Pages of memory: all that it has, and those in use.
    fn pages(&self) -> Result<(u64, u64)> {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.pid()))?;
        let mut numbers = text.split_whitespace().map(str::parse);
        numbers.next().zip(numbers.next()).and_then(|(all, used)| all.ok().zip(used.ok())).context("statm begins with two numbers")
    }

    /// Waits until no client has a descriptor of it.
    fn rests(&self) -> Result<()> {
        wait_for("the server to have no client's descriptor", || Ok(self.fd_count()? == self.descriptors))
    }

    /// Lets `work` keep it busy, and sees that it is none the larger for that.
    fn does_not_grow(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        // What it takes for the first requests it keeps.
        for _ in 0..10 {
            exchange("GET / HTTP/1.1\r\n\r\n")?;
        }
        self.rests()?;
        let (all_before, used_before) = self.pages()?;
        work()?;
        self.rests()?;
        let (all, used) = self.pages()?;
        ensure!(all == all_before, "its memory went from {all_before} to {all} pages");
        ensure!(used <= used_before + PAGES, "its memory in use went from {used_before} to {used} pages");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !done()? {
        ensure!(start.elapsed() < LIMIT, "time-out after {} s: waited for {what}", LIMIT.as_secs());
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn curl_once(server: Server) -> Result<()> {
    curl(&[])?;
    ensure!(server.end()?.success());
    Ok(())
}

fn curl_many(_server: Server) -> Result<()> {
    curl(&[])?;
    curl(&["--http1.0"])?;
    curl(&["--request", "POST", "--data", "name=value"])
}

fn curl(options: &[&str]) -> Result<()> {
    let limit = LIMIT.as_secs().to_string();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", &limit, "--write-out", "\n%{http_code} %{size_download} %header{content-length}"])
        .args(options)
        .arg(URL)
        .output()?;
    ensure!(output.status.success(), "curl {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text == format!("{BODY}\n200 12 12"), "curl got {text}");
    Ok(())
}

/// curl looks at Content-Length alone, and not at what comes after it.
fn to_the_byte(_server: Server) -> Result<()> {
    exchange("GET / HTTP/1.1\r\n\r\n")
}

/// More than its queue holds: to those that find no room the kernel gives another try after a second, then
/// after more and more. They try again themselves, and sooner.
fn a_hundred_clients_at_once(server: Server) -> Result<()> {
    let start = Barrier::new(100);
    let client = || {
        start.wait();
        let begin = Instant::now();
        loop {
            match exchange_within(Duration::from_millis(500), "GET / HTTP/1.1\r\n\r\n") {
                Err(error) if error.is::<io::Error>() && begin.elapsed() < LIMIT => {}
                outcome => return outcome,
            }
        }
    };
    server.does_not_grow(|| {
        thread::scope(|scope| {
            let clients: Vec<_> = (0..100).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
        })
    })
}

fn clients_that_leave(server: Server) -> Result<()> {
    server.does_not_grow(|| {
        for _ in 0..50 {
            // Without a word; after a request, without its answer; with the connection broken off.
            connect()?;
            connect()?.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
            break_off(connect()?)?;
            let mut client = connect()?;
            client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
            break_off(client)?;
            let mut client = connect()?;
            client.write_all(b"GET")?;
            client.shutdown(Shutdown::Write)?;
            break_off(client)?;
            exchange("GET / HTTP/1.1\r\n\r\n")?;
        }
        Ok(())
    })
}

fn long_requests(server: Server) -> Result<()> {
    server.does_not_grow(|| {
        for length in [1023, 1024, 1025, 2048, 20_000] {
            exchange(&"x".repeat(length)).with_context(|| format!("a request of {length} bytes"))?;
        }
        // Longer than what is under way at once: the server may close while we send.
        let _ = connect()?.write_all(&[b'x'; 1 << 22]);
        exchange("GET / HTTP/1.1\r\n\r\n")
    })
}

fn connect() -> Result<TcpStream> {
    let client = TcpStream::connect(AT)?;
    client.set_read_timeout(Some(LIMIT))?;
    client.set_write_timeout(Some(LIMIT))?;
    Ok(client)
}

/// Closes a connection with a reset.
fn break_off(client: TcpStream) -> Result<()> {
    Ok(setsockopt(&client, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?)
}

/// Sends a request and takes everything until the end: the answer to the byte.
fn exchange(request: &str) -> Result<()> {
    exchange_within(LIMIT, request)
}

fn exchange_within(limit: Duration, request: &str) -> Result<()> {
    let mut client = TcpStream::connect_timeout(&AT.parse()?, limit)?;
    client.set_read_timeout(Some(limit))?;
    client.write_all(request.as_bytes())?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    ensure!(answer == format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n{BODY}"), "the answer is {answer:?}");
    Ok(())
}
