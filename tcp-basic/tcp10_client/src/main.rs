//! Notes: a TCP client that sends one message. Without a server its send raises SIGPIPE, which
//! ends it.
//!
#![no_std]
#![no_main]

use common::*; // fix: strerror undeclared

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    printf(c"tcp client start,pid=%d\r\n".as_ptr(), getpid());

    let sockfd: c_int = socket(AF_INET, SOCK_STREAM, 0);

    let mut clientAddr: sockaddr_in = zeroed();
    clientAddr.sin_family = AF_INET as sa_family_t;
    clientAddr.sin_port = 0x1d25;
    clientAddr.sin_addr.s_addr = INADDR_ANY;

    // connect(2); 0.0.0.0 means this host
    let returnValue: c_int = connect(sockfd, sa(&clientAddr), sizeof(&clientAddr));
    printf(c"connect returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // send(2)
    let sendBytes: ssize_t = send(sockfd, ptr(c"hello"), 5, 0);
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: was %d
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    0
}
