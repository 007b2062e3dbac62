//! Lecture 7's datagrams with std: `std_unixdata server PATH`, and `std_unixdata client PATH`.
//!
//! What strace shows that the port does not do: each message's sender comes with its length (26 bytes here), and the
//! answer goes to that many bytes. The client's path has its process number in place of `tmpnam`'s random letters, and
//! is removed at the end (`unlink`); the port leaves it. Each `println!` is a `write`.
use std::env::{args, temp_dir};
use std::fs::remove_file;
use std::io::{Error, Result, stdin};
use std::os::unix::net::UnixDatagram;
use std::process::id;

fn server(path: &str) -> Result<()> {
    // There may be none.
    let _ = remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    let mut message = [0; 4096];
    loop {
        let (n, client) = socket.recv_from(&mut message)?;
        let text = String::from_utf8_lossy(&message[..n]);
        println!("Receive: {text}");
        let answer = format!("Hi, {text}");
        println!("now sending: {answer}");
        let to = client.as_pathname().ok_or(Error::other("the client has no path to answer to"))?;
        socket.send_to(answer.as_bytes(), to)?;
    }
}

fn client(path: &str) -> Result<()> {
    let own = temp_dir().join(format!("std_unixdata.{}", id()));
    let socket = UnixDatagram::bind(&own)?;
    let mut answer = [0; 4096];
    for line in stdin().lines() {
        let line = line?;
        println!("now sending {line}");
        socket.send_to(line.as_bytes(), path)?;
        let n = socket.recv(&mut answer)?;
        println!("{}", String::from_utf8_lossy(&answer[..n]));
    }
    remove_file(own)
}

fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), Some(path)) => server(&path),
        (Some("client"), Some(path)) => client(&path),
        _ => Err(Error::other("usage: std_unixdata server | client <local_path>")),
    }
}
