//! Lecture 14: udpclient with a connect, so that it hears of an ICMP refusal.
#![no_std]
#![no_main]
//!
use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    if argc != 2 {
        error(1, 0, c"usage: udpclient1 <IPaddress>");
    }

    let socket_fd: c_int;
    socket_fd = check(socket(AF_INET, SOCK_DGRAM, 0), c"socket failed"); // fix: unchecked socket

    let mut server_addr: sockaddr_in;
    server_addr = zeroed();
    server_addr.sin_family = AF_INET as sa_family_t;
    server_addr.sin_port = htons(SERV_PORT);
    check(parsed(inet_pton(AF_INET, *argv.add(1), &raw mut server_addr.sin_addr as *mut c_void)), c"inet_pton failed"); // fix: unchecked inet_pton

    let server_len: socklen_t = size_of_val(&server_addr) as socklen_t;

    if connect(socket_fd, &raw const server_addr as *const sockaddr, server_len) != 0 {
        error(1, errno(), c"connect failed");
    }

    let reply_addr: *mut sockaddr;
    reply_addr = malloc(server_len as size_t) as *mut sockaddr;

    let (mut send_line, mut recv_line): ([c_char; MAXLINE], [c_char; MAXLINE + 1]) = zeroed();
    let mut len: socklen_t;
    let mut n: ssize_t; // fix: ssize_t as int

    while !fgets(send_line.as_mut_ptr(), MAXLINE as c_int, stdin).is_null() {
        let i: size_t = strlen(send_line.as_ptr()).max(1); // fix: index -1
        if send_line[i - 1] == b'\n' as c_char {
            send_line[i - 1] = 0;
        }

        printf(c"now sending %s\n".as_ptr(), send_line.as_ptr());
        let rt: ssize_t = sendto(socket_fd, send_line.as_ptr().cast(), strlen(send_line.as_ptr()), 0, &raw const server_addr as *const sockaddr, server_len); // fix: ssize_t as size_t
        if rt < 0 {
            error(1, errno(), c"sendto failed");
        }
        printf(c"send bytes: %zd \n".as_ptr(), rt);

        len = 0;
        recv_line[0] = 0;
        n = recvfrom(socket_fd, recv_line.as_mut_ptr().cast(), MAXLINE, 0, reply_addr, &mut len);
        if n < 0 {
            error(1, errno(), c"recvfrom failed");
        }
        fputs(terminate(&mut recv_line, n), stdout);
        fputs(c"\n".as_ptr(), stdout);
    }

    // end of input
    exit(0);
}
