//! `lab sock`: what it answers, to whom, and which calls it makes.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const LAB: &str = env!("CARGO_BIN_EXE_lab");

fn run(command: &mut Command, typed: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it answers to these commands, in a folder of their own.
fn answer(commands: &str) -> String {
    let folder = TempDir::new().unwrap();
    let output = run(Command::new(LAB).args(["sock", "-c", commands]).current_dir(&folder), "");
    assert!(output.status.success(), "{commands}: {output:?}");
    text(&output.stdout).trim_end().to_owned()
}

/// A port at which nobody is.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn each_call_is_answered_with_what_it_returned() {
    for (commands, answers) in [
        ("socket udp; socket tcp; socket udp6; socket tcp6; socket stream; socket dgram; socket seqpacket", "= 3; = 4; = 5; = 6; = 7; = 8; = 9"),
        // Who sees where a text ends.
        ("socketpair stream; 3 send one; write two; 4 recv 2; read", "= 0 3 4; = 3; = 3; = 2 \"on\"; = 4 \"etwo\""),
        ("socketpair dgram; 3 send one two; send ''; 4 recvfrom 3 MSG_TRUNC; recv", "= 0 3 4; = 7; = 0; = 7 \"one\" from -; = 0 \"\""),
        ("socketpair seqpacket; send {x*41}{NUL}{xff}{LF}; 3 recvmsg 1; close; 4 recv", "= 0 3 4; = 44; = 1 \"x\" from - MSG_TRUNC; = 0; = 0 \"\""),
        // Names.
        (
            "socket dgram; bind a; getsockname; socket dgram; sendto a 1; 3 recvfrom; sendto sender 2",
            "= 3; = 0; = 0 a; = 4; = 1; = 1 \"1\" from -; = -1 ENOTCONN (Transport endpoint is not connected)",
        ),
        ("socket dgram; bind {p*108}; getsockname; sendto {p*108} g1; recvfrom; sendto sender g22; recv", "= 3; = 0; = 0 {p*108}; = 2; = 2 \"g1\" from {p*108}; = 3; = 3 \"g22\""),
        ("socket stream; bind s; listen 1; socket stream; bind c; connect s; 3 accept; getpeername; 4 getpeername", "= 3; = 0; = 0; = 4; = 0; = 0; = 5 from c; = 0 c; = 0 s"),
        ("socket dgram; connect none; bind /no/such/folder", "= 3; = 0; = -1 ENOENT (No such file or directory)"),
        // Descriptors.
        (
            "socketpair stream; 3 close; send x; 3 send x; 77 close; getsockname",
            "= 0 3 4; = 0; = -1 EPIPE (Broken pipe), SIGPIPE; = -1 EBADF (Bad file descriptor); = -1 EBADF (Bad file descriptor); = 0 -",
        ),
        ("socketpair stream; 3 shutdown SHUT_WR; send x MSG_NOSIGNAL; 4 recv; send x", "= 0 3 4; = 0; = -1 EPIPE (Broken pipe); = 0 \"\"; = 1"),
        // What does not block.
        (
            "socketpair dgram; recv MSG_DONTWAIT; poll 0; poll POLLIN|POLLOUT 0; 3 send x; 4 poll -1; recv MSG_PEEK|MSG_DONTWAIT; recv",
            "= 0 3 4; = -1 EAGAIN (Resource temporarily unavailable); = 0; = 1 POLLOUT; = 1; = 1 POLLIN; = 1 \"x\"; = 1 \"x\"",
        ),
        ("socket stream; bind s; listen; poll 0; socket udp; listen; accept", "= 3; = 0; = 0; = 0; = 4; = -1 EOPNOTSUPP (Operation not supported); = -1 EOPNOTSUPP (Operation not supported)"),
        // Options.
        ("socket udp; getsockopt SO_REUSEADDR; setsockopt SO_REUSEADDR 1; getsockopt SO_REUSEADDR; getsockopt SO_ERROR", "= 3; = 0 0; = 0; = 0 1; = 0 0"),
        ("socket udp; setsockopt SO_RCVTIMEO 0.2; getsockopt SO_RCVTIMEO; recv", "= 3; = 0; = 0 0.2; = -1 EAGAIN (Resource temporarily unavailable)"),
        ("socket tcp; getsockopt SO_LINGER; setsockopt SO_LINGER 7; getsockopt SO_LINGER; setsockopt SO_LINGER off; getsockopt SO_LINGER", "= 3; = 0 off; = 0; = 0 7; = 0; = 0 off"),
        ("socket udp; setsockopt IP_ADD_MEMBERSHIP 239.1.2.3 127.0.0.1; setsockopt IP_MULTICAST_IF 127.0.0.1; getsockopt IP_MULTICAST_IF", "= 3; = 0; = 0; = 0 127.0.0.1"),
    ] {
        assert_eq!(answer(commands), answers, "{commands}");
    }
}

#[test]
fn a_local_name_can_be_left_to_the_kernel_and_be_abstract() {
    let name = format!("{{NUL}}lab-sock-{}{{NUL}}", std::process::id());
    let answers = answer(&format!("socket dgram; bind {name}; getsockname; socket dgram; bind ''; sendto {name} hello; 3 recvfrom; sendto sender hi; 4 recv"));
    let (before, rest) = answers.split_once(" from {NUL}").expect(&answers);
    assert_eq!(before, format!("= 3; = 0; = 0 {name}; = 4; = 0; = 5; = 5 \"hello\""));
    assert_eq!(&rest[5..], "; = 2; = 2 \"hi\"");
}

#[test]
fn udp_and_tcp_addresses_come_back() {
    let port = free_port();
    let at = format!("127.0.0.1:{port}");
    let answers = answer(&format!("socket udp; bind {at}; socket udp; getsockname; connect {at}; getpeername; send g1; 3 recvfrom; sendto sender g2; 4 recv; connect none; getpeername"));
    let (before, rest) = answers.split_once("\"g1\" from 127.0.0.1:").expect(&answers);
    assert_eq!(before, format!("= 3; = 0; = 4; = 0 0.0.0.0:0; = 0; = 0 {at}; = 2; = 2 "));
    assert!(rest.ends_with("; = 2; = 2 \"g2\"; = 0; = -1 ENOTCONN (Transport endpoint is not connected)"), "{rest}");

    let at = format!("[::1]:{port}");
    let answers = answer(&format!("socket tcp6; bind {at}; listen; socket tcp6; connect {at}; 3 accept; send hello; 4 recv; setsockopt SO_LINGER 0; close; 5 recv"));
    if !answers.contains("EADDRNOTAVAIL") {
        assert!(answers.starts_with("= 3; = 0; = 0; = 4; = 0; = 5 from [::1]:"), "{answers}");
        assert!(answers.ends_with("; = 5; = 5 \"hello\"; = 0; = 0; = -1 ECONNRESET (Connection reset by peer)"), "{answers}");
    }
}

#[test]
fn a_refusal_is_heard_and_the_error_queue_tells_of_others() {
    let at = format!("127.0.0.1:{}", free_port());
    let refused = "ECONNREFUSED (Connection refused)";
    assert_eq!(answer(&format!("socket udp; connect {at}; send a; send b; send c; getsockopt SO_ERROR; getsockopt SO_ERROR")), format!("= 3; = 0; = 1; = -1 {refused}; = 1; = 0 {refused}; = 0 0"));
    // The scene recverr has the error queue after a refusal. This error comes from no network.
    let answers = answer(&format!("socket udp; setsockopt IP_RECVERR 1; sendto {at} {{x*65508}}; recvmsg MSG_ERRQUEUE"));
    assert!(answers.ends_with(" MSG_ERRQUEUE: EMSGSIZE (Message too long)"), "{answers}");
}

#[test]
fn credentials_are_told() {
    let answers = answer("socketpair stream; getsockopt SO_PEERCRED; setsockopt SO_PASSCRED 1; 3 send x; 4 recvmsg");
    let uid = nix::unistd::getuid();
    let (peer, message) = answers.split_once("; = 0; = 1; ").expect(&answers);
    let credentials = peer.strip_prefix("= 0 3 4; = 0 ").expect(&answers);
    assert!(credentials.starts_with("pid ") && credentials.contains(&format!(" uid {uid} gid ")), "{answers}");
    assert_eq!(message, format!("= 1 \"x\" from -, {credentials}"));
}

#[test]
fn a_mistake_is_one_line() {
    for (commands, mistake) in [
        ("foo", "no command is called 'foo'; help lists them"),
        ("recv", "there is no socket yet; socket udp makes one"),
        ("socket foo", "'foo' is not one of udp tcp udp6 tcp6 stream dgram seqpacket"),
        ("socket udp; send", "usage: send TEXT [FLAG ...]"),
        ("socket udp; send x MSG_FOO", "'MSG_FOO' is not one of MSG_DONTWAIT "),
        ("socket udp; bind 127.0.0.1:0 MSG_PEEK", "usage: bind ADDRESS"),
        ("socket udp; connect 127.0.0.1", "'127.0.0.1' is not ADDRESS:PORT"),
        ("socket dgram; bind {x*109}", "a path has at most 108 bytes"),
        ("socket udp; sendto sender x", "there is no sender yet; call recvfrom first"),
        ("socket udp; recv x", "usage: recv [SIZE] [FLAG ...]: "),
        ("socket udp; setsockopt SO_FOO 1", "'SO_FOO' is not one of SO_REUSEADDR "),
        ("socket udp; setsockopt SO_RCVBUF 1 2", "1 2 is not a value of SO_RCVBUF; usage: setsockopt OPTION VALUE ...: it takes one value"),
        ("socket udp; send 'x", "a quote is not closed"),
        ("3", "no command after the descriptor"),
    ] {
        let output = run(Command::new(LAB).args(["sock", "-c", commands]), "");
        assert_eq!(output.status.code(), Some(1), "{commands}: {output:?}");
        let complaint = text(&output.stderr);
        assert!(complaint.starts_with(&format!("lab: {mistake}")) && complaint.lines().count() == 1, "{commands}: {complaint}");
    }
}

#[test]
fn commands_are_typed_or_in_a_file() {
    let commands = "socket udp\n\n# a comment\nfoo\nsocket udp; foo; socket udp\ngetsockname\n";
    let output = run(Command::new(LAB).arg("sock"), commands);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "= 3\n= 4\n= 0 0.0.0.0:0\n");
    assert_eq!(text(&output.stderr), "no command is called 'foo'; help lists them\n".repeat(2));

    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("commands"), commands).unwrap();
    let output = run(Command::new(LAB).args(["sock", "commands"]).current_dir(&folder), "");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "= 3\n".to_owned()));
    assert_eq!(text(&output.stderr), "lab: commands:4: no command is called 'foo'; help lists them\n");
}

#[test]
fn what_was_received_is_told_from_what_a_call_returned() {
    let received = |line| lab::sock::received(line).collect::<Vec<_>>();
    assert_eq!(received("= 3; = 0; = 5 \"hello\"; = -1 EPIPE (Broken pipe), SIGPIPE; = 2 \"g1\" from a; = 0 \"\""), ["= 5 \"hello\"", "= 2 \"g1\" from a"]);
    assert_eq!(received("Hi, g1; g2"), ["Hi, g1; g2"]);
}

#[test]
fn the_experiments_of_the_help_can_be_tried() {
    let help = answer("help");
    let experiments: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("    socket")).collect();
    assert_eq!(experiments.len(), 3, "{help}");
    for experiment in experiments {
        answer(&format!("socket{experiment}"));
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100 || line.contains("SO_") || line.contains("MSG_")), "{help}");
}
