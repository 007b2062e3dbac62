//! Lecture 6 with tokio: `tokio_udp server`, and `tokio_udp client 127.0.0.1`.
//!
//! What strace shows that the port does not do: an epoll and an eventfd are made before the socket, which is
//! SOCK_NONBLOCK. `epoll_wait` waits, `recvfrom` gets the datagram, and the next `recvfrom` finds nothing (EAGAIN): three
//! calls where the port has one. A second thread (`clone3`) reads the client's standard input, and wakes the first by the
//! eventfd. The count on ^C is left out: it needs tokio's feature `signal`.
use std::env::args;
use std::io::{Error, Result};

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::UdpSocket;

async fn server() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:43211").await?;
    let mut message = [0; 4096];
    loop {
        let (n, client) = socket.recv_from(&mut message).await?;
        let text = String::from_utf8_lossy(&message[..n]);
        println!("received {n} bytes: {text}");
        socket.send_to(format!("Hi, {text}").as_bytes(), client).await?;
    }
}

async fn client(host: &str) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    let (mut lines, mut answer) = (BufReader::new(stdin()).lines(), [0; 4096]);
    while let Some(line) = lines.next_line().await? {
        println!("now sending {line}");
        let n = socket.send_to(line.as_bytes(), (host, 43211)).await?;
        println!("send bytes: {n}");
        let (n, _) = socket.recv_from(&mut answer).await?;
        println!("{}", String::from_utf8_lossy(&answer[..n]));
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), None) => server().await,
        (Some("client"), Some(host)) => client(&host).await,
        _ => Err(Error::other("usage: tokio_udp server | client <IPaddress>")),
    }
}
