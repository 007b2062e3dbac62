//! The other end, for what none of the programs does: leave without reading, send 4096 bytes,
//! answer without a NUL. `lab peer ...` in a scene.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket};

/// How long the other end has for its next message.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(clap::Subcommand)]
pub enum Peer {
    /// Sends each text and prints the answer to it
    Send {
        kind: Kind,
        /// ADDRESS:PORT or a path
        address: String,
        texts: Vec<String>,
        /// The path to bind first, for local sockets
        #[arg(long)]
        from: Option<String>,
        /// Wait for no answer
        #[arg(long)]
        leave: bool,
        /// Wait until the answer is there and leave it unread
        #[arg(long)]
        unread: bool,
        /// At the end print what comes until the other side closes
        #[arg(long)]
        to_end: bool,
        /// Wait for no answer, say that no more comes, then break the connection off (TCP)
        #[arg(long)]
        reset: bool,
    },
    /// Sends each line that is typed and prints the answer to it
    Talk { kind: Kind, address: String },
    /// Answers each message with the next text; without a text leaves the first message unread
    Answer { kind: Kind, address: String, texts: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Udp,
    Tcp,
    Stream,
    Dgram,
}

/// A socket that has someone at its other end.
enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Stream(UnixStream),
    Dgram(UnixDatagram),
}

impl Peer {
    pub fn run(&self) -> Result<()> {
        match self {
            Peer::Send { kind, address, texts, from, leave, unread, to_end, reset } => {
                let mut line = Line::call(*kind, address, from.as_deref()).with_context(|| format!("cannot reach {address}"))?;
                for text in texts {
                    line.send(text.as_bytes())?;
                    if *unread {
                        line.wait()?;
                    } else if !leave && !to_end && !reset {
                        println!("{}", String::from_utf8_lossy(&line.receive()?).trim_end_matches('\0'));
                    }
                }
                if *to_end {
                    line.print_to_end()?;
                }
                if *reset { line.reset() } else { Ok(()) }
            }
            Peer::Talk { kind, address } => {
                let mut line = Line::call(*kind, address, None).with_context(|| format!("cannot reach {address}"))?;
                for text in io::stdin().lock().lines() {
                    line.send(text?.as_bytes())?;
                    let answer = line.receive()?;
                    ensure!(!answer.is_empty(), "the other side has closed");
                    println!("{}", String::from_utf8_lossy(&answer));
                }
                Ok(())
            }
            Peer::Answer { kind, address, texts } => answer(*kind, address, texts),
        }
    }
}

impl Line {
    fn call(kind: Kind, address: &str, from: Option<&str>) -> Result<Line> {
        Ok(match kind {
            Kind::Udp => {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                socket.connect(address)?;
                Line::Udp(socket)
            }
            Kind::Tcp => Line::Tcp(TcpStream::connect(address)?),
            Kind::Stream => {
                let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
                if let Some(path) = from {
                    bind(&socket, path)?;
                }
                connect(socket.as_raw_fd(), &UnixAddr::new(address)?)?;
                Line::Stream(socket.into())
            }
            Kind::Dgram => {
                let socket = match from {
                    Some(path) => UnixDatagram::bind(path)?,
                    None => UnixDatagram::unbound()?,
                };
                socket.connect(address)?;
                Line::Dgram(socket)
            }
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Line::Udp(socket) => socket.send(bytes).map(drop)?,
            Line::Tcp(socket) => socket.write_all(bytes)?,
            Line::Stream(socket) => socket.write_all(bytes)?,
            Line::Dgram(socket) => socket.send(bytes).map(drop)?,
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        self.wait()?;
        let mut buffer = vec![0; 1 << 16];
        let n = match self {
            Line::Udp(socket) => socket.recv(&mut buffer)?,
            Line::Tcp(socket) => socket.read(&mut buffer)?,
            Line::Stream(socket) => socket.read(&mut buffer)?,
            Line::Dgram(socket) => socket.recv(&mut buffer)?,
        };
        buffer.truncate(n);
        Ok(buffer)
    }

    /// Prints what comes, an answer a line, until the other side closes.
    fn print_to_end(&mut self) -> Result<()> {
        loop {
            let answer = self.receive()?;
            if answer.is_empty() {
                return Ok(());
            }
            println!("{}", String::from_utf8_lossy(&answer));
        }
    }

    /// Ends the connection for our side, then breaks it off for both.
    fn reset(self) -> Result<()> {
        let Line::Tcp(socket) = self else { bail!("only TCP has a reset") };
        socket.shutdown(Shutdown::Write)?;
        // Not to linger at all is to reset.
        setsockopt(&socket, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
        Ok(())
    }

    /// Waits until there is something to receive.
    fn wait(&self) -> Result<()> {
        wait(match self {
            Line::Udp(socket) => socket,
            Line::Tcp(socket) => socket,
            Line::Stream(socket) => socket,
            Line::Dgram(socket) => socket,
        })
    }
}

fn wait(socket: &dyn AsFd) -> Result<()> {
    let limit = PollTimeout::try_from(LIMIT).expect("ten seconds are a time-out");
    if poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], limit)? == 0 {
        bail!("time-out after {} s: nothing came", LIMIT.as_secs());
    }
    Ok(())
}

fn answer(kind: Kind, address: &str, texts: &[String]) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    match kind {
        Kind::Udp => {
            let socket = UdpSocket::bind(address.parse::<SocketAddr>().context("not ADDRESS:PORT")?)?;
            wait(&socket)?;
            for text in texts {
                let (_, client) = socket.recv_from(&mut buffer)?;
                socket.send_to(text.as_bytes(), client)?;
            }
        }
        Kind::Dgram => {
            let socket = UnixDatagram::bind(fresh(address))?;
            wait(&socket)?;
            for text in texts {
                let (_, client) = socket.recv_from(&mut buffer)?;
                socket.send_to_addr(text.as_bytes(), &client)?;
            }
        }
        Kind::Tcp => {
            let listener = TcpListener::bind(address)?;
            wait(&listener)?;
            answer_on(listener.accept()?.0, texts)?;
        }
        Kind::Stream => {
            let listener = UnixListener::bind(fresh(address))?;
            wait(&listener)?;
            answer_on(listener.accept()?.0, texts)?;
        }
    }
    Ok(())
}

fn answer_on(mut socket: impl Read + Write + AsFd, texts: &[String]) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    wait(&socket)?;
    for text in texts {
        // Errors and the end of input leave the loop, as for any server.
        if socket.read(&mut buffer)? == 0 {
            break;
        }
        socket.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Binds to a path of 108 bytes at most: the kernel needs no NUL behind it, as std does.
fn bind(socket: &OwnedFd, path: &str) -> Result<()> {
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    ensure!(path.len() <= address.sun_path.len(), "the path is too long");
    for (to, byte) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = byte as libc::c_char;
    }
    let len = std::mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
    // SAFETY: the address is valid for its length.
    Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len as libc::socklen_t) })?;
    Ok(())
}

/// `path`, with nothing there.
fn fresh(path: &str) -> &Path {
    // There may well be nothing.
    let _ = fs::remove_file(path);
    Path::new(path)
}
