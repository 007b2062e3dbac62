//! Notes: a UDP client that sends "hello" and waits for the answer; without a server it waits for ever.
//!
//! Its first line says "udp server", as the original's does. The kernel gives the socket a port
//! at sendto: the server prints it.
#![no_std]
#![no_main]
use common::*;
const RECV: *const c_char = c"receive bytes=%zd,msg=%s,ip=%s,port=%d\r\n".as_ptr(); // fix: was %d

#[unsafe(no_mangle)]
pub unsafe extern "C" fn main() -> c_int {
    printf(c"udp server start,pid=%d\r\n".as_ptr(), getpid());

    let sockfd: c_int = check(socket(AF_INET, SOCK_DGRAM, 0), c"socket failed");

    let (mut serverAddr, mut clientAddr): (sockaddr_in, sockaddr_in) = zeroed(); // fix: address not zeroed
    serverAddr.sin_family = AF_INET as sa_family_t;
    serverAddr.sin_port = htons(9501);
    serverAddr.sin_addr.s_addr = inet_addr(c"0.0.0.0".as_ptr());

    let sendBytes = sendto(sockfd, ptr(c"hello"), 5, 0, sa(&serverAddr), sizeof(&serverAddr));
    printf(c"send bytes=%zd\r\n".as_ptr(), sendBytes); // fix: was %d
    check(sendBytes, c"sendto failed");
    let mut msg = [0 as c_char; 1024 + 1]; // fix: no room for the NUL
    let mut clientAddrLen: socklen_t = sizeof(&clientAddr);
    let recvBytes = recvfrom(sockfd, ptr(&mut msg), 1024, 0, sa(&mut clientAddr), &mut clientAddrLen);
    printf(RECV, recvBytes, &msg, inet_ntoa(clientAddr.sin_addr), ntohs(clientAddr.sin_port) as c_int);

    0
}
