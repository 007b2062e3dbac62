//! A note on local sockets: sends each line it reads to upperserver and prints the answer.
//!
//! It binds a path of its own, whose owner the server looks up. Both programs use foo.socket in
//! the folder they are started in.
#![no_std]
#![no_main]

use common::*;

const CLI_PATH: &CStr = c"/var/tmp/"; // and the pid, in five digits or more

// Makes a client's end: a descriptor connected to the server at name, or -1, -2, -4, with its
// errno, if socket, bind or connect failed.
//
unsafe fn cli_conn(name: *const c_char) -> c_int {
    // `fd @ 0..`: a result >= 0 is fd, else return -1
    let (mut len, err, rval): (c_int, c_int, c_int);
    let mut un: sockaddr_un;
    // a local stream socket
    let fd @ 0.. = socket(AF_UNIX, SOCK_STREAM, 0) else { return -1 };
    'errout: {
        // our address
        un = zeroed();
        un.sun_family = AF_UNIX as sa_family_t;
        sprintf(ptr(&mut un.sun_path), c"%s%05d".as_ptr(), CLI_PATH.as_ptr(), getpid());
        len = (offset_of!(sockaddr_un, sun_path) + strlen(ptr(&un.sun_path))) as c_int;
        // the path may be left from before
        unlink(ptr(&un.sun_path));
        if bind(fd, sa(&un), len as socklen_t) < 0 {
            rval = -2;
            break 'errout;
        }
        // the server's address
        un = zeroed();
        un.sun_family = AF_UNIX as sa_family_t;
        strcpy(ptr(&mut un.sun_path), name);
        len = (offset_of!(sockaddr_un, sun_path) + strlen(name)) as c_int;
        if connect(fd, sa(&un), len as socklen_t) < 0 {
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
pub unsafe extern "C" fn main() -> c_int {
    #![unsafe(no_mangle)]
    let (fd, mut n): (c_int, ssize_t); // fix: was int
    let mut buf = [0 as c_char; 1024];
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
    while !fgets(ptr(&mut buf), sizeof(&buf), stdin).is_null() {
        check(write(fd, ptr(&buf), strlen(ptr(&buf))), c"write failed");
        n = check(read(fd, ptr(&mut buf), sizeof(&buf)), c"read failed");
        write(STDOUT_FILENO, ptr(&buf), n as size_t);
    }
    close(fd);
    0
}
