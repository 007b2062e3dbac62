//! Notes: the client of unix20_tcp_server: one message, one answer.
//!
//! Without the server it goes on, as the original does, and prints what each call returns: a send
//! on a local socket that is not connected fails with ENOTCONN and raises no SIGPIPE.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let sockerFileName: &CStr = c"/tmp/unix_tcp";

    let sockfd: c_int = socket(AF_LOCAL, SOCK_STREAM, 0);

    let (mut addressAddr, _clientAddr): (sockaddr_un, sockaddr_un) = zeroed(); // fix: address not zeroed
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(addressAddr.sun_path.as_mut_ptr(), sockerFileName.as_ptr());

    let returnValue: c_int = connect(sockfd, &raw const addressAddr as *const sockaddr, size_of_val(&addressAddr) as socklen_t);
    printf(c"connect returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));

    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let (sendValue, err): (ssize_t, c_int) = (send(sockfd, c"server".as_ptr().cast(), 6, 0), errno());
    printf(c"client send bytes=%zd".as_ptr(), sendValue); // fix: ssize_t as int
    check((if returnValue == 0 { sendValue } else { 0 }, err), c"send failed"); // fix: unchecked send
    let recvValue: ssize_t = recv(sockfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0);
    printf(c"client recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, msg.as_ptr()); // fix: ssize_t as int

    close(sockfd);

    0
}
