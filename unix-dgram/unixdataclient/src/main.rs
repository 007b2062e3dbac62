//! Lecture 7: binds a path of its own, so that the server can answer, and sends each line it reads.
#![no_std]
#![no_main]

use common::*;
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    if argc != 2 {
        error(1, 0, c"usage: unixdataclient <local_path>");
    }

    let sockfd: c_int;
    let (mut client_addr, mut server_addr): (sockaddr_un, sockaddr_un);

    sockfd = socket(AF_LOCAL, SOCK_DGRAM, 0);
    if sockfd < 0 {
        error(1, errno(), c"create socket failed");
    }

    client_addr = zeroed(); // the client has a path, too
    client_addr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(ptr(&mut client_addr.sun_path), check(tmpnam(null_mut()), c"tmpnam failed"));

    if bind(sockfd, sa(&client_addr), sizeof(&client_addr)) < 0 {
        error(1, errno(), c"bind failed");
    }

    server_addr = zeroed();
    server_addr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(ptr(&mut server_addr.sun_path), check(fits_sun_path(*argv.add(1)), c"local_path too long"));
    let server_len: socklen_t = sizeof(&server_addr);
    let mut send_line: [c_char; MAXLINE];
    send_line = zeroed();
    let mut recv_line = [0 as c_char; MAXLINE + 1]; // fix: no room for the NUL
    let mut n: ssize_t; // fix: was int
    while !fgets(ptr(&mut send_line), MAXLINE as c_int, stdin).is_null() {
        let i: size_t = strlen(ptr(&send_line)); // fix: was int
        if i > 0 && send_line[i - 1] == b'\n' as c_char {
            send_line[i - 1] = 0; // fix: send_line[-1]
        }
        let nbytes: size_t = strlen(ptr(&send_line));
        printf(c"now sending %s \n".as_ptr(), &send_line);

        if sendto(sockfd, ptr(&send_line), nbytes, 0, sa(&server_addr), server_len) != nbytes as ssize_t {
            error(1, errno(), c"sendto error");
        }
        n = recvfrom(sockfd, ptr(&mut recv_line), MAXLINE, 0, null_mut(), null_mut());
        check(n, c"recvfrom failed");
        terminate(&mut recv_line, n);
        fputs(ptr(&recv_line), stdout);
        fputs(c"\n".as_ptr(), stdout);
    }

    exit(0);
}
