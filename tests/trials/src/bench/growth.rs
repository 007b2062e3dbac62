//! Servers with more clients, and with longer messages: the time of an exchange, and the server's memory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::{TimeVal, TimeValLike};

use super::programs::{C, PORT, Running};
use super::{Figures, LIMIT, Size, What, resident};
use lab::cast::{C_FOLDER, Cast};
use lab::sandbox::{Isolation, Sandbox};
use lab::time_wait;

pub const CLIENTS: [usize; 5] = [1, 4, 16, 64, 256];
pub const LENGTHS: [usize; 4] = [16, 256, 1000, 4000];
pub const OF_CLIENTS: &str = "clients";
pub const OF_LENGTH: &str = "bytes in a message";
pub const TIME: &str = "time, µs";
pub const MEMORY: &str = "memory, KiB";

/// The servers, how many messages may wait for each without loss, and the longest that it takes whole.
pub const SERVERS: [(&str, usize, usize); 4] = [("udpserver", 64, 4000), ("udp20_server", 64, 1000), ("unixdataserver", 8, 4000), ("tcp30_server", 4, 1000)];

/// The path that unixdataserver is given.
const PATH: &str = "server.sock";

pub fn what(server: &str, of: &str, quantity: &'static str, at: usize, who: &'static str) -> What {
    What { part: "growth", of: format!("{server}: {of}"), quantity, at, who }
}

/// A client's socket, connected to this server.
fn connect(server: &str, number: usize) -> Result<File> {
    let socket: OwnedFd = match server {
        "unixdataserver" => {
            // The C server answers names of one length only, that of its first client.
            let name = format!("client{number:04}");
            // The client of an earlier run may have left it.
            let _ = fs::remove_file(&name);
            let socket = UnixDatagram::bind(name)?;
            socket.connect(PATH)?;
            socket.into()
        }
        "tcp30_server" => TcpStream::connect((Ipv4Addr::LOCALHOST, 9501))?.into(),
        _ => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect((Ipv4Addr::LOCALHOST, if server == "udpserver" { 43211 } else { 9501 }))?;
            socket.into()
        }
    };
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(LIMIT.as_secs() as i64))?;
    Ok(socket.into())
}

/// Lets each of so many clients make an exchange, so many times, as many at a time as may wait; the µs of one.
fn exchange(server: &str, clients: usize, waiting: usize, message: &str, times: usize) -> Result<f64> {
    // Those of tcp30_server connect anew for each request.
    let connects = server == "tcp30_server";
    let answer = if server == "udp20_server" { "hello".to_owned() } else { format!("Hi, {message}") };
    let mut received = vec![0; answer.len() + 1];
    let connect = |number| connect(server, number);
    let mut all = (0..if connects { 0 } else { clients }).map(&connect).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    for _ in 0..times {
        for first in (0..clients).step_by(waiting) {
            let some = first..clients.min(first + waiting);
            let mut new = some.clone().filter(|_| connects).map(&connect).collect::<Result<Vec<_>>>()?;
            let some = if connects { &mut new[..] } else { &mut all[some] };
            some.iter_mut().try_for_each(|client| client.write_all(message.as_bytes()))?;
            for client in some {
                let n = client.read(&mut received).context("a message was not answered")?;
                // What C answers to a request is not quite HTTP.
                ensure!(if connects { n > 0 } else { received[..n] == *answer.as_bytes() }, "a message was answered {:?}", String::from_utf8_lossy(&received[..n.min(40)]));
            }
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / (times * clients) as f64)
}

/// Measures them all; an error if a server cannot be started, or a message is not answered as it should be.
pub fn run(figures: &mut Figures, size: Size, cast: &Cast, isolation: Isolation) -> Result<()> {
    let _sandbox = Sandbox::new(isolation, cast)?;
    for _ in size.rounds() {
        for (name, waiting, longest) in SERVERS {
            let more = CLIENTS.map(|clients| (OF_CLIENTS, clients, clients, LENGTHS[0]));
            let longer = LENGTHS.map(|length| (OF_LENGTH, length, 4, length));
            for (of, at, clients, length) in more.into_iter().chain(longer).filter(|(.., length)| *length <= longest) {
                for who in [PORT, C].into_iter().filter(|who| *who == PORT || cast.c.contains_key(name)) {
                    let path = if who == C { format!("./{C_FOLDER}/{name}") } else { format!("./{name}") };
                    let words: Vec<String> = [path.as_str()].into_iter().chain((name == "unixdataserver").then_some(PATH)).map(str::to_owned).collect();
                    time_wait::forget(9501)?;
                    let server = Running::start(&words, Stdio::null())?;
                    server.wait()?;
                    let message = format!("{:x<length$}", "GET / ");
                    let times = (size.exchanges / 4 / clients).max(2);
                    let time = exchange(name, clients, waiting, &message, times).with_context(|| format!("{name} ({who}), {at} {of}"))?;
                    let memory = resident(server.program().context("the server has ended")?)? as f64;
                    server.kill()?;
                    for (quantity, value) in [(TIME, time), (MEMORY, memory)] {
                        figures.add(what(name, of, quantity, at, who), value);
                    }
                }
            }
        }
    }
    Ok(())
}
