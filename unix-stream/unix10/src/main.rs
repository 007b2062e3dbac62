//! Notes: a parent and its child on the two ends of a socketpair.
//!
//! Who comes first is open: a child that does so finds nothing yet (EAGAIN) and leaves, and the
//! parent's write then raises SIGPIPE, which ends it.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let mut fds: [c_int; 2] = [-1; 2]; // fix: fds not initialised
    let returnValue: c_int;

    // socketpair(2); with SOCK_NONBLOCK recv does not wait
    //
    returnValue = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.as_mut_ptr());
    printf(c"socketpair returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let pid: pid_t = check(fork(), c"fork failed"); // fix: unchecked fork
    if pid == 0 {
        close(fds[1]);
        loop {
            let mut msg: [c_char; 128 + 1] = zeroed(); // fix: no room for the NUL
            let returnValue: ssize_t = recv(fds[0], msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0); // fix: ssize_t as int
            printf(c"child recv bytes=%zd,msg=%s\r\n".as_ptr(), returnValue, msg.as_ptr()); // fix: ssize_t as int
            if returnValue <= 0 {
                printf(c"parent close\r\n".as_ptr());
                break;
            }
        }
        close(fds[0]);

        return 0;
    }

    close(fds[0]);
    let returnValue: ssize_t = write(fds[1], c"parent".as_ptr().cast(), 6); // fix: ssize_t as int
    printf(c"parent send bytes=%zd\r\n".as_ptr(), returnValue); // fix: ssize_t as int
    close(fds[1]);

    wait(null_mut());

    0
}
