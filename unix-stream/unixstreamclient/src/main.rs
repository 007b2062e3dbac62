//! Lecture 7: sends each line it reads as a block of MAXLINE bytes and prints the answer.
#![no_std]
#![no_main]
use common::*;
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    if argc != 2 {
        error(1, 0, c"usage: unixstreamclient <local_path>");
    }

    let sockfd: c_int;
    let mut servaddr: sockaddr_un;

    sockfd = socket(AF_LOCAL, SOCK_STREAM, 0);
    if sockfd < 0 {
        error(1, errno(), c"create socket failed");
    }

    servaddr = zeroed();
    servaddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(ptr(&mut servaddr.sun_path), check(fits_sun_path(*argv.add(1)), c"local_path too long"));

    if connect(sockfd, sa(&servaddr), sizeof(&servaddr)) < 0 {
        error(1, errno(), c"connect failed");
    }

    let mut send_line: [c_char; MAXLINE];
    send_line = zeroed();
    let mut recv_line = [0 as c_char; MAXLINE + 1]; // fix: no room for the NUL

    while !fgets(ptr(&mut send_line), MAXLINE as c_int, stdin).is_null() {
        bzero(ptr(&mut recv_line), MAXLINE); // fix: unterminated answer
        let nbytes: c_int = sizeof(&send_line);
        if write(sockfd, ptr(&send_line), nbytes as size_t) != nbytes as ssize_t {
            error(1, errno(), c"write error");
        }
        if check(read(sockfd, ptr(&mut recv_line), MAXLINE), c"read failed") == 0 {
            error(1, errno(), c"server terminated prematurely");
        }
        fputs(ptr(&recv_line), stdout);
    }

    exit(0);
}
