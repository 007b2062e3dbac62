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
    let local_path: *const c_char = check(fits_sun_path(*argv.add(1)), c"local_path too long"); // fix: path past sun_path
    unlink(local_path);
    servaddr = zeroed();
    servaddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(servaddr.sun_path.as_mut_ptr(), local_path);

    if bind(socket_fd, &raw const servaddr as *const sockaddr, size_of_val(&servaddr) as socklen_t) < 0 {
        error(1, errno(), c"bind failed");
    }

    let mut buf: MaybeUninit<[c_char; BUFFER_SIZE + 1]> = MaybeUninit::uninit(); // fix: no room for the NUL

    let mut client_addr: sockaddr_un = zeroed();
    loop {
        let mut client_len: socklen_t = size_of_val(&client_addr) as socklen_t; // fix: client_len not reset
        bzero(buf.as_mut_ptr().cast(), size_of_val(&buf));
        if check(recvfrom(socket_fd, buf.as_mut_ptr().cast(), BUFFER_SIZE, 0, &raw mut client_addr as *mut sockaddr, &mut client_len), c"recvfrom failed" /* fix: unchecked recvfrom */) == 0 {
            printf(c"client quit".as_ptr());
            break;
        }
        printf(c"Receive: %s \n".as_ptr(), buf.as_ptr());

        let mut send_line: MaybeUninit<[c_char; MAXLINE + 5]> = MaybeUninit::uninit(); // fix: no room for "Hi, "
        bzero(send_line.as_mut_ptr().cast(), MAXLINE);
        sprintf(send_line.as_mut_ptr().cast(), c"Hi, %s".as_ptr(), buf.as_ptr());
        client_len = client_len.min(size_of_val(&client_addr) as socklen_t); // fix: client_len past client_addr
        let nbytes: size_t = strlen(send_line.as_ptr().cast());
        printf(c"now sending: %s \n".as_ptr(), send_line.as_ptr());
        set_errno(0); // fix: stale errno
        if sendto(socket_fd, send_line.as_ptr().cast(), nbytes, 0, &raw const client_addr as *const sockaddr, client_len) != nbytes as ssize_t {
            error(1, errno(), c"sendto error");
        }
    }
    close(socket_fd);

    exit(0);
}
