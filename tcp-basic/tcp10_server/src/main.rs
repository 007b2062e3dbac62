//! Notes: a TCP server for one connection and one message; it sends nothing back.
//!
//! The errno it prints after each call is that call's only if the call failed.
#![no_std]
#![no_main]

use common::*; // fix: missing include

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    printf(c"tcp server start,pid=%d\r\n".as_ptr(), getpid());

    // socket(2)
    let sockfd: c_int = socket(AF_INET, SOCK_STREAM, 0);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // A port is big-endian on the wire. 9501 is 0x251d, the bytes 25 1d, and a little-endian
    // machine reads them as 0x1d25; for a big-endian one this is port 7461. tcp20_server leaves
    // it to htons.
    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed(); // fix: address not zeroed
    serverAddr.sin_family = AF_INET as sa_family_t;
    serverAddr.sin_port = 0x1d25;
    serverAddr.sin_addr.s_addr = INADDR_ANY;

    let (mut returnValue, err): (c_int, c_int);

    // bind(2)
    (returnValue, err) = (bind(sockfd, &raw const serverAddr as *const sockaddr, size_of_val(&serverAddr) as socklen_t), errno());
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check((returnValue, err), c"bind failed"); // fix: unchecked bind
    // listen(2)
    returnValue = listen(sockfd, 4);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // accept(2)
    let mut clientAddrLen: socklen_t = size_of_val(&clientAddr) as socklen_t;
    let connfd: c_int = accept(sockfd, &raw mut clientAddr as *mut sockaddr, &mut clientAddrLen);
    printf(c"client linked,connfd=%d\r\n".as_ptr(), connfd);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    // recv(2)
    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let recvBytes: ssize_t = recv(connfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0);
    printf(c"receive bytes=%zd,msg=%s\r\n".as_ptr(), recvBytes, msg.as_ptr()); // fix: ssize_t as int
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    0
}
