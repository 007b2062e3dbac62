//! Notes: an HTTP server that runs on, one connection and one request at a time.
//!
//! A client that connects and says nothing makes all others wait, as in the original.
#![no_std]
#![no_main]

use common::*;

// Here and in tcp20_server the answer is the same whatever the request says.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    printf(c"tcp server start,pid=%d\r\n".as_ptr(), getpid());

    let sockfd: c_int = check(socket(AF_INET, SOCK_STREAM, 0), c"socket failed"); // fix: unchecked socket

    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed(); // fix: address not zeroed
    serverAddr.sin_family = AF_INET as sa_family_t;
    serverAddr.sin_port = htons(9501);
    serverAddr.sin_addr.s_addr = inet_addr(c"0.0.0.0".as_ptr());

    let (mut returnValue, mut err): (c_int, c_int);

    // The original has a setsockopt here, in a comment. Once this side is the first to close, it
    // is needed: the kernel keeps the connection for a minute (TIME_WAIT), in which a server that
    // is started again could not bind the port.
    let report: c_int = 1;
    setsockopt(sockfd, SOL_SOCKET, SO_REUSEADDR, &raw const report as *const c_void, size_of_val(&report) as socklen_t); // fix: port in TIME_WAIT

    (returnValue, err) = (bind(sockfd, &raw const serverAddr as *const sockaddr, size_of_val(&serverAddr) as socklen_t), errno());
    printf(c"bind returnValue=%d".as_ptr(), returnValue);
    check((returnValue, err), c"bind failed"); // fix: unchecked bind
    (returnValue, err) = (listen(sockfd, 5), errno());
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);
    check((returnValue, err), c"listen failed"); // fix: unchecked listen
    loop {
        let mut clientAddrLen: socklen_t = size_of_val(&clientAddr) as socklen_t;
        let (connfd, err): (c_int, c_int) = (accept(sockfd, &raw mut clientAddr as *mut sockaddr, &mut clientAddrLen), errno());
        printf(c"client linked,connfd=%d\r\n".as_ptr(), connfd);
        check((if matches!(err, ECONNABORTED | EINTR) { 0 } else { connfd }, err), c"accept failed"); // fix: unchecked accept
        let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
        // from 1 byte up it is a request; 0 or -1 is a client that left
        let recvBytes @ 1.. = recv(connfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0) else {
            close(connfd);
            printf(c"client close,connfd=%d\r\n".as_ptr(), connfd);
            continue; // fix: closed descriptor used
        };
        printf(c"receive bytes=%zd,msg=%s\r\n".as_ptr(), recvBytes, msg.as_ptr()); // fix: ssize_t as int

        // a byte string has no closing NUL that Content-Length would not count
        let resp = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world"; // fix: HTTP status line
        let sendBytes: ssize_t = send(connfd, resp.as_ptr().cast(), size_of_val(resp), MSG_NOSIGNAL /* fix: SIGPIPE */); // fix: closing NUL sent
        printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: ssize_t as int
        while recv(connfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, MSG_DONTWAIT) > 0 {} // fix: request longer than msg
        close(connfd); // fix: descriptor leak
        memset(msg.as_mut_ptr().cast(), 0, size_of_val(&msg));
    }
}
