//! Lecture 14 with tokio: `tokio_udpconnect server`, and `tokio_udpconnect client 127.0.0.1`.
//!
//! What strace shows that the port does not do: between `sendto` and the answer there are a `recvfrom` that finds nothing
//! (EAGAIN) and an `epoll_wait`. `connect` changes nothing else: it is one call here, too, and the epoll goes on.
use std::env::args;
use std::io::{Error, Result};

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::UdpSocket;

async fn server() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:43211").await?;
    let mut message = [0; 4096];
    let (mut n, client) = socket.recv_from(&mut message).await?;
    println!("received {n} bytes: {}", String::from_utf8_lossy(&message[..n]));
    socket.connect(client).await?;
    while !message[..n].starts_with(b"goodbye") {
        let sent = socket.send(&[b"Hi, ", &message[..n]].concat()).await?;
        println!("send bytes: {sent}");
        n = socket.recv(&mut message).await?;
    }
    Ok(())
}

async fn client(host: &str) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect((host, 43211)).await?;
    let (mut lines, mut answer) = (BufReader::new(stdin()).lines(), [0; 4096]);
    while let Some(line) = lines.next_line().await? {
        println!("now sending {line}");
        println!("send bytes: {}", socket.send(line.as_bytes()).await?);
        let n = socket.recv(&mut answer).await?;
        println!("{}", String::from_utf8_lossy(&answer[..n]));
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), None) => server().await,
        (Some("client"), Some(host)) => client(&host).await,
        _ => Err(Error::other("usage: tokio_udpconnect server | client <IPaddress>")),
    }
}
