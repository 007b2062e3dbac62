//! Lecture 14: a UDP server that connects to the first client that writes and serves it alone,
//! until "goodbye".
//!
#![no_std]
#![no_main]
//!
//! The count is the original's: the first datagram is not in it.

use common::*;

static mut count: c_int = 0;

unsafe extern "C" fn recvfrom_int(_signo: c_int) {
    printf(c"\nreceived %d datagrams\n".as_ptr(), count);
    exit(0);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let socket_fd: c_int;
    socket_fd = check(socket(AF_INET, SOCK_DGRAM, 0), c"socket failed"); // fix: unchecked socket

    let mut server_addr: sockaddr_in;
    server_addr = zeroed();
    server_addr.sin_family = AF_INET as sa_family_t;
    server_addr.sin_addr.s_addr = htonl(INADDR_ANY);
    server_addr.sin_port = htons(SERV_PORT);

    check(bind(socket_fd, &raw const server_addr as *const sockaddr, size_of_val(&server_addr) as socklen_t), c"bind failed"); // fix: unchecked bind

    let mut client_len: socklen_t;
    let mut message: [c_char; MAXLINE + 1] = zeroed(); // fix: no room for the NUL
    message[0] = 0;
    count = 0;

    signal(SIGINT, recvfrom_int);

    let mut client_addr: sockaddr_in = zeroed();
    client_len = size_of_val(&client_addr) as socklen_t;

    let n: ssize_t = recvfrom(socket_fd, message.as_mut_ptr().cast(), MAXLINE, 0, &raw mut client_addr as *mut sockaddr, &mut client_len); // fix: ssize_t as int
    if n < 0 {
        error(1, errno(), c"recvfrom failed");
    }
    message[n as usize] = 0;
    uninterrupted(|| printf(c"received %zd bytes: %s\n".as_ptr(), n, message.as_ptr())); // fix: interrupted stdio

    if connect(socket_fd, &raw const client_addr as *const sockaddr, client_len) != 0 {
        error(1, errno(), c"connect failed");
    }

    while strncmp(message.as_ptr(), c"goodbye".as_ptr(), 7) != 0 {
        let mut send_line: MaybeUninit<[c_char; MAXLINE + 5]> = MaybeUninit::uninit(); // fix: no room for "Hi, "
        sprintf(send_line.as_mut_ptr().cast(), c"Hi, %s".as_ptr(), message.as_ptr());

        let rt: ssize_t = send(socket_fd, send_line.as_ptr().cast(), strlen(send_line.as_ptr().cast()), 0); // fix: ssize_t as size_t
        if rt < 0 {
            error(1, errno(), c"send failed ");
        }
        uninterrupted(|| printf(c"send bytes: %zd \n".as_ptr(), rt)); // fix: interrupted stdio

        let rc: ssize_t = recv(socket_fd, message.as_mut_ptr().cast(), MAXLINE, 0); // fix: ssize_t as size_t
        if rc < 0 {
            error(1, errno(), c"recv failed");
        }
        message[rc as usize] = 0; // fix: unterminated message
        count += 1;
    }

    uninterrupted(|| exit(0)) // fix: interrupted stdio
}
