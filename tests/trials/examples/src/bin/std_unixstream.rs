//! Lecture 7's stream with std: `std_unixstream server PATH`, and `std_unixstream client PATH`.
//!
//! What strace shows that the port does not do: `read` and `write` on a socket are `recvfrom` and `sendto` with
//! MSG_NOSIGNAL: a server that is gone is an error (EPIPE), not the signal SIGPIPE. The address has the length of its
//! path, 9 bytes, where the port passes all 110. The queue of `listen` is as long as the kernel allows (-1). The
//! listening socket is closed once there is a client: nobody uses it any more.
use std::env::args;
use std::fs::remove_file;
use std::io::{Error, Read, Result, Write, stdin};
use std::os::unix::net::{UnixListener, UnixStream};

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

fn server(path: &str) -> Result<()> {
    // There may be none.
    let _ = remove_file(path);
    let (mut client, _) = UnixListener::bind(path)?.accept()?;
    let mut message = [0; BLOCK];
    while client.read(&mut message)? > 0 {
        print!("Receive: {}", String::from_utf8_lossy(text(&message)));
        client.write_all(&block(b"Hi, ", text(&message)))?;
        message.fill(0);
    }
    println!("client quit");
    Ok(())
}

fn client(path: &str) -> Result<()> {
    let mut server = UnixStream::connect(path)?;
    let (mut line, mut answer) = (String::new(), [0; BLOCK]);
    while stdin().read_line(&mut line)? > 0 {
        server.write_all(&block(b"", line.as_bytes()))?;
        server.read_exact(&mut answer)?;
        print!("{}", String::from_utf8_lossy(text(&answer)));
        line.clear();
    }
    Ok(())
}

fn main() -> Result<()> {
    match (args().nth(1).as_deref(), args().nth(2)) {
        (Some("server"), Some(path)) => server(&path),
        (Some("client"), Some(path)) => client(&path),
        _ => Err(Error::other("usage: std_unixstream server | client <local_path>")),
    }
}
