//! The uppercase pair with std: `std_upper server`, and `std_upper client`.
//!
//! What strace shows that the port does not do: `recvfrom` and `sendto` with MSG_NOSIGNAL in place of `read` and `write`.
//! What it does not show: the client's `bind` and the server's `stat`. In std a stream cannot bind before it connects, so
//! the client has no path, and the server cannot see whose it is. (tokio's can, without a path: SO_PEERCRED.)
use std::env::args;
use std::fs::remove_file;
use std::io::{Error, Read, Result, Write, stdin, stdout};
use std::os::unix::net::{UnixListener, UnixStream};

const PATH: &str = "foo.socket";

fn server() -> Result<()> {
    // There may be none.
    let _ = remove_file(PATH);
    let (mut client, _) = UnixListener::bind(PATH)?.accept()?;
    let mut message = [0; 1024];
    loop {
        let n = client.read(&mut message)?;
        if n == 0 {
            break;
        }
        message[..n].make_ascii_uppercase();
        client.write_all(&message[..n])?;
    }
    println!("the other side has been closed.");
    Ok(())
}

fn client() -> Result<()> {
    let mut server = UnixStream::connect(PATH)?;
    let (mut line, mut answer) = (String::new(), [0; 1024]);
    while stdin().read_line(&mut line)? > 0 {
        server.write_all(line.as_bytes())?;
        let n = server.read(&mut answer)?;
        stdout().write_all(&answer[..n])?;
        line.clear();
    }
    Ok(())
}

fn main() -> Result<()> {
    match args().nth(1).as_deref() {
        Some("server") => server(),
        Some("client") => client(),
        _ => Err(Error::other("usage: std_upper server | client")),
    }
}
