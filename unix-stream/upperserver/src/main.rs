//! A note on local sockets: accepts one client, finds its user by its path, answers in capitals.
#![no_std]
#![no_main]
use common::*; // fix: toupper undeclared
#[repr(C)]
struct LongSockaddrUn {
    _sun_family: sa_family_t,
    sun_path: [c_char; 108 + 2], // fix: no room for the NUL
}
const QLEN: c_int = 10;

// Makes a server's end: a listening descriptor, or -1, -2, -3, with its errno, if socket, bind
// or listen failed.
//
unsafe fn serv_listen(name: *const c_char) -> c_int {
    // `fd @ 0..`: a result >= 0 is fd, else return -1
    let (len, err, rval): (c_int, c_int, c_int);
    let mut un: sockaddr_un;
    // a local stream socket
    let fd @ 0.. = socket(AF_UNIX, SOCK_STREAM, 0) else { return -1 };
    'errout: {
        // the path may be left from before
        unlink(name);
        // the address
        un = zeroed();
        un.sun_family = AF_UNIX as sa_family_t;
        strcpy(ptr(&mut un.sun_path), name);
        len = (offset_of!(sockaddr_un, sun_path) + strlen(name)) as c_int;
        // the path's length without its NUL
        if bind(fd, sa(&un), len as socklen_t) < 0 {
            rval = -2;
            break 'errout;
        }
        if listen(fd, QLEN) < 0 {
            rval = -3;
            break 'errout;
        }
        return fd;
    }
    err = errno();
    close(fd);
    set_errno(err);
    rval
}
unsafe fn serv_accept(listenfd: c_int, uidptr: *mut uid_t) -> c_int {
    // the result: a connected descriptor, or -1, -2, -3 if accept, stat or the path failed
    let (mut len, err, rval): (socklen_t, c_int, c_int); // fix: was int
    // The original declares a staletime here and does not use it.
    let mut un: LongSockaddrUn = zeroed(); // fix: no room for the NUL
    let mut statbuf: stat = zeroed();
    len = size_of::<sockaddr_un>() as socklen_t;
    let clifd @ 0.. = accept(listenfd, sa(&mut un), &mut len) else { return -1 };
    'errout: {
        // the path's length; the kernel promises no closing NUL
        len -= offset_of!(sockaddr_un, sun_path) as socklen_t;
        terminate(&mut un.sun_path, len as ssize_t);
        if stat(ptr(&un.sun_path), &mut statbuf) < 0 {
            rval = -2;
            break 'errout;
        }
        if !S_ISSOCK(statbuf.st_mode) {
            rval = -3;
            break 'errout;
        }
        if !uidptr.is_null() {
            *uidptr = statbuf.st_uid;
        }
        unlink(ptr(&un.sun_path));
        return clifd;
    }
    err = errno();
    close(clifd);
    set_errno(err);
    rval
}
pub unsafe extern "C" fn main() -> c_int {
    #![unsafe(no_mangle)]
    let (lfd, cfd, mut n): (c_int, c_int, ssize_t); // fix: was int
    let mut cuid: uid_t = 0;
    let mut buf = [0 as c_char; 1024];
    lfd = serv_listen(c"foo.socket".as_ptr());
    if lfd < 0 {
        match lfd {
            -3 => perror(c"listen".as_ptr()),
            -2 => perror(c"bind".as_ptr()),
            _ => perror(c"socket".as_ptr()), // -1
        }
        exit(-1);
    }
    cfd = serv_accept(lfd, &mut cuid);
    if cfd < 0 {
        match cfd {
            -3 => perror(c"not a socket".as_ptr()),
            -2 => perror(c"a bad filename".as_ptr()),
            _ => perror(c"accept".as_ptr()), // -1
        }
        exit(-1);
    }
    loop {
        // again after a signal
        n = read(cfd, ptr(&mut buf), 1024);
        if n == -1 && errno() == EINTR {
            continue;
        }
        check(n, c"read failed");
        if n == 0 {
            printf(c"the other side has been closed.\n".as_ptr());
            break;
        }
        for c in buf.iter_mut().take(n as usize) {
            *c = toupper(*c as c_uchar as c_int) as c_char; // fix: toupper of a negative char
        }
        check(write(cfd, ptr(&buf), n as size_t), c"write failed");
    }
    close(cfd);
    close(lfd);
    0
}
