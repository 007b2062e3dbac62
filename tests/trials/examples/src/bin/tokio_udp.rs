//! Lecture 6 with tokio: `tokio_udp server`, and `tokio_udp client 127.0.0.1`.
//!
//! What strace shows that the port does not do: an epoll, an eventfd and a socketpair are made before the socket, which
//! is SOCK_NONBLOCK. `recvfrom` finds nothing (EAGAIN), then `epoll_wait` waits, then `recvfrom` gets the datagram:
//! three calls where the port has one. ^C writes a byte into the socketpair and makes the main loop print the count: no
//! `printf` in a handler. A second thread (`clone3`) reads the client's standard input, and wakes the first by the eventfd.
use std::env::args;
use std::io::{Error, Result};
use std::pin::pin;

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::UdpSocket;
use tokio::signal::ctrl_c;

async fn server() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:43211").await?;
    let (mut message, mut count, mut interrupt) = ([0; 4096], 0, pin!(ctrl_c()));
    loop {
        let (n, client) = tokio::select! {
            received = socket.recv_from(&mut message) => received?,
            _ = &mut interrupt => break,
        };
        let text = String::from_utf8_lossy(&message[..n]);
        println!("received {n} bytes: {text}");
        socket.send_to(format!("Hi, {text}").as_bytes(), client).await?;
        count += 1;
    }
    println!("\nreceived {count} datagrams");
    Ok(())
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
