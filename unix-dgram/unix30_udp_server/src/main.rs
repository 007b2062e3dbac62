//! Notes: a datagram server on a local path, for one message.
//!
//! It can answer a client that is bound to a path, as unix30_udp_client is; for one without an
//! address it prints `send bytes=-1`. Its own path stays behind when it ends and is removed at
//! the next start.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let socketFileNameServer: &CStr = c"/tmp/unix_udp_server";
    unlink(socketFileNameServer.as_ptr());

    let sockfd: c_int = check(socket(AF_LOCAL, SOCK_DGRAM, 0), c"socket failed"); // fix: unchecked socket

    let (mut addressAddr, mut clientAddr): (sockaddr_un, sockaddr_un) = zeroed(); // fix: address not zeroed
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(addressAddr.sun_path.as_mut_ptr(), socketFileNameServer.as_ptr());

    let (returnValue, err): (c_int, c_int) = (bind(sockfd, &raw const addressAddr as *const sockaddr, size_of_val(&addressAddr) as socklen_t), errno());
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check((returnValue, err), c"bind failed"); // fix: unchecked bind
    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let mut clientAddrLen: socklen_t = size_of_val(&clientAddr) as socklen_t;
    let recvValue: ssize_t = recvfrom(sockfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0, &raw mut clientAddr as *mut sockaddr, &mut clientAddrLen);
    printf(c"recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, msg.as_ptr()); // fix: ssize_t as int

    let sendBytes: ssize_t = sendto(sockfd, c"server".as_ptr().cast(), 6, 0, &raw const clientAddr as *const sockaddr, size_of_val(&clientAddr) as socklen_t);
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: ssize_t as int

    close(sockfd);

    0
}
