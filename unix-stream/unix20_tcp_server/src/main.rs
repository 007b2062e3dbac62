//! Notes: a stream server on a local path, for one connection and one message.
//!
//! What tcp10_server is on a port, with an answer; the path stays behind when it ends and is
//! removed at the next start.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    // the name of the socket file
    let sockerFileName: &CStr = c"/tmp/unix_tcp";

    unlink(sockerFileName.as_ptr());

    let sockfd: c_int = socket(AF_LOCAL, SOCK_STREAM, 0);

    // unix(7)
    let (mut addressAddr, mut clientAddr): (sockaddr_un, sockaddr_un) = zeroed(); // fix: address not zeroed
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(addressAddr.sun_path.as_mut_ptr(), sockerFileName.as_ptr());

    let mut returnValue: c_int;

    returnValue = bind(sockfd, &raw const addressAddr as *const sockaddr, size_of_val(&addressAddr) as socklen_t);
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    returnValue = listen(sockfd, 128);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let mut clientAddrLen: socklen_t = size_of_val(&clientAddr) as socklen_t;
    let connfd: c_int = accept(sockfd, &raw mut clientAddr as *mut sockaddr, &mut clientAddrLen);
    printf(c"connfd=%d\r\n".as_ptr(), connfd);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let recvValue: ssize_t = recv(connfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0);
    printf(c"server recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, msg.as_ptr()); // fix: ssize_t as int

    let sendValue: ssize_t = send(connfd, c"server".as_ptr().cast(), 6, 0);
    printf(c"server send bytes=%zd\r\n".as_ptr(), sendValue); // fix: ssize_t as int

    close(connfd);
    close(sockfd);

    0
}
