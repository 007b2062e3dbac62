//! Notes: an HTTP server in a loop, one connection and one request at a time.
//!
//! A client that connects and sends nothing makes all others wait, as in the original.
#![no_std]
#![no_main]

use common::*;

// Here and in tcp20_server the answer is the same whatever the request says.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    printf(c"tcp server start,pid=%d\r\n".as_ptr(), getpid());

    let sockfd: c_int = check(socket(AF_INET, SOCK_STREAM, 0), c"socket failed");

    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed();
    serverAddr.sin_family = AF_INET as sa_family_t;
    serverAddr.sin_port = htons(9501);
    serverAddr.sin_addr.s_addr = inet_addr(c"0.0.0.0".as_ptr());

    let mut returnValue: c_int;

    // The original has a setsockopt here, in a comment. It is needed because this side closes
    // first: the kernel keeps the connection for a minute (TIME_WAIT), and until then a new
    // server could not bind the port.
    let report: c_int = 1;
    setsockopt(sockfd, SOL_SOCKET, SO_REUSEADDR, ptr(&report), sizeof(&report)); // fix: port in TIME_WAIT

    returnValue = bind(sockfd, sa(&serverAddr), sizeof(&serverAddr));
    printf(c"bind returnValue=%d".as_ptr(), returnValue);
    check(returnValue, c"bind failed");
    returnValue = listen(sockfd, 5);
    printf(c"listen returnValue=%d\r\n".as_ptr(), returnValue);
    check(returnValue, c"listen failed");
    loop {
        let mut clientAddrLen: socklen_t = sizeof(&clientAddr);
        let connfd: c_int = accept(sockfd, sa(&mut clientAddr), &mut clientAddrLen);
        printf(c"client linked,connfd=%d\r\n".as_ptr(), connfd);
        check(connfd, c"accept failed");
        let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
        // `recvBytes @ 1..`: a result >= 1 is recvBytes, else the block: the client has left
        let recvBytes @ 1.. = recv(connfd, ptr(&mut msg), 1024, 0) else {
            close(connfd);
            printf(c"client close,connfd=%d\r\n".as_ptr(), connfd);
            continue; // fix: closed descriptor used
        };
        printf(c"receive bytes=%zd,msg=%s\r\n".as_ptr(), recvBytes, &msg); // fix: was %d

        // fix: HTTP status line; closing NUL sent
        let resp = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";
        let sendBytes: ssize_t = send(connfd, ptr(resp), sizeof(resp), MSG_NOSIGNAL); // fix: SIGPIPE
        printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: was %d

        // the message is done with
        memset(ptr(&mut msg), 0, sizeof(&msg));
        // If bytes are left unread, close resets the connection, and the client may lose the answer.
        for _ in 0..100 {
            if recv(connfd, ptr(&mut msg), 1024, MSG_DONTWAIT) <= 0 {
                break; // fix: rest of a long request
            }
        }
        close(connfd); // fix: connfd never closed
    }
}
