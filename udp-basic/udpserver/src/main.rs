//! Lecture 6: answers every datagram, counts them, and prints the count on ^C.
#![no_std]
#![no_main]

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
    count = 0;

    signal(SIGINT, recvfrom_int);

    let mut client_addr: sockaddr_in = zeroed();
    loop {
        client_len = size_of_val(&client_addr) as socklen_t; // fix: client_len not reset
        let n: ssize_t = check(recvfrom(socket_fd, message.as_mut_ptr().cast(), MAXLINE, 0, &raw mut client_addr as *mut sockaddr, &mut client_len), c"recvfrom failed"); // fix: unchecked recvfrom
        message[n as usize] = 0;
        uninterrupted(|| printf(c"received %zd bytes: %s\n".as_ptr(), n, message.as_ptr())); // fix: interrupted stdio

        let mut send_line: MaybeUninit<[c_char; MAXLINE + 5]> = MaybeUninit::uninit(); // fix: no room for "Hi, "
        sprintf(send_line.as_mut_ptr().cast(), c"Hi, %s".as_ptr(), message.as_ptr());

        if sendto(socket_fd, send_line.as_ptr().cast(), strlen(send_line.as_ptr().cast()), 0, &raw const client_addr as *const sockaddr, client_len) < 0 {
            error(0, errno(), c"sendto failed"); // fix: unchecked sendto
        }
        count += 1;
    }
}
