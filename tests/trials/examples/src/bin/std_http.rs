//! The notes' HTTP server, tcp30_server, with std: `std_http`.
//!
//! What strace shows that the port does not do: SO_REUSEADDR is set without a word, and the queue of `listen` is 128 long,
//! not 5. The request is read up to its empty line, however it comes in pieces; nothing of it is left unread, so that
//! `close` sends no reset and there is no second `recv`.
use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";

fn serve(mut client: TcpStream) -> Result<()> {
    // The request ends with an empty line.
    for line in BufReader::new(&client).lines() {
        let line = line?;
        println!("{line}");
        if line.is_empty() {
            return client.write_all(ANSWER);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    for client in TcpListener::bind("0.0.0.0:9501")?.incoming() {
        if let Err(error) = client.and_then(serve) {
            eprintln!("{error}");
        }
    }
    Ok(())
}
