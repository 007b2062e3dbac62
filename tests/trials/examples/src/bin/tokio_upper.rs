//! The uppercase pair with tokio: `tokio_upper server`, and `tokio_upper client`.
//!
//! What strace shows that the port does not do: `getsockopt` with SO_PEERCRED tells the server who its client is. The
//! kernel noted that at `connect`; no path is looked at, and nobody can put another in its place.
use std::env::args;
use std::fs::remove_file;
use std::io::{Error, Result, Write, stdout};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stdin};
use tokio::net::{UnixListener, UnixStream};

const PATH: &str = "foo.socket";

async fn server() -> Result<()> {
    // There may be none.
    let _ = remove_file(PATH);
    let (mut client, _) = UnixListener::bind(PATH)?.accept().await?;
    println!("user {}", client.peer_cred()?.uid());
    let mut message = [0; 1024];
    loop {
        let n = client.read(&mut message).await?;
        if n == 0 {
            break;
        }
        message[..n].make_ascii_uppercase();
        client.write_all(&message[..n]).await?;
    }
    println!("the other side has been closed.");
    Ok(())
}

async fn client() -> Result<()> {
    let mut server = UnixStream::connect(PATH).await?;
    let (mut input, mut line, mut answer) = (BufReader::new(stdin()), String::new(), [0; 1024]);
    while input.read_line(&mut line).await? > 0 {
        server.write_all(line.as_bytes()).await?;
        let n = server.read(&mut answer).await?;
        stdout().write_all(&answer[..n])?;
        line.clear();
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match args().nth(1).as_deref() {
        Some("server") => server().await,
        Some("client") => client().await,
        _ => Err(Error::other("usage: tokio_upper server | client")),
    }
}
