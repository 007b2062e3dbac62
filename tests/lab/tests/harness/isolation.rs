//! Where scenes are played: namespaces are used only if all of them work, and labs without them take turns.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use lab::programs::Profile;
use lab::sandbox;
use lab::scene;
use libtest_mimic::{Failed, Trial};
use nix::mount::{MsFlags, mount};
use nix::unistd::{dup, getuid};
use tempfile::TempDir;

use crate::cli::complaint;
use crate::support::{self, Builds, Machine};

const NOBODY: u32 = 65534;

/// What strace refuses, as Ubuntu, a container or seccomp would; and whether root asks for it.
const REFUSALS: [(&str, &[&str], &str, bool); 5] = [
    ("unshare", &["-e", "inject=unshare:error=EPERM"], "unshare: EPERM", true),
    ("setgroups", &["-P", "/proc/self/setgroups", "-e", "inject=openat:error=EACCES"], "/proc/self/setgroups: Permission denied", false),
    ("uid_map", &["-P", "/proc/self/uid_map", "-e", "inject=openat:error=EACCES"], "/proc/self/uid_map: Permission denied", false),
    ("mount", &["-e", "inject=mount:error=EACCES"], "mount: EACCES", true),
    // stream-pair's programs make no such call.
    ("loopback", &["-e", "inject=getsockname:error=EACCES"], "a datagram over the loopback: Permission denied", true),
];

/// A test with the ports in this folder.
type Test = fn(&Path) -> Result<(), Failed>;

pub fn trials(machine: &Machine, builds: &Builds) -> Vec<Trial> {
    let mut trials = Vec::new();
    let is_root = getuid().is_root();
    let no_namespaces = machine.no_namespaces.as_deref();
    for (what, options, why, root_asks) in REFUSALS {
        for as_root in [true, false] {
            if as_root && !root_asks {
                continue;
            }
            let not_root = (as_root && !is_root).then_some("this is for root");
            let ignored = machine.no_strace.as_deref().or(no_namespaces).or(not_root);
            let ports = builds.folder(Profile::Dev);
            let user = if as_root { "root" } else { "user" };
            trials.push(support::trial(format!("isolation/{what}_refused/{user}"), ignored, move || refused(options, why, as_root, &ports)));
        }
    }
    let tests: [(&str, Test); 4] = [
        ("a_taken_port_is_named", a_taken_port_is_named),
        ("a_path_in_the_way_is_named", a_path_in_the_way_is_named),
        ("labs_without_namespaces_take_turns", labs_take_turns),
        ("sockets_that_programs_leave_are_removed", left_sockets_are_removed),
    ];
    for (name, test) in tests {
        let ports = builds.folder(Profile::Dev);
        trials.push(support::trial(format!("isolation/{name}"), no_namespaces, move || test(&ports)));
    }
    trials
}

/// A lab to which something is refused plays on the machine's own network, and says why in one line.
fn refused(options: &[&str], why: &str, as_root: bool, ports: &Path) -> Result<(), Failed> {
    // An ordinary user may not reach the target folder.
    let folder = TempDir::new()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777))?;
    let (lab, scene) = (folder.path().join("lab"), folder.path().join("scene.md"));
    fs::copy(env!("CARGO_BIN_EXE_lab"), &lab)?;
    fs::write(&scene, text_of("stream-pair"))?;
    let programs = folder.path().join("ports");
    fs::create_dir(&programs)?;
    for name in ["unixstreamserver", "unixstreamclient"] {
        fs::copy(ports.join(name), programs.join(name))?;
    }
    let mut command = support::command("strace");
    command.args(["-qqq", "-f", "-o", "/dev/null"]).args(options).arg(&lab);
    command.arg("replay").arg(&scene).args(["--pause", "0", "--programs"]).arg(&programs).env("TMPDIR", folder.path());
    if !as_root && getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = support::output(&mut command)?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it does not play: {text}");
    let expected = format!("lab: no namespaces here ({why}");
    // strace has a line of its own on what it was asked for.
    let said: Vec<&str> = text.lines().filter(|line| !line.starts_with("strace: ")).collect();
    assert!(said.len() == 1 && said[0].starts_with(&expected), "not one line that begins with '{expected}', but: {text}");
    Ok(())
}

/// A scene as a file of its own.
fn text_of(name: &str) -> String {
    let scenes = scene::select(&[name.to_owned()]).expect("there is this scene");
    let scene = &scenes[0];
    let steps: String = scene.steps.iter().map(|step| format!("{step}\n")).collect();
    format!("```scene {name}\n{steps}```\n")
}

/// This command in namespaces of its own, a network among them, with what `prepare` does there first.
pub fn apart(command: &mut Command, prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> &mut Command {
    // SAFETY: glibc keeps malloc usable in the child of a fork.
    unsafe { command.pre_exec(move || sandbox::enter_namespaces().and_then(|()| sandbox::new_network()).map_err(io::Error::other).and_then(|()| prepare())) }
}

fn replay(lab: &Path, ports: &Path, scene: &str) -> Command {
    let mut command = support::command(lab);
    command.args(["replay", scene, "--pause", "0", "--no-namespaces", "--programs"]).arg(ports);
    command
}

/// An empty folder in place of another.
fn cover(path: &str) -> io::Result<()> {
    let nothing: Option<&str> = None;
    Ok(mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), nothing)?)
}

fn a_taken_port_is_named(ports: &Path) -> Result<(), Failed> {
    let mut command = replay(Path::new(env!("CARGO_BIN_EXE_lab")), ports, "two-clients");
    // Unlike the socket, its copy is not closed by an exec.
    let take_port = || UdpSocket::bind("0.0.0.0:43211").and_then(|socket| Ok(dup(socket)?.into_raw_fd())).map(drop);
    let text = complaint(&support::output(apart(&mut command, take_port))?);
    assert!(text.starts_with("lab: UDP port 43211 is taken by lab (pid "), "{text}");
    assert!(text.ends_with("); end it, or run where lab may use network namespaces\n"), "{text}");
    Ok(())
}

fn a_path_in_the_way_is_named(ports: &Path) -> Result<(), Failed> {
    let folder_in_the_way = || cover("/tmp").and_then(|()| fs::create_dir("/tmp/unix_udp_client"));
    // All that is needed, where it is not hidden, should this checkout be in /tmp.
    let copy = TempDir::new_in("/var/tmp")?;
    for name in ["unix30_udp_server", "unix30_udp_client", "udpclient"] {
        fs::copy(ports.join(name), copy.path().join(name))?;
    }
    let lab = copy.path().join("lab");
    fs::copy(env!("CARGO_BIN_EXE_lab"), &lab)?;
    let replay = |scene: &str| -> io::Result<Command> {
        let file = copy.path().join(scene);
        fs::write(&file, text_of(scene))?;
        Ok(replay(&lab, copy.path(), &file.to_string_lossy()))
    };
    let text = complaint(&support::output(apart(&mut replay("path-datagram")?, folder_in_the_way))?);
    assert_eq!(text, "lab: /tmp/unix_udp_client is a folder and in the way of unix30_udp_server; remove it, or run where lab may use mount namespaces\n");
    let other = support::output(apart(&mut replay("udpclient-usage")?, folder_in_the_way))?;
    assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stderr));
    Ok(())
}

/// upperclient leaves a socket with the number of its process in /var/tmp, which another user's could need.
fn left_sockets_are_removed(ports: &Path) -> Result<(), Failed> {
    let script = "\"$1\" replay upper-alone --pause 0 --no-namespaces --programs \"$2\" >/dev/null && ls /var/tmp";
    let mut command = support::command("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_lab")]).arg(ports);
    let output = support::output(apart(&mut command, || cover("/var/tmp")))?;
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    Ok(())
}

/// Ten scenes on one network, which all need port 43211, two at a time, each lab with a TMPDIR of its own.
fn labs_take_turns(ports: &Path) -> Result<(), Failed> {
    let script = "for at in 1 2 3 4 5; do
        TMPDIR=$3 \"$1\" replay two-clients --pause 0 --no-namespaces --programs \"$2\" >/dev/null & other=$!
        TMPDIR=$4 \"$1\" replay hello-then-g1 --pause 0 --no-namespaces --programs \"$2\" >/dev/null || exit 1
        wait $other || exit 1
    done";
    let (one, two) = (TempDir::new()?, TempDir::new()?);
    let mut command = support::command("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_lab")]).arg(ports).arg(one.path()).arg(two.path());
    let output = support::output(apart(&mut command, || Ok(())))?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}
