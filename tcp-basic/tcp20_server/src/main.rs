//! Notes: an HTTP server for one connection: any request is answered "hello, world".
//!
//! It closes first, so its port stays in use for a minute (TIME_WAIT): a second run cannot bind it.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    printf(c"tcp server start,pid=%d\r\n".as_ptr(), getpid());

    let sockfd: c_int = check(socket(AF_INET, SOCK_STREAM, 0), c"socket failed");

    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed();
    serverAddr.sin_family = AF_INET as sa_family_t;
    // htons(3)
    serverAddr.sin_port = htons(9501);
    // inet_addr(3)
    serverAddr.sin_addr.s_addr = inet_addr(c"0.0.0.0".as_ptr());

    let mut returnValue: c_int;

    returnValue = bind(sockfd, sa(&serverAddr), sizeof(&serverAddr));
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    check(returnValue, c"bind failed");
    returnValue = listen(sockfd, 4);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);

    let mut clientAddrLen: socklen_t = sizeof(&clientAddr);
    let connfd: c_int = accept(sockfd, sa(&mut clientAddr), &mut clientAddrLen);
    printf(c"client linked,connfd=%d\r\n".as_ptr(), connfd);

    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let recvBytes: ssize_t = recv(connfd, ptr(&mut msg), 1024, 0);
    printf(c"receive bytes=%zd,msg=%s\r\n".as_ptr(), recvBytes, &msg); // fix: was %d

    // fix: HTTP status line; closing NUL sent
    let resp = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";
    let sendBytes: ssize_t = send(connfd, ptr(resp), sizeof(resp), 0);
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: was %d

    0
}
