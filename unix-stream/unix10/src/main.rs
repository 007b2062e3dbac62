//! Notes: a parent and its child on the two ends of a socketpair.
//!
//! Which runs first is not defined. If the child does, recv finds nothing (EAGAIN) and the child
//! leaves; the parent's write then raises SIGPIPE, which ends it.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    let mut fds: [c_int; 2] = [-1; 2]; // fix: fds not initialised
    let returnValue: c_int;

    // socketpair(2); with SOCK_NONBLOCK recv does not wait
    //
    returnValue = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ptr(&mut fds));
    printf(c"socketpair returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let pid: pid_t = check(fork(), c"fork failed");
    if pid == 0 {
        close(fds[1]);
        loop {
            let mut msg = [0 as c_char; 128];
            let returnValue: ssize_t = recv(fds[0], ptr(&mut msg), sizeof(&msg), 0); // fix: was int
            printf(c"child recv bytes=%zd,msg=%s\r\n".as_ptr(), returnValue, &msg); // fix: was %d
            if returnValue <= 0 {
                printf(c"parent close\r\n".as_ptr());
                break;
            }
        }
        close(fds[0]);

        return 0;
    }

    close(fds[0]);
    let returnValue: ssize_t = write(fds[1], ptr(c"parent"), 6); // fix: was int
    printf(c"parent send bytes=%zd\r\n".as_ptr(), returnValue); // fix: was %d
    close(fds[1]);

    wait(null_mut());

    0
}
