//! Lecture 7: a stream server on a local path, for one client.
#![no_std]
#![no_main]
#![allow(clippy::if_same_then_else)] // lines 38 to 41 are the original's
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

    let local_path: *const c_char = check(fits_sun_path(*argv.add(1)), c"local_path too long"); // fix: path past sun_path
    unlink(local_path);
    servaddr = zeroed();
    servaddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(servaddr.sun_path.as_mut_ptr(), local_path);

    if bind(listenfd, &raw const servaddr as *const sockaddr, size_of_val(&servaddr) as socklen_t) < 0 {
        error(1, errno(), c"bind failed");
    }

    if listen(listenfd, LISTENQ) < 0 {
        error(1, errno(), c"listen failed");
    }
    cliaddr = zeroed();
    clilen = size_of_val(&cliaddr) as socklen_t;
    connfd = accept(listenfd, &raw mut cliaddr as *mut sockaddr, &mut clilen);
    if connfd < 0 {
        if errno() == EINTR {
            error(1, errno(), c"accept failed");
        } else {
            error(1, errno(), c"accept failed");
        }
    }
    let mut buf: MaybeUninit<[c_char; BUFFER_SIZE + 1]> = MaybeUninit::uninit(); // fix: no room for the NUL
    loop {
        bzero(buf.as_mut_ptr().cast(), size_of_val(&buf));
        if check(read(connfd, buf.as_mut_ptr().cast(), BUFFER_SIZE), c"read failed" /* fix: unchecked read */) == 0 {
            printf(c"client quit".as_ptr());
            break;
        }
        printf(c"Receive: %s".as_ptr(), buf.as_ptr());

        let mut send_line: MaybeUninit<[c_char; MAXLINE]> = MaybeUninit::uninit();
        bzero(send_line.as_mut_ptr().cast(), MAXLINE);
        snprintf(send_line.as_mut_ptr().cast(), size_of_val(&send_line), c"Hi, %s".as_ptr(), buf.as_ptr()); // fix: no room for "Hi, "

        let nbytes: ssize_t = size_of_val(&send_line) as ssize_t;
        set_errno(0); // fix: stale errno
        if write(connfd, send_line.as_ptr().cast(), nbytes as size_t) != nbytes {
            error(1, errno(), c"write error");
        }
    }
    close(listenfd);
    close(connfd);

    exit(0);
}
