//! Notes: a datagram server on a local path, for one message.
//!
//! It can answer a client that is bound to a path, as unix30_udp_client is; for one without an
//! address it prints `send bytes=-1`. Its own path stays when it ends and is removed at the next
//! start.
#![no_std]
#![no_main]

use common::*;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    let socketFileNameServer: &CStr = c"/tmp/unix_udp_server";
    unlink(socketFileNameServer.as_ptr());

    let sockfd: c_int = check(socket(AF_LOCAL, SOCK_DGRAM, 0), c"socket failed");

    let (mut addressAddr, mut clientAddr): (sockaddr_un, sockaddr_un) = zeroed(); // fix: address not zeroed
    addressAddr.sun_family = AF_UNIX as sa_family_t;
    strcpy(ptr(&mut addressAddr.sun_path), socketFileNameServer.as_ptr());

    let returnValue: c_int = bind(sockfd, sa(&addressAddr), sizeof(&addressAddr));
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check(returnValue, c"bind failed");
    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let mut clientAddrLen: socklen_t = sizeof(&clientAddr);
    let recvValue = recvfrom(sockfd, ptr(&mut msg), 1024, 0, sa(&mut clientAddr), &mut clientAddrLen);
    printf(c"recv bytes=%zd,msg=%s\r\n".as_ptr(), recvValue, &msg); // fix: was %d

    let sendBytes = sendto(sockfd, ptr(c"server"), 6, 0, sa(&clientAddr), sizeof(&clientAddr));
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: was %d

    close(sockfd);

    0
}
