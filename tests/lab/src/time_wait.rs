//! Ends connections in TIME_WAIT, where scenes share one network and so one port.
//!
//! Who closes a TCP connection first keeps it for a minute, and the next server cannot bind its
//! port. It can be ended by an attempt to connect once more between the same two addresses: the
//! kernel answers with the old connection's numbers, our new socket finds them wrong and sends a
//! reset, and at a reset the kernel forgets the connection. (RFC 1337 calls it assassination.)
//! If both ends closed at the same moment, both keep it, so that we cannot have the other end's port
//! for the attempt: the minute has to pass.

use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::Result;
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket};

use crate::proc;
use crate::signals;

/// How long the kernel may take to forget a connection at a reset.
const RESET_LIMIT: Duration = Duration::from_secs(1);

/// How long it keeps a connection without one (TCP_TIMEWAIT_LEN), and some time for the timer.
const LIMIT: Duration = Duration::from_secs(65);

/// Ends the connections of this machine with itself that keep `port` in TIME_WAIT, or waits for their end
/// and says so in one line on stderr.
/// Fails if a signal has asked us to end. A connection that is kept for longer stays; to bind the port will fail
/// and say so.
pub fn forget(port: u16) -> Result<()> {
    let mut end_all = || {
        let kept = kept(port);
        for addresses in &kept {
            // An error leaves it as it is.
            if let (SocketAddr::V4(local), SocketAddr::V4(remote)) = addresses {
                let _ = attempt(*remote, *local);
            }
        }
        Ok(kept.is_empty().then_some(()))
    };
    if signals::wait(RESET_LIMIT, Duration::from_millis(1), &mut end_all)?.is_none() {
        anstream::eprintln!("lab: a connection that has ended keeps TCP port {port} (TIME_WAIT); this takes up to a minute");
        signals::wait(LIMIT - RESET_LIMIT, Duration::from_millis(100), end_all)?;
    }
    Ok(())
}

/// The local and the remote address of each.
fn kept(port: u16) -> Vec<(SocketAddr, SocketAddr)> {
    let rows = proc::table("self", "tcp").unwrap_or_default().into_iter();
    let kept = rows.filter(|row| row.state == "TIME_WAIT" && row.local.port() == port && row.remote.ip().is_loopback());
    kept.map(|row| (row.local, row.remote)).collect()
}

/// Begins a connection, and drops it.
fn attempt(from: SocketAddrV4, to: SocketAddrV4) -> nix::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(from))?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(to))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

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
