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
    strcpy(servaddr.sun_path.as_mut_ptr(), check(fits_sun_path(*argv.add(1)), c"local_path too long")); // fix: path past sun_path

    if connect(sockfd, &raw const servaddr as *const sockaddr, size_of_val(&servaddr) as socklen_t) < 0 {
        error(1, errno(), c"connect failed");
    }

    let mut send_line: [c_char; MAXLINE];
    send_line = zeroed();
    let mut recv_line: [c_char; MAXLINE + 1] = zeroed(); // fix: no room for the NUL

    while !fgets(send_line.as_mut_ptr(), MAXLINE as c_int, stdin).is_null() {
        set_errno(0); // fix: stale errno
        let nbytes: ssize_t = size_of_val(&send_line) as ssize_t;
        if write(sockfd, send_line.as_ptr().cast(), nbytes as size_t) != nbytes {
            error(1, errno(), c"write error");
        }
        match check(read(sockfd, recv_line.as_mut_ptr().cast(), MAXLINE), c"read failed" /* fix: unchecked read */) {
            0 => error(1, errno(), c"server terminated prematurely"),
            n => recv_line[n as usize] = 0, // fix: unterminated answer
        }
        fputs(recv_line.as_ptr(), stdout);
    }
    exit(0);
}
