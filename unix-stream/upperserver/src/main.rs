//! A note on local sockets: accepts one client, asks its path who it is, answers in capitals.
#![no_std]
#![no_main]
use common::*; // fix: missing include
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
    // socket's result from 0 up is fd
    let (len, err, rval): (socklen_t, c_int, c_int);
    let mut un: sockaddr_un;
    // a local stream socket
    let fd @ 0.. = socket(AF_UNIX, SOCK_STREAM, 0) else { return -1 };
    'errout: {
        // the path may have stayed behind
        unlink(name);
        // the address
        un = zeroed();
        un.sun_family = AF_UNIX as sa_family_t;
        strcpy(un.sun_path.as_mut_ptr(), check(fits_sun_path(name), c"name too long")); // fix: path past sun_path
        len = (offset_of!(sockaddr_un, sun_path) + strlen(name)) as socklen_t;
        // as long as the path, without its NUL
        if bind(fd, &raw const un as *const sockaddr, len) < 0 {
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
    let (mut len, err, rval): (socklen_t, c_int, c_int); // fix: socklen_t as int
    // the original's staletime, a time_t, is not used
    let mut un: LongSockaddrUn = zeroed(); // fix: no room for the NUL
    let mut statbuf: stat = zeroed();
    len = size_of::<sockaddr_un>() as socklen_t;
    let clifd @ 0.. = accept(listenfd, &raw mut un as *mut sockaddr, &mut len) else { return -1 };
    'errout: {
        // of the address, the path, which the kernel need not have closed with a NUL
        len -= offset_of!(sockaddr_un, sun_path) as socklen_t;
        un.sun_path[len as usize] = 0;
        if stat(un.sun_path.as_ptr(), &mut statbuf) < 0 {
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
        unlink(un.sun_path.as_ptr());
        return clifd;
    }
    err = errno();
    close(clifd);
    set_errno(err);
    rval
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let (lfd, cfd, mut n): (c_int, c_int, ssize_t); // fix: ssize_t as int
    let mut cuid: uid_t = 0;
    let mut buf: [c_char; 1024] = zeroed();
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
        n = read(cfd, buf.as_mut_ptr().cast(), 1024);
        if n == -1 && errno() == EINTR {
            continue;
        }
        if check(n, c"read failed" /* fix: unchecked read */) == 0 {
            // the end
            printf(c"the other side has been closed.\n".as_ptr());
            break;
        }
        // only the letters change, and in the C locale only those of ASCII
        buf[..n as usize].iter_mut().for_each(|c| *c = toupper(*c as c_uchar as c_int) as c_char); // fix: toupper of a negative char
        check(write(cfd, buf.as_ptr().cast(), n as size_t), c"write failed"); // fix: unchecked write
    }
    close(cfd);
    close(lfd);
    0
}
