//! Lecture 6 with std: `std_udp server`, and `std_udp client 127.0.0.1`.
//!
//! What strace shows that the port does not do: the client calls `bind` for a free port, for std has no UDP socket
//! without an address. Sockets are SOCK_CLOEXEC, and `sendto` has MSG_NOSIGNAL. `println!` is a `write` for each
//! line, also into a file. Before `main` std looks at descriptors 0 to 2, ignores SIGPIPE and sets up handlers of SIGSEGV
//! and SIGBUS; at the end the socket is closed. The count on ^C is left out, since std has no signals.
use std::env::args;
use std::io::{Error, Result, stdin};
use std::net::UdpSocket;

fn server() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:43211")?;
    let mut message = [0; 4096];
    loop {
        let (n, client) = socket.recv_from(&mut message)?;
        let text = String::from_utf8_lossy(&message[..n]);
        println!("received {n} bytes: {text}");
        socket.send_to(format!("Hi, {text}").as_bytes(), client)?;
    }
}

fn client(host: &str) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut answer = [0; 4096];
    for line in stdin().lines() {
        let line = line?;
        println!("now sending {line}");
        let n = socket.send_to(line.as_bytes(), (host, 43211))?;
        println!("send bytes: {n}");
        let (n, _) = socket.recv_from(&mut answer)?;
        println!("{}", String::from_utf8_lossy(&answer[..n]));
    }
    Ok(())
}

fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), None) => server(),
        (Some("client"), Some(host)) => client(&host),
        _ => Err(Error::other("usage: std_udp server | client <IPaddress>")),
    }
}
