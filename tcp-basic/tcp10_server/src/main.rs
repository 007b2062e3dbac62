//! Notes: a TCP server for one connection and one message; it sends nothing back.
//!
//! The errno that it prints after a call is from this call only if it failed.
#![no_std]
#![no_main]

use common::*; // fix: strerror undeclared

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    printf(c"tcp server start,pid=%d\r\n".as_ptr(), getpid());

    // socket(2)
    let sockfd: c_int = socket(AF_INET, SOCK_STREAM, 0);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // A port is big-endian on the wire. 9501 is 0x251d, the bytes 25 1d, and a little-endian
    // machine reads them as 0x1d25; on a big-endian one this would be port 7461. tcp20_server
    // uses htons.
    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed();
    serverAddr.sin_family = AF_INET as sa_family_t;
    serverAddr.sin_port = 0x1d25;
    serverAddr.sin_addr.s_addr = INADDR_ANY;

    let mut returnValue: c_int;

    // bind(2)
    returnValue = bind(sockfd, sa(&serverAddr), sizeof(&serverAddr));
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check(returnValue, c"bind failed");
    // listen(2)
    returnValue = listen(sockfd, 4);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // accept(2)
    let mut clientAddrLen: socklen_t = sizeof(&clientAddr);
    let connfd: c_int = accept(sockfd, sa(&mut clientAddr), &mut clientAddrLen);
    printf(c"client linked,connfd=%d\r\n".as_ptr(), connfd);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // recv(2)
    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let recvBytes: ssize_t = recv(connfd, ptr(&mut msg), 1024, 0);
    printf(c"receive bytes=%zd,msg=%s\r\n".as_ptr(), recvBytes, &msg); // fix: was %d
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    0
}
