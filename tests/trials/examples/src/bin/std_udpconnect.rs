//! Lecture 14 with std: `std_udpconnect server`, and `std_udpconnect client 127.0.0.1`.
//!
//! What strace shows that the port does not do: the client calls `bind` before `connect`. `send` and `recv` are `sendto`
//! and `recvfrom` without an address, as in C, but with MSG_NOSIGNAL. Each `println!` is a `write`. Without a server
//! the client ends with "Connection refused" at `recv`, as the port does. The server closes its socket at "goodbye".
use std::env::args;
use std::io::{Error, Result, stdin};
use std::net::UdpSocket;

fn server() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:43211")?;
    let mut message = [0; 4096];
    let (mut n, client) = socket.recv_from(&mut message)?;
    println!("received {n} bytes: {}", String::from_utf8_lossy(&message[..n]));
    socket.connect(client)?;
    while !message[..n].starts_with(b"goodbye") {
        let sent = socket.send(&[b"Hi, ", &message[..n]].concat())?;
        println!("send bytes: {sent}");
        n = socket.recv(&mut message)?;
    }
    Ok(())
}

fn client(host: &str) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((host, 43211))?;
    let mut answer = [0; 4096];
    for line in stdin().lines() {
        let line = line?;
        println!("now sending {line}");
        println!("send bytes: {}", socket.send(line.as_bytes())?);
        let n = socket.recv(&mut answer)?;
        println!("{}", String::from_utf8_lossy(&answer[..n]));
    }
    Ok(())
}

fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), None) => server(),
        (Some("client"), Some(host)) => client(&host),
        _ => Err(Error::other("usage: std_udpconnect server | client <IPaddress>")),
    }
}
