//! Notes: an HTTP server for one connection: any request is answered "hello, world".
//!
//! It ends first, so its port stays taken for a minute (TIME_WAIT): a second run says so.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    printf(c"tcp server start,pid=%d\r\n".as_ptr(), getpid());

    let sockfd: c_int = check(socket(AF_INET, SOCK_STREAM, 0), c"socket failed"); // fix: unchecked socket

    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed(); // fix: address not zeroed
    serverAddr.sin_family = AF_INET as sa_family_t;
    // htons(3)
    serverAddr.sin_port = htons(9501);
    // inet_addr(3)
    serverAddr.sin_addr.s_addr = inet_addr(c"0.0.0.0".as_ptr());

    let (mut returnValue, err): (c_int, c_int);

    (returnValue, err) = (bind(sockfd, &raw const serverAddr as *const sockaddr, size_of_val(&serverAddr) as socklen_t), errno());
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    check((returnValue, err), c"bind failed"); // fix: unchecked bind
    returnValue = listen(sockfd, 4);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);

    let mut clientAddrLen: socklen_t = size_of_val(&clientAddr) as socklen_t;
    let connfd: c_int = accept(sockfd, &raw mut clientAddr as *mut sockaddr, &mut clientAddrLen);
    printf(c"client linked,connfd=%d\r\n".as_ptr(), connfd);

    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let recvBytes: ssize_t = recv(connfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0);
    printf(c"receive bytes=%zd,msg=%s\r\n".as_ptr(), recvBytes, msg.as_ptr()); // fix: ssize_t as int

    // a byte string has no closing NUL that Content-Length would not count
    let resp = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world"; // fix: HTTP status line
    let sendBytes: ssize_t = send(connfd, resp.as_ptr().cast(), size_of_val(resp), 0); // fix: closing NUL sent
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: ssize_t as int

    0
}
