//! Lecture 7's stream with tokio: `tokio_unixstream server PATH`, and `tokio_unixstream client PATH`.
//!
//! What strace shows that the port does not do: `getsockopt` asks for SO_ERROR after the client's `connect`, which does
//! not wait. Before most `recvfrom` there is an `epoll_wait`, and sometimes a `recvfrom` that finds nothing (EAGAIN). The
//! listening socket is in the epoll, and leaves it when it is closed.
use std::env::args;
use std::fs::remove_file;
use std::io::{Error, Result};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stdin};
use tokio::net::{UnixListener, UnixStream};

/// A line is sent as a block of this size, as the lecture does: a stream has no ends of messages.
const BLOCK: usize = 4096;

fn block(start: &[u8], text: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    start.iter().chain(text).zip(&mut block).for_each(|(from, to)| *to = *from);
    block
}

/// The text of a block, up to its first NUL.
fn text(block: &[u8]) -> &[u8] {
    block.split(|byte| *byte == 0).next().unwrap_or_default()
}

async fn server(path: &str) -> Result<()> {
    // There may be none.
    let _ = remove_file(path);
    let (mut client, _) = UnixListener::bind(path)?.accept().await?;
    let mut message = [0; BLOCK];
    while client.read(&mut message).await? > 0 {
        print!("Receive: {}", String::from_utf8_lossy(text(&message)));
        client.write_all(&block(b"Hi, ", text(&message))).await?;
        message.fill(0);
    }
    println!("client quit");
    Ok(())
}

async fn client(path: &str) -> Result<()> {
    let mut server = UnixStream::connect(path).await?;
    let (mut input, mut line, mut answer) = (BufReader::new(stdin()), String::new(), [0; BLOCK]);
    while input.read_line(&mut line).await? > 0 {
        server.write_all(&block(b"", line.as_bytes())).await?;
        server.read_exact(&mut answer).await?;
        print!("{}", String::from_utf8_lossy(text(&answer)));
        line.clear();
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), Some(path)) => server(&path).await,
        (Some("client"), Some(path)) => client(&path).await,
        _ => Err(Error::other("usage: tokio_unixstream server | client <local_path>")),
    }
}
