//! Notes: a stream server on a local path, for one connection and one message.
//!
//! Like tcp10_server, but on a path and with an answer. The path stays when the server ends and is
//! removed at the next start.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    // the name of the socket file
    let sockerFileName: &CStr = c"/tmp/unix_tcp";

    unlink(sockerFileName.as_ptr());

    let sockfd: c_int = socket(AF_LOCAL, SOCK_STREAM, 0);

    // unix(7)
    let (mut addressAddr, mut clientAddr): (sockaddr_un, sockaddr_un) = zeroed();
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(ptr(&mut addressAddr.sun_path), sockerFileName.as_ptr());

    let mut returnValue: c_int;

    returnValue = bind(sockfd, sa(&addressAddr), sizeof(&addressAddr));
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    returnValue = listen(sockfd, 128);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let mut clientAddrLen: socklen_t = sizeof(&clientAddr);
    let connfd: c_int = accept(sockfd, sa(&mut clientAddr), &mut clientAddrLen);
    printf(c"connfd=%d\r\n".as_ptr(), connfd);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let recvValue: ssize_t = recv(connfd, ptr(&mut msg), 1024, 0);
    printf(c"server recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, &msg); // fix: was %d

    let sendValue: ssize_t = send(connfd, ptr(c"server"), 6, 0);
    printf(c"server send bytes=%zd\r\n".as_ptr(), sendValue); // fix: was %d

    close(connfd);
    close(sockfd);

    0
}
