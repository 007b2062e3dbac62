//! Ends connections in TIME_WAIT, where scenes share one network and so one port.
//!
//! Who closes a TCP connection first keeps it for a minute, and the next server cannot bind its
//! port. It can be ended by an attempt to connect once more between the same two addresses: the
//! kernel answers with the old connection's numbers, our new socket finds them wrong and sends a
//! reset, and at a reset the kernel forgets the connection. (RFC 1337 calls it assassination.)
//! If both ends closed at the same moment, both keep it, so that we cannot have the other end's port
//! for the attempt: the minute has to pass.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use nix::libc::{self, AF_INET, c_int, sockaddr, sockaddr_in, socklen_t};

use crate::proc;
use crate::signals;

/// How long the kernel may take to forget a connection at a reset.
const RESET_LIMIT: Duration = Duration::from_secs(1);

/// How long it keeps a connection without one (TCP_TIMEWAIT_LEN), and some time for the timer.
const LIMIT: Duration = Duration::from_secs(65);

/// Ends the connections of this machine with itself that keep `port` in TIME_WAIT, or waits for their end
/// and says so in one line on stderr.
///
/// # Errors
///
/// If a signal has asked us to end. A connection that is kept for longer stays; to bind the port will fail
/// and say so.
pub fn forget(port: u16) -> Result<()> {
    let start = Instant::now();
    let mut is_said = false;
    loop {
        let kept = kept(port);
        if kept.is_empty() || start.elapsed() > LIMIT {
            return Ok(());
        }
        for (local, remote) in kept {
            // An error leaves it as it is.
            let _ = attempt(remote, local);
        }
        if start.elapsed() > RESET_LIMIT && !is_said {
            anstream::eprintln!("lab: a connection that has ended keeps TCP port {port} (TIME_WAIT); this takes up to a minute");
            is_said = true;
        }
        signals::check()?;
        thread::sleep(Duration::from_millis(if is_said { 100 } else { 1 }));
    }
}

/// The local and the remote address of each.
fn kept(port: u16) -> Vec<(SocketAddr, SocketAddr)> {
    let rows = proc::table("self", "tcp").unwrap_or_default().into_iter();
    let kept = rows.filter(|row| row.state_name() == "TIME_WAIT" && row.local.port() == port && row.remote.ip().is_loopback());
    kept.map(|row| (row.local, row.remote)).collect()
}

/// Begins a connection, and drops it.
fn attempt(from: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else { return Ok(()) };
    let (from, to, on): (_, _, c_int) = (in_libc(from), in_libc(to), 1);
    let at = |address: &sockaddr_in| (&raw const *address).cast::<sockaddr>();
    let size = size_of::<sockaddr_in>() as socklen_t;
    // SAFETY: the kernel reads two addresses and a number, each of its size; nobody else has the socket.
    unsafe {
        let socket = OwnedFd::from_raw_fd(Errno::result(libc::socket(AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0))?);
        let fd = socket.as_raw_fd();
        Errno::result(libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, (&raw const on).cast(), size_of::<c_int>() as socklen_t))?;
        Errno::result(libc::bind(fd, at(&from), size))?;
        Errno::result(libc::connect(fd, at(&to), size))?;
    }
    Ok(())
}

fn in_libc(address: SocketAddrV4) -> sockaddr_in {
    let sin_addr = libc::in_addr { s_addr: u32::from(*address.ip()).to_be() };
    sockaddr_in { sin_family: AF_INET as libc::sa_family_t, sin_port: address.port().to_be(), sin_addr, sin_zero: [0; 8] }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_is_free_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(at).unwrap();
        let (server, from) = listener.accept().unwrap();
        drop(server);
        client.read_to_end(&mut Vec::new()).unwrap();
        drop((client, listener));
        let start = Instant::now();
        while kept(at.port()) != [(at, from)] {
            assert!(start.elapsed() < RESET_LIMIT, "{:?}", kept(at.port()));
        }
        let start = Instant::now();
        forget(at.port()).unwrap();
        assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
        assert_eq!(kept(at.port()), []);
    }
}
