//! Notes: the client of unix30_udp_server.
//!
//! It binds a path of its own, so that it can be answered. The path stays when the client ends
//! and is removed at the next start. Of the ten bytes of its text it sends six, as the original
//! does: "client".
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    let socketFileNameServer: &CStr = c"/tmp/unix_udp_server";
    let socketFileNameClient: &CStr = c"/tmp/unix_udp_client";

    unlink(socketFileNameClient.as_ptr());

    let sockfd: c_int = check(socket(AF_LOCAL, SOCK_DGRAM, 0), c"socket failed");

    let (mut addressAddr, mut clientAddr): (sockaddr_un, sockaddr_un) = zeroed();
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(ptr(&mut addressAddr.sun_path), socketFileNameServer.as_ptr());

    clientAddr.sun_family = AF_LOCAL as sa_family_t;
    strcpy(ptr(&mut clientAddr.sun_path), socketFileNameClient.as_ptr());

    let returnValue: c_int = bind(sockfd, sa(&clientAddr), sizeof(&clientAddr));
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check(returnValue, c"bind failed");
    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let sendBytes = sendto(sockfd, ptr(c"clientAddr"), 6, 0, sa(&addressAddr), sizeof(&addressAddr));
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: was %d
    check(sendBytes, c"sendto failed");
    let mut addressAddrLen: socklen_t = sizeof(&addressAddr);
    let recvValue = recvfrom(sockfd, ptr(&mut msg), 1024, 0, sa(&mut addressAddr), &mut addressAddrLen);
    printf(c"recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, &msg); // fix: was %d

    close(sockfd);
    0
}
