//! Lecture 7: a stream server on a local path, for one client.
#![no_std]
#![no_main]
#![allow(clippy::if_same_then_else)] // lines 38 to 42 are the original's
use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    if argc != 2 {
        error(1, 0, c"usage: unixstreamserver <local_path>");
    }

    let (listenfd, connfd): (c_int, c_int);
    let mut clilen: socklen_t;
    let (mut cliaddr, mut servaddr): (sockaddr_un, sockaddr_un);

    listenfd = socket(AF_LOCAL, SOCK_STREAM, 0);
    if listenfd < 0 {
        error(1, errno(), c"socket create failed");
    }

    let local_path: *const c_char = check(fits_sun_path(*argv.add(1)), c"local_path too long");
    unlink(local_path);
    servaddr = zeroed();
    servaddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(ptr(&mut servaddr.sun_path), local_path);

    if bind(listenfd, sa(&servaddr), sizeof(&servaddr)) < 0 {
        error(1, errno(), c"bind failed");
    }

    if listen(listenfd, LISTENQ) < 0 {
        error(1, errno(), c"listen failed");
    }
    cliaddr = zeroed();
    clilen = sizeof(&cliaddr);
    connfd = accept(listenfd, sa(&mut cliaddr), &mut clilen);
    if connfd < 0 && errno() == EINTR {
        error(1, errno(), c"accept failed");
    } else if connfd < 0 {
        error(1, errno(), c"accept failed");
    }

    let mut buf = [0 as c_char; BUFFER_SIZE + 1]; // fix: no room for the NUL

    loop {
        bzero(ptr(&mut buf), sizeof(&buf));
        if check(read(connfd, ptr(&mut buf), BUFFER_SIZE), c"read failed") == 0 {
            printf(c"client quit".as_ptr());
            break;
        }
        printf(c"Receive: %s".as_ptr(), &buf);

        let mut send_line = [0 as c_char; MAXLINE];
        bzero(ptr(&mut send_line), MAXLINE);
        snprintf(ptr(&mut send_line), MAXLINE, c"Hi, %s".as_ptr(), &buf); // fix: no room for "Hi, "

        let nbytes: c_int = sizeof(&send_line);

        if write(connfd, ptr(&send_line), nbytes as size_t) != nbytes as ssize_t {
            error(1, errno(), c"write error");
        }
    }
    close(listenfd);
    close(connfd);

    exit(0);
}
