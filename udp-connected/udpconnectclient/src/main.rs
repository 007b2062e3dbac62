//! Lecture 14: udpclient with connect, so that the kernel reports an ICMP refusal to it.
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
    socket_fd = check(socket(AF_INET, SOCK_DGRAM, 0), c"socket failed");

    let mut server_addr: sockaddr_in;
    server_addr = zeroed();
    server_addr.sin_family = AF_INET as sa_family_t;
    server_addr.sin_port = htons(SERV_PORT);
    if inet_pton(AF_INET, *argv.add(1), ptr(&mut server_addr.sin_addr)) != 1 {
        error(1, EINVAL, c"inet_pton failed"); // fix: unchecked inet_pton
    }
    let server_len: socklen_t = sizeof(&server_addr);
    if connect(socket_fd, sa(&server_addr), server_len) != 0 {
        error(1, errno(), c"connect failed");
    }

    let reply_addr: *mut sockaddr;
    reply_addr = malloc(server_len as size_t) as *mut sockaddr;

    let (mut send_line, mut recv_line) = ([0 as c_char; MAXLINE], [0 as c_char; MAXLINE + 1]);
    let mut len: socklen_t;
    let mut n: ssize_t; // fix: was int
    let mut rt: ssize_t; // fix: was size_t
    while !fgets(ptr(&mut send_line), MAXLINE as c_int, stdin).is_null() {
        let i: size_t = strlen(ptr(&send_line)); // fix: was int
        if i > 0 && send_line[i - 1] == b'\n' as c_char {
            send_line[i - 1] = 0; // fix: send_line[-1]
        }

        printf(c"now sending %s\n".as_ptr(), &send_line);
        rt = sendto(socket_fd, ptr(&send_line), strlen(ptr(&send_line)), 0, sa(&server_addr), server_len);
        if rt < 0 {
            error(1, errno(), c"sendto failed");
        }
        printf(c"send bytes: %zd \n".as_ptr(), rt); // fix: was %zu

        len = 0;
        recv_line[0] = 0;
        n = recvfrom(socket_fd, ptr(&mut recv_line), MAXLINE, 0, reply_addr, &mut len);
        if n < 0 {
            error(1, errno(), c"recvfrom failed");
        }
        fputs(terminate(&mut recv_line, n), stdout);
        fputs(c"\n".as_ptr(), stdout);
    }

    // end of input
    exit(0);
}
