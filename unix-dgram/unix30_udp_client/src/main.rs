//! Notes: the client of unix30_udp_server.
//!
//! It binds a path of its own, so that it can be answered; the path stays behind when it ends and
//! is removed at the next start. Of the ten bytes of its text it sends six, as the original
//! does: "client".
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    let socketFileNameServer: &CStr = c"/tmp/unix_udp_server";
    let socketFileNameClient: &CStr = c"/tmp/unix_udp_client";

    unlink(socketFileNameClient.as_ptr());

    let sockfd: c_int = check(socket(AF_LOCAL, SOCK_DGRAM, 0), c"socket failed"); // fix: unchecked socket

    let (mut addressAddr, mut clientAddr): (sockaddr_un, sockaddr_un) = zeroed(); // fix: address not zeroed
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(addressAddr.sun_path.as_mut_ptr(), socketFileNameServer.as_ptr());

    clientAddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(clientAddr.sun_path.as_mut_ptr(), socketFileNameClient.as_ptr());

    let (returnValue, err): (c_int, c_int) = (bind(sockfd, &raw const clientAddr as *const sockaddr, size_of_val(&clientAddr) as socklen_t), errno());
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check((returnValue, err), c"bind failed"); // fix: unchecked bind
    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let (sendBytes, err): (ssize_t, c_int) = (sendto(sockfd, c"clientAddr".as_ptr().cast(), 6, 0, &raw const addressAddr as *const sockaddr, size_of_val(&addressAddr) as socklen_t), errno());
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: ssize_t as int
    check((sendBytes, err), c"sendto failed"); // fix: unchecked sendto
    let mut addressAddrLen: socklen_t = size_of_val(&addressAddr) as socklen_t;
    let recvValue: ssize_t = recvfrom(sockfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0, &raw mut addressAddr as *mut sockaddr, &mut addressAddrLen);
    printf(c"recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, msg.as_ptr()); // fix: ssize_t as int

    close(sockfd);
    0
}
