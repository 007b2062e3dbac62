//! A note on local sockets: sends each line it reads to upperserver and prints the answer.
//!
//! It binds a path of its own, which the server asks for its owner. It and the server look for
//! foo.socket in the folder they are started in.
#![no_std]
#![no_main]

use common::*; // fix: missing include

const CLI_PATH: &CStr = c"/var/tmp/"; // and the pid, in five digits or more

// Makes a client's end: a descriptor connected to the server at name, or -1, -2, -4, with its
// errno, if socket, bind or connect failed.
//
unsafe fn cli_conn(name: *const c_char) -> c_int {
    // socket's result from 0 up is fd
    let (mut len, err, rval): (socklen_t, c_int, c_int);
    let mut un: sockaddr_un;
    // a local stream socket
    let fd @ 0.. = socket(AF_UNIX, SOCK_STREAM, 0) else { return -1 };
    'errout: {
        // our address
        un = zeroed();
        un.sun_family = AF_UNIX as sa_family_t;
        sprintf(un.sun_path.as_mut_ptr(), c"%s%05d".as_ptr(), CLI_PATH.as_ptr(), getpid());
        len = (offset_of!(sockaddr_un, sun_path) + strlen(un.sun_path.as_ptr())) as socklen_t;
        // the path may have stayed behind
        unlink(un.sun_path.as_ptr());
        if bind(fd, &raw const un as *const sockaddr, len) < 0 {
            rval = -2;
            break 'errout;
        }
        // the server's address
        un = zeroed();
        un.sun_family = AF_UNIX as sa_family_t;
        strcpy(un.sun_path.as_mut_ptr(), check(fits_sun_path(name), c"name too long")); // fix: path past sun_path
        len = (offset_of!(sockaddr_un, sun_path) + strlen(name)) as socklen_t;
        if connect(fd, &raw const un as *const sockaddr, len) < 0 {
            rval = -4;
            break 'errout;
        }
        return fd;
    }
    err = errno();
    close(fd);
    set_errno(err);
    rval
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let fd: c_int;
    let (mut n, mut buf): (ssize_t, [c_char; 1024]) = (1, zeroed()); // fix: ssize_t as int
    fd = cli_conn(c"foo.socket".as_ptr());
    if fd < 0 {
        match fd {
            -4 => perror(c"connect".as_ptr()),
            -3 => perror(c"listen".as_ptr()),
            -2 => perror(c"bind".as_ptr()),
            _ => perror(c"socket".as_ptr()), // -1
        }
        exit(-1);
    }
    while n != 0 && !fgets(buf.as_mut_ptr(), size_of_val(&buf) as c_int, stdin /* fix: end not seen */).is_null() {
        check(write(fd, buf.as_ptr().cast(), strlen(buf.as_ptr())), c"write failed"); // fix: unchecked write
        n = check(read(fd, buf.as_mut_ptr().cast(), size_of_val(&buf)), c"read failed"); // fix: unchecked read
        write(STDOUT_FILENO, buf.as_ptr().cast(), n as size_t);
    }
    close(fd);
    if n == 0 {
        error(1, 0, c"server terminated prematurely\n"); // fix: end not seen
    }
    0
}
