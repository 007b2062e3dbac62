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

    client_addr = zeroed(); /* bind an address for us */
    client_addr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(client_addr.sun_path.as_mut_ptr(), check(tmpnam(null_mut()), c"tmpnam failed")); // fix: unchecked tmpnam

    if bind(sockfd, &raw const client_addr as *const sockaddr, size_of_val(&client_addr) as socklen_t) < 0 {
        error(1, errno(), c"bind failed");
    }

    server_addr = zeroed();
    server_addr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(server_addr.sun_path.as_mut_ptr(), check(fits_sun_path(*argv.add(1)), c"local_path too long")); // fix: path past sun_path

    let mut send_line: [c_char; MAXLINE];
    send_line = zeroed();
    let mut recv_line: [c_char; MAXLINE + 1] = zeroed(); // fix: no room for the NUL

    while !fgets(send_line.as_mut_ptr(), MAXLINE as c_int, stdin).is_null() {
        let i: size_t = strlen(send_line.as_ptr()).max(1); // fix: index -1
        if send_line[i - 1] == b'\n' as c_char {
            send_line[i - 1] = 0;
        }
        let nbytes: size_t = strlen(send_line.as_ptr());
        printf(c"now sending %s \n".as_ptr(), send_line.as_ptr());
        set_errno(0); // fix: stale errno
        if sendto(sockfd, send_line.as_ptr().cast(), nbytes, 0, &raw const server_addr as *const sockaddr, size_of_val(&server_addr) as socklen_t) != nbytes as ssize_t {
            error(1, errno(), c"sendto error");
        }
        let n: ssize_t = check(recvfrom(sockfd, recv_line.as_mut_ptr().cast(), MAXLINE, 0, null_mut(), null_mut()), c"recvfrom failed"); // fix: unchecked recvfrom
        recv_line[n as usize] = 0;

        fputs(recv_line.as_ptr(), stdout);
        fputs(c"\n".as_ptr(), stdout);
    }

    exit(0);
}
