//! Lecture 7's datagrams with tokio: `tokio_unixdata server PATH`, and `tokio_unixdata client PATH`.
//!
//! What strace shows that the port does not do: the socket is SOCK_NONBLOCK and in an epoll, so an `epoll_wait`, and
//! mostly a `recvfrom` that finds nothing (EAGAIN), come before each message. The paths are those of std.
use std::env::{args, temp_dir};
use std::fs::remove_file;
use std::io::{Error, Result};
use std::process::id;

use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::UnixDatagram;

async fn server(path: &str) -> Result<()> {
    // There may be none.
    let _ = remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    let mut message = [0; 4096];
    loop {
        let (n, client) = socket.recv_from(&mut message).await?;
        let text = String::from_utf8_lossy(&message[..n]);
        println!("Receive: {text}");
        let answer = format!("Hi, {text}");
        println!("now sending: {answer}");
        let to = client.as_pathname().ok_or(Error::other("the client has no path to answer to"))?;
        socket.send_to(answer.as_bytes(), to).await?;
    }
}

async fn client(path: &str) -> Result<()> {
    let own = temp_dir().join(format!("tokio_unixdata.{}", id()));
    let socket = UnixDatagram::bind(&own)?;
    let (mut lines, mut answer) = (BufReader::new(stdin()).lines(), [0; 4096]);
    while let Some(line) = lines.next_line().await? {
        println!("now sending {line}");
        socket.send_to(line.as_bytes(), path).await?;
        let n = socket.recv(&mut answer).await?;
        println!("{}", String::from_utf8_lossy(&answer[..n]));
    }
    remove_file(own)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), Some(path)) => server(&path).await,
        (Some("client"), Some(path)) => client(&path).await,
        _ => Err(Error::other("usage: tokio_unixdata server | client <local_path>")),
    }
}
