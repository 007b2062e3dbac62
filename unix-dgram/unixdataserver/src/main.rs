//! Lecture 7: a datagram server on a local path; it can answer only clients that have one too.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    if argc != 2 {
        error(1, 0, c"usage: unixdataserver <local_path>");
    }

    let socket_fd: c_int;
    socket_fd = socket(AF_LOCAL, SOCK_DGRAM, 0);
    if socket_fd < 0 {
        error(1, errno(), c"socket create failed");
    }

    let mut servaddr: sockaddr_un;
    let local_path: *const c_char = check(fits_sun_path(*argv.add(1)), c"local_path too long");
    unlink(local_path);
    servaddr = zeroed();
    servaddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(ptr(&mut servaddr.sun_path), local_path);

    if bind(socket_fd, sa(&servaddr), sizeof(&servaddr)) < 0 {
        error(1, errno(), c"bind failed");
    }

    let mut buf = [0 as c_char; BUFFER_SIZE + 1]; // fix: no room for the NUL

    let mut client_addr: sockaddr_un = zeroed();
    loop {
        let mut client_len: socklen_t = sizeof(&client_addr); // fix: client_len not reset
        bzero(ptr(&mut buf), sizeof(&buf));
        let n = recvfrom(socket_fd, ptr(&mut buf), BUFFER_SIZE, 0, sa(&mut client_addr), &mut client_len);
        if check(n, c"recvfrom failed") == 0 {
            printf(c"client quit".as_ptr());
            break;
        }
        printf(c"Receive: %s \n".as_ptr(), &buf);
        let mut send_line = MaybeUninit::<[c_char; MAXLINE + 5]>::uninit(); // fix: no room for "Hi, "
        bzero(ptr(&mut send_line), MAXLINE);
        sprintf(ptr(&mut send_line), c"Hi, %s".as_ptr(), &buf);

        let nbytes: size_t = strlen(ptr(&send_line));
        printf(c"now sending: %s \n".as_ptr(), &send_line);

        if sendto(socket_fd, ptr(&send_line), nbytes, 0, sa(&client_addr), client_len) != nbytes as ssize_t {
            error(1, errno(), c"sendto error");
        }
    }
    close(socket_fd);

    exit(0);
}
