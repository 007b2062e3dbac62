//! The other end, for what none of the programs does: leave without reading, send 4096 bytes,
//! answer without a NUL. `lab peer ...` in a scene.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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
        /// The path to bind first, for datagrams
        #[arg(long)]
        from: Option<String>,
        /// Wait for no answer
        #[arg(long)]
        leave: bool,
        /// Wait until the answer is there and leave it unread
        #[arg(long)]
        unread: bool,
    },
    /// Answers each message with the next text; without a text leaves the first message unread
    Answer { kind: Kind, address: String, texts: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Udp,
    Stream,
    Dgram,
}

/// A socket that has someone at its other end.
enum Line {
    Udp(UdpSocket),
    Stream(UnixStream),
    Dgram(UnixDatagram),
}

impl Peer {
    pub fn run(&self) -> Result<()> {
        match self {
            Peer::Send { kind, address, texts, from, leave, unread } => {
                let mut line = Line::call(*kind, address, from.as_deref()).with_context(|| format!("cannot reach {address}"))?;
                for text in texts {
                    line.send(text.as_bytes())?;
                    if *unread {
                        line.wait()?;
                    } else if !leave {
                        println!("{}", String::from_utf8_lossy(&line.receive()?).trim_end_matches('\0'));
                    }
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
            Kind::Stream => Line::Stream(UnixStream::connect(address)?),
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
            Line::Stream(socket) => socket.read(&mut buffer)?,
            Line::Dgram(socket) => socket.recv(&mut buffer)?,
        };
        buffer.truncate(n);
        Ok(buffer)
    }

    /// Waits until there is something to receive.
    fn wait(&self) -> Result<()> {
        wait(match self {
            Line::Udp(socket) => socket,
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
        Kind::Stream => {
            let listener = UnixListener::bind(fresh(address))?;
            wait(&listener)?;
            let (mut socket, _) = listener.accept()?;
            wait(&socket)?;
            for text in texts {
                // Errors and the end of input leave the loop, as for any server.
                if socket.read(&mut buffer)? == 0 {
                    break;
                }
                socket.write_all(text.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// `path`, with nothing there.
fn fresh(path: &str) -> &Path {
    // There may well be nothing.
    let _ = fs::remove_file(path);
    Path::new(path)
}
