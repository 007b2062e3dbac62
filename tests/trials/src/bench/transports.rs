//! The ways in which two processes pass bytes, from the same code but for the socket. One process sends some
//! messages, the other receives them and answers with one. Beside them, what the kernel takes at least: a byte
//! handed over in shared memory, where only `futex` waits and wakes, and a system call that does nothing.

use std::io::{Error, PipeReader, PipeWriter, pipe};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, connect, getsockname, recvfrom, sendto, setsockopt, socketpair};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getppid, read, write};

use super::{Figures, LIMIT, Size, What};
use lab::signals;

pub const SIZES: [usize; 5] = [16, 256, 1024, 4096, 65000];

pub const ROUND_TRIP: &str = "round trip";
pub const ONE_WAY: &str = "one way";
pub const UDP: &str = "UDP";
pub const TRANSPORTS: [&str; 9] = [UDP, "UDP, connected", "UDP, connect each time", "TCP", "local stream", "local datagram", "local datagram, connected", "local seqpacket", "pipe"];
pub const FUTEX: &str = "a byte by futex";
pub const EMPTY: &str = "an empty system call";

pub fn what(direction: &str, size: usize, who: &'static str) -> What {
    What { part: "transports", of: direction.to_owned(), quantity: "time, µs", at: size, who }
}

/// One process's end.
struct End {
    from: OwnedFd,
    to: OwnedFd,
    /// Whom to send to, if that is not settled.
    address: Option<SockaddrStorage>,
    /// Whether to connect before each message, and to disconnect after it.
    connects: bool,
}

impl End {
    fn new(socket: impl Into<OwnedFd>, address: Option<SockaddrStorage>) -> Result<End> {
        let from = socket.into();
        setsockopt(&from, ReceiveTimeout, &TimeVal::seconds(LIMIT.as_secs() as i64))?;
        Ok(End { to: from.try_clone()?, from, address, connects: false })
    }

    fn send(&self, mut bytes: &[u8]) -> Result<()> {
        let fd = self.to.as_raw_fd();
        if let (Some(address), true) = (&self.address, self.connects) {
            connect(fd, address)?;
        }
        while !bytes.is_empty() {
            let n = match &self.address {
                Some(address) if !self.connects => sendto(fd, bytes, address, MsgFlags::empty())?,
                _ => write(&self.to, bytes)?,
            };
            bytes = &bytes[n..];
        }
        if self.connects {
            let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
            // SAFETY: the length is that of the address.
            Errno::result(unsafe { libc::connect(fd, &nowhere, size_of_val(&nowhere) as libc::socklen_t) })?;
        }
        Ok(())
    }

    fn receive(&self, bytes: &mut [u8]) -> Result<()> {
        let mut received = 0;
        while received < bytes.len() {
            let rest = &mut bytes[received..];
            let n = match &self.address {
                Some(_) => recvfrom::<SockaddrStorage>(self.from.as_raw_fd(), rest)?.0,
                None => read(&self.from, rest)?,
            };
            ensure!(n > 0, "the other process has ended");
            received += n;
        }
        Ok(())
    }
}

/// The two ends of a transport; `number` makes local names.
fn ends(transport: &str, number: usize) -> Result<[End; 2]> {
    let address = |socket: &dyn AsRawFd| getsockname::<SockaddrStorage>(socket.as_raw_fd()).map(Some);
    let pair = |kind| -> Result<[End; 2]> {
        let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::empty())?;
        Ok([End::new(one, None)?, End::new(other, None)?])
    };
    match transport {
        "TCP" => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let (one, other) = (TcpStream::connect(listener.local_addr()?)?, listener.accept()?.0);
            one.set_nodelay(true)?;
            other.set_nodelay(true)?;
            Ok([End::new(one, None)?, End::new(other, None)?])
        }
        "local stream" => pair(SockType::Stream),
        "local seqpacket" => pair(SockType::SeqPacket),
        "local datagram, connected" => pair(SockType::Datagram),
        "local datagram" => {
            let (one, other) = (UnixDatagram::bind(format!("one.{number}"))?, UnixDatagram::bind(format!("other.{number}"))?);
            let (to_one, to_other) = (address(&one)?, address(&other)?);
            Ok([End::new(one, to_other)?, End::new(other, to_one)?])
        }
        "pipe" => {
            let ((one_from, other_to), (other_from, one_to)) = (pipe()?, pipe()?);
            let end = |from: PipeReader, to: PipeWriter| End { from: from.into(), to: to.into(), address: None, connects: false };
            Ok([end(one_from, one_to), end(other_from, other_to)])
        }
        _ => {
            let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
            // A port that the kernel has chosen would go when the socket disconnects.
            let chosen = bind()?.local_addr()?;
            let (one, other) = (UdpSocket::bind(chosen)?, bind()?);
            let (to_one, to_other) = (address(&one)?, address(&other)?);
            // As in the lectures, only the client connects.
            let is_connected = transport == "UDP, connected";
            if is_connected {
                one.connect(other.local_addr()?)?;
            }
            let mut client = End::new(one, to_other.filter(|_| !is_connected))?;
            client.connects = transport == "UDP, connect each time";
            Ok([client, End::new(other, to_one)?])
        }
    }
}

/// The process at the other end; it is killed when this goes.
struct Peer(Pid);

impl Peer {
    /// Starts one that does this for ever.
    fn start(mut serve: impl FnMut() -> Result<()>) -> Result<Peer> {
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Peer(child)),
            ForkResult::Child => {
                let _ = set_pdeathsig(Signal::SIGKILL);
                while serve().is_ok() {}
                // SAFETY: nothing of the parent's is to be run in the child.
                unsafe { libc::_exit(1) }
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

/// Two numbers in memory that a process shares with those that it forks.
fn shared() -> Result<&'static [AtomicU32; 2]> {
    // SAFETY: a new page of zeros, which stays until the process ends.
    unsafe {
        let page = libc::mmap(null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0);
        ensure!(page != libc::MAP_FAILED, "no shared memory: {}", Error::last_os_error());
        Ok(&*page.cast())
    }
}

fn hand_over(to: &AtomicU32) {
    to.store(1, SeqCst);
    // SAFETY: wakes one that waits for a number of ours.
    unsafe { libc::syscall(libc::SYS_futex, to, libc::FUTEX_WAKE, 1, null::<libc::timespec>()) };
}

fn take(from: &AtomicU32) -> Result<()> {
    let limit = libc::timespec { tv_sec: LIMIT.as_secs() as libc::time_t, tv_nsec: 0 };
    while from.swap(0, SeqCst) == 0 {
        // SAFETY: waits while the number is 0.
        let result = unsafe { libc::syscall(libc::SYS_futex, from, libc::FUTEX_WAIT, 0, &limit) };
        ensure!(result == 0 || Error::last_os_error().raw_os_error() != Some(libc::ETIMEDOUT), "the other process has ended");
    }
    Ok(())
}

/// One way of passing messages of one size in one direction.
struct Job {
    what: What,
    /// Does it once, which is so many messages.
    exchange: Box<dyn FnMut() -> Result<()>>,
    messages: usize,
    /// Goes last.
    _peer: Option<Peer>,
}

fn job(who: &'static str, direction: &str, size: usize, number: usize) -> Result<Job> {
    let what = what(direction, size, who);
    if who == EMPTY {
        let exchange = || {
            getppid();
            Ok(())
        };
        return Ok(Job { what, exchange: Box::new(exchange), messages: 1, _peer: None });
    }
    if who == FUTEX {
        let [ping, pong] = shared()?;
        let peer = Peer::start(|| take(ping).map(|()| hand_over(pong)))?;
        let exchange = || {
            hand_over(ping);
            take(pong)
        };
        return Ok(Job { what, exchange: Box::new(exchange), messages: 1, _peer: Some(peer) });
    }
    let (messages, answer) = match direction {
        ROUND_TRIP => (1, size),
        // No queue is ever full: a local one holds 10, and one of UDP two of the largest.
        _ => (if size > 4096 { 2 } else { 8 }, 1),
    };
    let [client, server] = ends(who, number)?;
    let mut buffer = vec![b'x'; size];
    let peer = Peer::start(|| {
        (0..messages).try_for_each(|_| server.receive(&mut buffer))?;
        server.send(&buffer[..answer])
    })?;
    drop(server);
    let exchange = move || {
        (0..messages).try_for_each(|_| client.send(&buffer))?;
        client.receive(&mut buffer[..answer])
    };
    Ok(Job { what, exchange: Box::new(exchange), messages, _peer: Some(peer) })
}

/// Measures them all, in a sandbox's network and folder; an error if one cannot be made, or does not answer in time.
pub fn run(figures: &mut Figures, size: Size) -> Result<()> {
    let mut jobs = Vec::new();
    for direction in [ROUND_TRIP, ONE_WAY] {
        for bytes in SIZES {
            for who in TRANSPORTS {
                jobs.push(job(who, direction, bytes, jobs.len()).with_context(|| format!("{who}, {bytes} bytes"))?);
            }
        }
    }
    jobs.push(job(FUTEX, ROUND_TRIP, 1, 0)?);
    jobs.push(job(EMPTY, ROUND_TRIP, 0, 0)?);
    // Many short ones: few of them are interrupted by what else the machine does.
    for _ in (Size { rounds: 4 * size.rounds, ..size }).rounds() {
        for Job { what, exchange, messages, .. } in &mut jobs {
            signals::check()?;
            let times = (size.exchanges / 50 / *messages).max(8);
            let mut once = || exchange().with_context(|| format!("{}, {} bytes", what.who, what.at));
            (0..times / 2).try_for_each(|_| once())?;
            let start = Instant::now();
            (0..times).try_for_each(|_| once())?;
            figures.add(what.clone(), start.elapsed().as_secs_f64() * 1e6 / (times * *messages) as f64);
        }
    }
    Ok(())
}
