//! Notes: a UDP server for one datagram, which it answers "hello".
//!
//! The answer's address is the one that recvfrom filled in.
#![no_std]
#![no_main]

use common::*;

// Neither listen nor accept: UDP has no connections to wait for.

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(_argc: c_int, _argv: *mut *mut c_char) -> c_int {
    printf(c"udp server start,pid=%d\r\n".as_ptr(), getpid());

    // socket(2)
    let sockfd: c_int = check(socket(AF_INET, SOCK_DGRAM, 0), c"socket failed"); // fix: unchecked socket

    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed(); // fix: address not zeroed
    serverAddr.sin_family = AF_INET as sa_family_t;
    serverAddr.sin_port = htons(9501);
    serverAddr.sin_addr.s_addr = inet_addr(c"0.0.0.0".as_ptr());

    let (returnValue, err): (c_int, c_int) = (bind(sockfd, &raw const serverAddr as *const sockaddr, size_of_val(&serverAddr) as socklen_t), errno());
    printf(c"bind returnValue=%d\r\n".as_ptr(), returnValue);
    printf(c"errno=%d,%s\r\n".as_ptr(), errno(), strerror(errno()));
    check((returnValue, err), c"bind failed"); // fix: unchecked bind
    // recvfrom(2)
    let mut msg: [c_char; 1024 + 1] = zeroed(); // fix: no room for the NUL
    let mut clientAddrLen: socklen_t = size_of_val(&clientAddr) as socklen_t;
    let recvBytes: ssize_t = recvfrom(sockfd, msg.as_mut_ptr().cast(), size_of_val(&msg) - 1, 0, &raw mut clientAddr as *mut sockaddr, &mut clientAddrLen);
    // inet_ntoa(3) and ntohs(3)
    printf(c"receive bytes=%zd,msg=%s,ip=%s,port=%d\r\n".as_ptr(), recvBytes, msg.as_ptr(), inet_ntoa(clientAddr.sin_addr), ntohs(clientAddr.sin_port) as c_int); // fix: ssize_t as int

    // sendto(2)
    let sendBytes: ssize_t = sendto(sockfd, c"hello".as_ptr().cast(), 5, 0, &raw const clientAddr as *const sockaddr, size_of_val(&clientAddr) as socklen_t);
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: ssize_t as int

    0
}
