//! The other end, for what none of the programs does: leave without reading, send 4096 bytes,
//! answer without a NUL. `lab peer ...` in a generated scene; those of the READMEs have `lab sock`.
//!
//! Texts, paths and addresses are in the [notation](lab::scene::expand) of scenes; what comes is
//! printed byte by byte as it is.

use std::fs::{self, File};
use std::io::{self, BufRead, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{self as local, UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::Linger;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, listen, setsockopt, socket};

use lab::scene::expand;

/// How long the other end has for its next message.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(clap::Subcommand)]
pub enum Peer {
    /// Sends each text and prints the answer to it
    Send {
        kind: Kind,
        /// ADDRESS:PORT or a path
        address: String,
        #[arg(allow_hyphen_values = true)]
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
        /// Send all texts before any answer is looked at
        #[arg(long)]
        at_once: bool,
        /// Behind the texts say that no more comes (streams)
        #[arg(long)]
        shut: bool,
        #[command(flatten)]
        manner: Manner,
    },
    /// Sends each line that is typed and prints the answer to it
    Talk { kind: Kind, address: String },
    /// Answers each message with the next text; without a text leaves the first message unread
    Answer {
        kind: Kind,
        address: String,
        #[arg(allow_hyphen_values = true)]
        texts: Vec<String>,
        /// Answer the first message with all texts
        #[arg(long)]
        all: bool,
        /// Answer this many messages, with the texts in turn
        #[arg(long, value_name = "N")]
        times: Option<usize>,
        /// Answer from a socket that was not asked (datagrams)
        #[arg(long)]
        stranger: bool,
        /// Leave as soon as someone has connected (streams)
        #[arg(long)]
        leave: bool,
        #[command(flatten)]
        manner: Manner,
    },
    /// Writes the texts, one behind the other, to a file
    Write {
        file: PathBuf,
        #[arg(allow_hyphen_values = true)]
        texts: Vec<String>,
    },
}

/// What those who send and those who answer have in common.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Manner {
    /// Print how many bytes came before what came
    #[arg(long)]
    count: bool,
    /// Send each text only once a line has been typed
    #[arg(long)]
    step: bool,
    /// Stay until the end of input
    #[arg(long)]
    stay: bool,
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
            Peer::Send { kind, address, texts, from, leave, unread, to_end, reset, at_once, shut, manner } => {
                let mut line = Line::call(*kind, address, from.as_deref()).with_context(|| format!("cannot reach {address}"))?;
                let prints = !(*leave || *unread || *to_end || *reset);
                for text in texts {
                    if !manner.waits_for_step()? {
                        break;
                    }
                    line.send(&expand(text))?;
                    if *unread && !at_once {
                        line.wait()?;
                    } else if prints && !at_once {
                        manner.print(&line.receive()?)?;
                    }
                }
                if *shut {
                    line.shut()?;
                }
                if *at_once && prints {
                    texts.iter().try_for_each(|_| manner.print(&line.receive()?))?;
                } else if *at_once && *unread {
                    line.wait()?;
                }
                if *to_end {
                    let (all, end) = line.receive_to_end();
                    manner.print(&all)?;
                    end?;
                }
                manner.stay()?;
                if *reset { line.reset() } else { Ok(()) }
            }
            Peer::Talk { kind, address } => {
                let mut line = Line::call(*kind, address, None).with_context(|| format!("cannot reach {address}"))?;
                for text in io::stdin().lock().split(b'\n') {
                    line.send(&text?)?;
                    let answer = line.receive()?;
                    ensure!(!answer.is_empty(), "the other side has closed");
                    print(&answer)?;
                }
                Ok(())
            }
            Peer::Answer { kind, address, texts, all, times, stranger, leave, manner } => {
                let mut desk = Desk::open(*kind, address, *stranger).with_context(|| format!("cannot answer at {address}"))?;
                if *leave {
                    return Ok(());
                }
                desk.wait()?;
                for (index, text) in texts.iter().cycle().take(times.unwrap_or(texts.len())).enumerate() {
                    if index == 0 || !all {
                        let message = desk.receive()?;
                        // The end of input leaves the loop, as for any server.
                        if message.is_empty() && desk.is_stream() {
                            break;
                        }
                        if manner.count {
                            manner.print(&message)?;
                        }
                    }
                    if !manner.waits_for_step()? {
                        break;
                    }
                    desk.send(&expand(text))?;
                }
                manner.stay()
            }
            Peer::Write { file, texts } => {
                let mut file = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
                Ok(texts.iter().try_for_each(|text| file.write_all(&expand(text)))?)
            }
        }
    }
}

impl Manner {
    fn print(self, message: &[u8]) -> Result<()> {
        if self.count {
            print!("{} bytes: ", message.len());
        }
        Ok(print(message)?)
    }

    /// Waits for a typed line if that is wanted; whether to go on.
    fn waits_for_step(self) -> Result<bool> {
        Ok(!self.step || io::stdin().lock().skip_until(b'\n')? > 0)
    }

    fn stay(self) -> Result<()> {
        if self.stay {
            io::copy(&mut io::stdin().lock(), &mut io::sink())?;
        }
        Ok(())
    }
}

/// Prints a message and a newline.
fn print(message: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(message)?;
    stdout.write_all(b"\n")
}

impl Line {
    fn call(kind: Kind, address: &str, from: Option<&str>) -> Result<Line> {
        let local = |kind| -> Result<OwnedFd> {
            let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
            if let Some(path) = from {
                at_path(libc::bind, &socket, &expand(path))?;
            }
            at_path(libc::connect, &socket, &expand(address))?;
            Ok(socket)
        };
        Ok(match kind {
            Kind::Udp => {
                let socket = UdpSocket::bind("0.0.0.0:0")?;
                socket.connect(address)?;
                Line::Udp(socket)
            }
            Kind::Tcp => Line::Tcp(TcpStream::connect(address)?),
            Kind::Stream => Line::Stream(local(SockType::Stream)?.into()),
            Kind::Dgram => Line::Dgram(local(SockType::Datagram)?.into()),
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

    /// What comes until the other side closes, and whether that is how it ends.
    fn receive_to_end(&mut self) -> (Vec<u8>, Result<()>) {
        let mut all = Vec::new();
        loop {
            match self.receive() {
                Ok(part) if part.is_empty() => return (all, Ok(())),
                Ok(part) => all.extend(part),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    fn shut(&self) -> Result<()> {
        match self {
            Line::Tcp(socket) => socket.shutdown(Shutdown::Write)?,
            Line::Stream(socket) => socket.shutdown(Shutdown::Write)?,
            Line::Udp(_) | Line::Dgram(_) => bail!("only a stream has an end"),
        }
        Ok(())
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
            Line::Udp(socket) => socket.as_fd(),
            Line::Tcp(socket) => socket.as_fd(),
            Line::Stream(socket) => socket.as_fd(),
            Line::Dgram(socket) => socket.as_fd(),
        })
    }
}

/// Someone who is asked, and answers who asked last.
enum Desk {
    Udp { socket: UdpSocket, other: Option<UdpSocket>, asker: Option<SocketAddr> },
    Dgram { socket: UnixDatagram, other: Option<UnixDatagram>, asker: Option<local::SocketAddr> },
    Stream(Line),
}

impl Desk {
    /// Opens at this address; for streams also waits for someone to connect.
    fn open(kind: Kind, address: &str, stranger: bool) -> Result<Desk> {
        let path = expand(address);
        let bound = |kind| -> Result<OwnedFd> {
            // There may well be nothing.
            let _ = str::from_utf8(&path).map(fs::remove_file);
            let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
            at_path(libc::bind, &socket, &path)?;
            Ok(socket)
        };
        Ok(match kind {
            Kind::Udp => {
                let socket = UdpSocket::bind(address.parse::<SocketAddr>().context("not ADDRESS:PORT")?)?;
                Desk::Udp { socket, other: stranger.then(|| UdpSocket::bind("0.0.0.0:0")).transpose()?, asker: None }
            }
            Kind::Dgram => {
                let socket = bound(SockType::Datagram)?.into();
                Desk::Dgram { socket, other: stranger.then(UnixDatagram::unbound).transpose()?, asker: None }
            }
            Kind::Tcp => {
                let listener = TcpListener::bind(address)?;
                wait(listener.as_fd())?;
                Desk::Stream(Line::Tcp(listener.accept()?.0))
            }
            Kind::Stream => {
                let socket = bound(SockType::Stream)?;
                listen(&socket, Backlog::new(1)?)?;
                let listener = UnixListener::from(socket);
                wait(listener.as_fd())?;
                Desk::Stream(Line::Stream(listener.accept()?.0))
            }
        })
    }

    fn is_stream(&self) -> bool {
        matches!(self, Desk::Stream(_))
    }

    fn wait(&self) -> Result<()> {
        match self {
            Desk::Udp { socket, .. } => wait(socket.as_fd()),
            Desk::Dgram { socket, .. } => wait(socket.as_fd()),
            Desk::Stream(line) => line.wait(),
        }
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        self.wait()?;
        let mut buffer = vec![0; 1 << 16];
        let n = match self {
            Desk::Udp { socket, asker, .. } => {
                let (n, from) = socket.recv_from(&mut buffer)?;
                *asker = Some(from);
                n
            }
            Desk::Dgram { socket, asker, .. } => {
                let (n, from) = socket.recv_from(&mut buffer)?;
                *asker = Some(from);
                n
            }
            Desk::Stream(line) => return line.receive(),
        };
        buffer.truncate(n);
        Ok(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        const NOBODY: &str = "nobody has asked yet";
        match self {
            Desk::Udp { socket, other, asker } => other.as_ref().unwrap_or(socket).send_to(bytes, asker.context(NOBODY)?).map(drop)?,
            Desk::Dgram { socket, other, asker } => other.as_ref().unwrap_or(socket).send_to_addr(bytes, asker.as_ref().context(NOBODY)?).map(drop)?,
            Desk::Stream(line) => line.send(bytes)?,
        }
        Ok(())
    }
}

fn wait(socket: BorrowedFd) -> Result<()> {
    let limit = PollTimeout::try_from(LIMIT).expect("ten seconds are a time-out");
    if poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], limit)? == 0 {
        bail!("time-out after {} s: nothing came", LIMIT.as_secs());
    }
    Ok(())
}

/// `bind` or `connect`.
type Call = unsafe extern "C" fn(libc::c_int, *const libc::sockaddr, libc::socklen_t) -> libc::c_int;

/// Binds or connects to a path of 108 bytes at most: the kernel needs no NUL behind it, as std does.
/// One that begins with a NUL is no file, but a name.
fn at_path(call: Call, socket: &OwnedFd, path: &[u8]) -> Result<()> {
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    ensure!(path.len() <= address.sun_path.len(), "the path is too long");
    for (to, byte) in address.sun_path.iter_mut().zip(path) {
        *to = *byte as libc::c_char;
    }
    let len = std::mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
    // SAFETY: the address is valid for its length.
    Errno::result(unsafe { call(socket.as_raw_fd(), (&raw const address).cast(), len as libc::socklen_t) })?;
    Ok(())
}
