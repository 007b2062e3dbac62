//! The notes' HTTP server, tcp30_server, with tokio: `tokio_http`.
//!
//! What strace shows that the port does not do: `accept4` is called until it finds nobody (EAGAIN), and each connection
//! goes into the epoll (`epoll_ctl`) and out again. A client that connects and says nothing makes nobody else wait.
use std::io::Result;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";

async fn serve(client: TcpStream) -> Result<()> {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    // The request ends with an empty line.
    while client.read_line(&mut line).await? > 2 {
        print!("{line}");
        line.clear();
    }
    client.write_all(ANSWER).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:9501").await?;
    loop {
        let (client, _) = listener.accept().await?;
        // One that says nothing makes nobody else wait.
        tokio::spawn(async {
            if let Err(error) = serve(client).await {
                eprintln!("{error}");
            }
        });
    }
}
