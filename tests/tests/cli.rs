//! What `lab` says to someone who does something wrong: one line, and a status that is not 0.

use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, Command, Output, Stdio};

use lab::programs::{self, PROGRAMS, Profile};
use nix::sys::signal::{SigHandler, Signal, signal};
use tempfile::TempDir;

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).args(args).stdin(Stdio::null()).output().expect("lab can be run")
}

/// Its one line of complaint.
fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// A folder that holds the files `as_names`, each a copy of this program.
fn folder_with(program: &str, as_names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path: PathBuf = programs::build(&[program], Profile::Dev).unwrap()[program].clone();
    for name in as_names {
        fs::copy(&path, folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn list_names_every_program() {
    let output = lab(&["list"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    for program in PROGRAMS {
        assert!(text.contains(&format!("  {} ", program.name)), "{} is missing", program.name);
    }
    assert!(!text.contains('\x1b'), "colour in a pipe");
}

#[test]
fn an_unknown_scene_is_named() {
    let text = complaint(&lab(&["replay", "no-such-scene"]));
    assert_eq!(text, "lab: no scene or group is called 'no-such-scene'; 'cargo lab list' names them\n");
}

#[test]
fn an_unknown_program_is_named() {
    let text = complaint(&lab(&["faults", "no-such-program"]));
    assert!(text == "lab: no program is called 'no-such-program'; 'cargo lab list' names them\n" || text.contains("strace"), "{text}");
}

#[test]
fn a_missing_program_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let text = complaint(&lab(&["replay", "two-clients", "--programs", path]));
    assert_eq!(text, format!("lab: no executable called udpclient, udpserver under {path}\n"));
    let text = complaint(&lab(&["replay", "two-clients", "--programs", "/no/such/folder"]));
    assert_eq!(text, "lab: cannot read the folder /no/such/folder: No such file or directory (os error 2)\n");
}

#[test]
fn a_taken_port_is_named_and_does_not_matter_in_a_namespace() {
    // If something else on this machine has the port, it is taken all the same.
    let _taken = UdpSocket::bind("0.0.0.0:43211");
    let text = complaint(&lab(&["replay", "two-clients", "--no-namespaces"]));
    assert!(text.starts_with("lab: UDP port 43211 is taken by "), "{text}");
    assert!(text.contains(" (pid ") && text.ends_with("; end it, or run where lab may use network namespaces\n"), "{text}");

    let output = lab(&["replay", "two-clients"]);
    let text = String::from_utf8_lossy(&output.stderr);
    // Where there are no namespaces to be had, the port is in the way, and the message says so.
    assert!(output.status.success() || text.contains("network namespaces"), "{text}");
}

#[test]
fn a_program_that_does_something_else_fails_the_scene_with_a_diff() {
    let folder = folder_with("udpserver", &["udpclient"]);
    let output = lab(&["replay", "udpclient-usage", "--limit", "1", "--programs", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.starts_with("lab: scene udpclient-usage went otherwise: udp-basic/README.md:"), "{text}");
    assert!(text.contains("client did not write this line: time-out after 1 s; client is blocked in recvfrom"), "{text}");
    assert!(text.contains("\n-client  > usage: udpclient <IPaddress>\n"), "{text}");
}

/// lab strace with a PATH on which strace is this script, or is not.
fn strace_with(script: Option<&str>) -> String {
    let folder = TempDir::new().unwrap();
    if let Some(script) = script {
        let path = folder.path().join("strace");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).args(["strace", "two-clients"]).env("PATH", folder.path()).stdin(Stdio::null()).output().unwrap();
    complaint(&output)
}

#[test]
fn what_is_wrong_with_strace_is_named() {
    assert_eq!(strace_with(None), "lab: strace is not installed; on Debian and Ubuntu: apt-get install strace\n");
    let old = "#!/bin/sh\necho 'strace -- version 4.26'\n";
    assert_eq!(strace_with(Some(old)), "lab: this strace is version 4.26; 5.3 is needed\n");
    let other = "#!/bin/sh\necho 'another tool'\n";
    assert_eq!(strace_with(Some(other)), "lab: this strace does not say its version; 5.3 is needed\n");
    let forbidden = "#!/bin/sh\n[ \"$1\" = -V ] && echo 'strace -- version 6.1' && exit\necho 'strace: PTRACE_TRACEME: Operation not permitted' >&2\nexit 1\n";
    assert_eq!(strace_with(Some(forbidden)), "lab: strace may not trace here (strace: PTRACE_TRACEME: Operation not permitted); a container needs the capability SYS_PTRACE\n");
}

#[test]
fn what_cannot_be_traced_is_named() {
    let text = complaint(&lab(&["strace", "no-such-thing"]));
    assert!(text == "lab: no scene or program is called 'no-such-thing'; 'cargo lab list' names them\n" || text.contains("strace"), "{text}");
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let text = complaint(&lab(&["check", "two-clients", "--originals", path]));
    assert!(
        text.starts_with("lab: the C originals are looked for by file name; clone and build them as their own README says: no executable called udpclient, udpserver under ")
            || text.contains("strace"),
        "{text}"
    );
}

#[test]
fn a_port_is_shown_beside_its_original() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("chap-6")).unwrap();
    fs::write(folder.path().join("chap-6/udpclient.c"), "first\n\tsecond\n").unwrap();
    let output = lab(&["read", "udpclient", "--originals", folder.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("   2     second  ") && lines[1].ends_with("| #![no_std]"), "{}", lines[1]);
    assert!(lines[15].contains("socket(AF_INET, SOCK_DGRAM, 0)") && lines[15].starts_with("  16 "), "{}", lines[15]);
    assert_eq!(complaint(&lab(&["read", "nothing"])), "lab: no program is called 'nothing'; 'cargo lab list' names them\n");
    let text = complaint(&lab(&["read", "udpserver", "--originals", folder.path().to_str().unwrap()]));
    assert!(text.starts_with("lab: no file udpserver.c under "), "{text}");
}

#[test]
fn sockets_are_listed_by_number_and_by_name() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    let output = lab(&["sockets", &process::id().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let row = text.lines().find(|line| line.contains(&ours.local_addr().unwrap().to_string())).unwrap_or_else(|| panic!("{text}"));
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[2], cells[4], cells[5], cells[6], cells[7]), ("udp", "-", "CLOSE", "0", "0"));

    // A name longer than the 15 characters that the kernel keeps.
    let name = "a-program-that-sleeps";
    let mut sleeper = Command::new("sleep").arg0(format!("/bin/{name}")).arg("60").spawn().unwrap();
    let output = lab(&["sockets", name]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, format!("{name}  process {}\nhas no socket\n", sleeper.id()));
}

#[test]
fn a_process_that_is_not_there_or_not_ours_is_named() {
    let text = complaint(&lab(&["sockets", "999999999"]));
    assert_eq!(text, "lab: there is no process 999999999\n");
    let text = complaint(&lab(&["sockets", "no-such-program"]));
    assert_eq!(text, "lab: no program called no-such-program is running\n");

    let mut other = Command::new(env!("CARGO_BIN_EXE_lab"));
    other.args(["sockets", "1"]);
    if nix::unistd::getuid().is_root() {
        // Nobody.
        other.uid(65534);
    }
    // It may not be allowed to run lab from here.
    let Ok(output) = other.output() else { return };
    assert_eq!(complaint(&output), "lab: the descriptors of process 1 are for its user and for root to see\n");
}

#[test]
fn ctrl_c_works_where_a_shell_ignores_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(["replay", "datagram-pair", "--limit", "3"]).stdin(Stdio::null());
    // SAFETY: the closure makes one system call.
    unsafe {
        command.pre_exec(|| {
            signal(Signal::SIGINT, SigHandler::SigIgn)?;
            Ok(())
        });
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nobody_has_to_read_to_the_end() {
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab")).arg("list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(lab.stdout.take());
    let mut text = String::new();
    lab.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((lab.wait().unwrap().code(), text.as_str()), (Some(0), ""));
}
