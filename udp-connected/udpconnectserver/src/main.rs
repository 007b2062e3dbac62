//! Lecture 14: a UDP server that connects to the first client that sends, and serves only this one,
//! until "goodbye".
//!
#![no_std]
#![no_main]
//!
//! As in the original, the first datagram is not counted.

use common::*;

static count: AtomicI32 = AtomicI32::new(0);

unsafe extern "C" fn recvfrom_int(_signo: c_int) {
    printf(c"\nreceived %d datagrams\n".as_ptr(), count.load(Relaxed));
    exit(0);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let socket_fd: c_int;
    socket_fd = check(socket(AF_INET, SOCK_DGRAM, 0), c"socket failed");

    let mut server_addr: sockaddr_in;
    server_addr = zeroed();
    server_addr.sin_family = AF_INET as sa_family_t;
    server_addr.sin_addr.s_addr = htonl(INADDR_ANY);
    server_addr.sin_port = htons(SERV_PORT);

    check(bind(socket_fd, sa(&server_addr), sizeof(&server_addr)), c"bind failed");

    let mut client_len: socklen_t;
    let mut message = [0 as c_char; MAXLINE + 1]; // fix: no room for the NUL
    message[0] = 0;
    count.store(0, Relaxed);

    signal(SIGINT, recvfrom_int); // fix: handler's printf inside printf

    let mut client_addr: sockaddr_in = zeroed();
    client_len = sizeof(&client_addr);
    let n: ssize_t; // fix: was int
    n = recvfrom(socket_fd, ptr(&mut message), MAXLINE, 0, sa(&mut client_addr), &mut client_len);
    if n < 0 {
        error(1, errno(), c"recvfrom failed");
    }
    terminate(&mut message, n);
    uninterrupted(|| printf(c"received %zd bytes: %s\n".as_ptr(), n, &message)); // fix: was %d

    if connect(socket_fd, sa(&client_addr), client_len) != 0 {
        error(1, errno(), c"connect failed");
    }

    while strncmp(ptr(&message), c"goodbye".as_ptr(), 7) != 0 {
        let mut send_line = MaybeUninit::<[c_char; MAXLINE + 5]>::uninit(); // fix: no room for "Hi, "
        sprintf(ptr(&mut send_line), c"Hi, %s".as_ptr(), &message);

        let rt: ssize_t = send(socket_fd, ptr(&send_line), strlen(ptr(&send_line)), 0); // fix: was size_t
        if rt < 0 {
            error(1, errno(), c"send failed ");
        }
        uninterrupted(|| printf(c"send bytes: %zd \n".as_ptr(), rt)); // fix: was %zu

        let rc: ssize_t = recv(socket_fd, ptr(&mut message), MAXLINE, 0); // fix: was size_t
        if rc < 0 {
            error(1, errno(), c"recv failed");
        }
        terminate(&mut message, rc); // fix: unterminated message
        count.fetch_add(1, Relaxed);
    }

    uninterrupted(|| exit(0))
}
