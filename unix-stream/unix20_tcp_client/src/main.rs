//! Notes: the client of unix20_tcp_server: one message, one answer.
//!
//! Without the server it goes on, as the original does, and prints what each call returns: a send
//! on a local socket that is not connected fails with ENOTCONN and raises no SIGPIPE.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    let sockerFileName: &CStr = c"/tmp/unix_tcp";

    let sockfd: c_int = socket(AF_LOCAL, SOCK_STREAM, 0);

    let (mut addressAddr, _clientAddr): (sockaddr_un, sockaddr_un) = zeroed();
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(ptr(&mut addressAddr.sun_path), sockerFileName.as_ptr());

    let returnValue: c_int = connect(sockfd, sa(&addressAddr), sizeof(&addressAddr));
    printf(c"connect returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let sendValue: ssize_t = send(sockfd, ptr(c"server"), 6, 0);
    printf(c"client send bytes=%zd".as_ptr(), sendValue); // fix: was %d

    let recvValue: ssize_t = recv(sockfd, ptr(&mut msg), 1024, 0);
    printf(c"client recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, &msg); // fix: was %d

    close(sockfd);

    0
}
