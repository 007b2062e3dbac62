//! Where a scene is played: a network, a `/tmp` and a working folder that no other scene sees.
//!
//! Where namespaces work, each scene gets a network of its own (so the fixed ports 43211 and 9501 are
//! always free) and a `/tmp` of its own. They are tried in a child first: Ubuntu grants a namespace and
//! then refuses its mounts, a container may grant it and refuse its loopback. Elsewhere scenes take
//! turns, by a lock that all users of the machine share, and a port that something else holds is an error.

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::SockaddrIn;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getgid, getuid};

use crate::cast::{C_FOLDER, Cast};
use crate::folder::Folder;
use crate::mask::OWN_PORTS;
use crate::player::{self, Observer, Options, Played, TRACE_FOLDER};
use crate::proc;
use crate::scene::Scene;
use crate::signals;
use crate::time_wait;

/// The one of the programs' ports that TCP is used on.
const TCP_PORT: u16 = 9501;

/// The paths that programs bind or connect to whatever their working folder is, and these programs.
const PATHS: [(&str, [&str; 2]); 3] = [
    ("/tmp/unix_tcp", ["unix20_tcp_server", "unix20_tcp_client"]),
    ("/tmp/unix_udp_server", ["unix30_udp_server", "unix30_udp_client"]),
    ("/tmp/unix_udp_client", ["unix30_udp_server", "unix30_udp_client"]),
];

/// The folders where programs bind sockets, and what stands for each in the working folder.
const COVERED: [(&str, &str); 2] = [("/tmp", ".tmp"), ("/var/tmp", ".var-tmp")];

/// How long to wait for another scene to leave the stage when there is only one.
const TURN_LIMIT: Duration = Duration::from_secs(300);

/// How long to wait for a port that something else has.
const PORT_LIMIT: Duration = Duration::from_secs(3);

/// How long between two attempts.
const BREATH: Duration = Duration::from_millis(5);

/// What this process may have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Network and mount namespaces.
    Namespaces,
    /// A turn on the network and the `/tmp` that everyone has.
    Turns,
}

impl Isolation {
    /// Takes namespaces if `wanted` and a child has shown that all of them work; else says why not, in one
    /// line on stderr.
    ///
    /// The calling process must have one thread only: a user namespace is not for threads.
    pub fn enter(wanted: bool) -> Isolation {
        if !wanted {
            return Isolation::Turns;
        }
        match refusal() {
            None if enter_namespaces().is_ok() => Isolation::Namespaces,
            why => {
                let why = why.unwrap_or_else(|| "namespaces worked a moment ago, and no longer do".to_owned());
                anstream::eprintln!("lab: no namespaces here ({why}): scenes take turns on this machine's own network and /tmp");
                Isolation::Turns
            }
        }
    }

    /// Plays a scene in a sandbox of its own.
    /// Fails as [`Sandbox::new`] and [`player::play`] do.
    pub fn play(self, scene: &Scene, cast: &Cast, options: &Options, observer: &mut dyn Observer) -> Result<Played> {
        let _sandbox = Sandbox::new(self, cast)?;
        player::play(scene, cast, options, observer)
    }
}

/// Why namespaces do not work here, if they do not: the whole of what a scene needs is tried in a child.
pub fn refusal() -> Option<String> {
    let try_all = || enter_namespaces().and_then(|()| new_network()).and_then(|()| bind_mount("/var/tmp", "/tmp")).map(|()| String::new());
    let tried = in_child("the process that tried them was killed", try_all).and_then(|outcome| outcome());
    tried.err().map(|error| format!("{error:#}"))
}

/// Starts a child that does this work; what is returned waits for its outcome, or says that it was `killed`.
pub fn in_child(killed: &'static str, work: impl FnOnce() -> Result<String>) -> Result<impl FnOnce() -> Result<String>> {
    let (mut from_child, mut to_parent) = io::pipe()?;
    // SAFETY: the child has this thread alone, and ends without returning.
    match unsafe { fork() }.context("cannot start a process")? {
        ForkResult::Child => {
            let (text, status) = work().map_or_else(|error| (format!("{error:#}"), 1), |text| (text, 0));
            let status = if to_parent.write_all(text.as_bytes()).is_ok() { status } else { 2 };
            // SAFETY: nothing of the parent's is to be run in the child.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => Ok(move || {
            let mut text = String::new();
            from_child.read_to_string(&mut text)?;
            match waitpid(child, None)? {
                WaitStatus::Exited(_, 0) => Ok(text),
                WaitStatus::Exited(_, 1) => bail!(text),
                _ => bail!(killed),
            }
        }),
    }
}

/// A user namespace if we need one, then a mount namespace whose mounts stay in it.
pub fn enter_namespaces() -> Result<()> {
    let (uid, gid) = (getuid(), getgid());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNS).context("unshare")?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).context("unshare")?;
        // We stay who we are, so that a program we start has no capability and permissions hold.
        for (name, text) in [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))] {
            fs::write(format!("/proc/self/{name}"), text).with_context(|| format!("/proc/self/{name}"))?;
        }
    }
    let nothing: Option<&str> = None;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).context("mount")
}

/// A network of our own, in which a datagram has reached us.
pub fn new_network() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
    loopback_up().context("loopback")?;
    // The kernel could give a client the server's port as its own, and the client would talk to itself.
    let _ = fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", OWN_PORTS.map(|port| port.to_string()).join(","));
    let echo = || -> io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.send_to(b"x", socket.local_addr()?)?;
        socket.recv(&mut [0])?;
        Ok(())
    };
    echo().context("a datagram over the loopback")
}

fn bind_mount(from: &str, to: &str) -> Result<()> {
    let nothing: Option<&str> = None;
    mount(Some(from), to, nothing, MsFlags::MS_BIND, nothing).with_context(|| format!("mount over {to}"))
}

/// Sets the loopback interface of a new network namespace up, with a route to 255.255.255.255 as
/// any machine on a network has one.
fn loopback_up() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut name = [b'l' as libc::c_char, b'o' as libc::c_char, 0];
    let everyone = libc::sockaddr_in::from(SockaddrIn::new(255, 255, 255, 255, 0));
    // SAFETY: both structs are valid when zeroed, and the ioctls read and write them alone.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[..name.len()].copy_from_slice(&name);
        Errno::result(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request))?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        Errno::result(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request))?;

        let mut route: libc::rtentry = std::mem::zeroed();
        route.rt_dst = std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(everyone);
        route.rt_genmask = route.rt_dst;
        route.rt_flags = libc::RTF_UP | libc::RTF_HOST;
        route.rt_dev = name.as_mut_ptr();
        Errno::result(libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &route))?;
    }
    Ok(())
}

/// The place of one scene; dropping it clears it away. While there is one, the signals that ask us
/// to end are [noted](signals) only.
pub struct Sandbox {
    _turn: Option<UnixDatagram>,
    folder: Folder,
    /// The sockets of this kind that were there before, where programs leave theirs among everyone's; `None` if
    /// our folders cover everyone's.
    before: Option<Vec<PathBuf>>,
}

impl Sandbox {
    /// Makes one with copies of the cast's programs in its working folder, those in C in a folder of their own.
    /// Fails if a port or a path is taken by something else, our turn does not come within five minutes, or a signal
    /// has asked us to end.
    pub fn new(isolation: Isolation, cast: &Cast) -> Result<Sandbox> {
        signals::watch();
        signals::check()?;
        let turn = match isolation {
            Isolation::Namespaces => {
                new_network()?;
                None
            }
            Isolation::Turns => {
                let turn = wait_for_turn()?;
                check_ports()?;
                for (path, programs) in PATHS {
                    if let Some(program) = programs.iter().find(|name| cast.ports.contains_key(**name) || cast.c.contains_key(**name)) {
                        clear(Path::new(path), program)?;
                    }
                }
                Some(turn)
            }
        };
        let folder = Folder::new()?;
        fill(folder.path(), cast).with_context(|| format!("cannot prepare {}", folder.path().display()))?;
        // The programs inherit our working folder: with another /tmp over it, it may have no name.
        env::set_current_dir(folder.path())?;
        let before = turn.is_some().then(shared_sockets);
        // From here on, what we have covered is uncovered again, whatever fails.
        let sandbox = Sandbox { _turn: turn, folder, before };
        let folder = sandbox.folder.path();
        let cover_all = || -> Result<()> {
            if sandbox.before.is_none() {
                COVERED.iter().try_for_each(|(path, name)| cover(path, name))?;
            }
            if !folder.exists() {
                // strace reads the programs by their paths.
                fs::create_dir_all(folder)?;
                bind_mount(".", &folder.to_string_lossy())?;
            }
            Ok(())
        };
        cover_all().with_context(|| format!("cannot prepare {}", folder.display()))?;
        Ok(sandbox)
    }
}

/// Copies the cast's programs to a working folder.
fn fill(folder: &Path, cast: &Cast) -> Result<()> {
    // Someone else than we must reach the programs and sockets in it: `sudo -u nobody`.
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let c_folder = folder.join(C_FOLDER);
    fs::create_dir(&c_folder)?;
    for (folder, binaries) in [(folder, &cast.ports), (&c_folder, &cast.c)] {
        for (name, from) in binaries {
            let to = folder.join(name);
            fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            fs::set_permissions(&to, Permissions::from_mode(0o755))?;
        }
    }
    let trace_folder = folder.join(TRACE_FOLDER);
    fs::create_dir(&trace_folder)?;
    fs::set_permissions(&trace_folder, Permissions::from_mode(0o1777))?;
    Ok(())
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Out of the folder before it goes; "/" is always there.
        let _ = env::set_current_dir("/");
        // What cannot be removed stays; a mount, to the end of our namespace, that is, of this process.
        if let Some(before) = &self.before {
            shared_sockets().into_iter().filter(|path| !before.contains(path)).for_each(|path| drop(fs::remove_file(path)));
        } else {
            for (path, _) in COVERED {
                let _ = umount2(path, MntFlags::MNT_DETACH);
            }
        }
    }
}

/// The sockets with the names that programs bind in folders that everyone shares: one of [`PATHS`], a process
/// number or one of tmpnam's.
fn shared_sockets() -> Vec<PathBuf> {
    let is_theirs = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        is_number || name.starts_with("file") && name.len() == 10 || PATHS.iter().any(|(known, _)| Path::new(known) == path)
    };
    let entries = COVERED.iter().flat_map(|(folder, _)| fs::read_dir(folder).into_iter().flatten().flatten());
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket())).map(|entry| entry.path()).filter(|path| is_theirs(path)).collect()
}

/// Covers `path` with a new folder of this name in the working folder, in our mount namespace.
fn cover(path: &str, name: &str) -> Result<()> {
    fs::create_dir(name)?;
    fs::set_permissions(name, Permissions::from_mode(0o1777))?;
    bind_mount(name, path)
}

/// Waits until no other scene is on this network: one at a time has this abstract name there, whoever
/// plays it. The kernel takes the name back from who ends.
fn wait_for_turn() -> Result<UnixDatagram> {
    let name = SocketAddr::from_abstract_name("lab-turn")?;
    let turn = signals::wait(TURN_LIMIT, BREATH, || match UnixDatagram::bind_addr(&name) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        turn => turn.map(Some).context("cannot take a turn"),
    })?;
    turn.with_context(|| format!("time-out after {} s: another lab is playing on this machine and holds the abstract socket @lab-turn", TURN_LIMIT.as_secs()))
}

fn check_ports() -> Result<()> {
    for port in OWN_PORTS {
        wait_for("UDP", port, || UdpSocket::bind(("0.0.0.0", port)))?;
    }
    time_wait::forget(TCP_PORT)?;
    wait_for("TCP", TCP_PORT, || TcpListener::bind(("0.0.0.0", TCP_PORT)))
}

/// Waits until a port can be bound: a program that asks a name server, say, has any port for a moment.
fn wait_for<Socket>(protocol: &str, port: u16, mut bind: impl FnMut() -> io::Result<Socket>) -> Result<()> {
    let socket = signals::wait(PORT_LIMIT, BREATH, || Ok(bind().ok()))?;
    socket.map(drop).with_context(|| format!("{protocol} port {port} is taken{}", by_whom(port)))
}

/// Removes the socket that a scene before has left at a path of this program.
fn clear(path: &Path, program: &str) -> Result<()> {
    let way_out = "remove it, or run where lab may use mount namespaces";
    let shown = path.display();
    let Ok(data) = fs::symlink_metadata(path) else { return Ok(()) };
    let kind = match data.file_type() {
        kind if kind.is_socket() => return fs::remove_file(path).map_err(|error| anyhow!("cannot remove the socket {shown} for {program}: {error}; {way_out}")),
        kind if kind.is_dir() => "folder",
        kind if kind.is_symlink() => "symbolic link",
        _ => "file",
    };
    bail!("{shown} is a {kind} and in the way of {program}; {way_out}")
}

/// " by udpserver (pid 123); ...", as far as /proc tells, and the way out.
fn by_whom(port: u16) -> String {
    let way_out = "end it, or run where lab may use network namespaces";
    let rows = ["udp", "tcp"].into_iter().flat_map(|name| proc::table("self", name).unwrap_or_default());
    let inodes: Vec<u64> = rows.filter(|row| row.local.port() == port && row.inode != 0).map(|row| row.inode).collect();
    for pid in proc::processes() {
        let has_it = proc::sockets(pid).is_ok_and(|sockets| sockets.iter().any(|(_, inode)| inodes.contains(inode)));
        if has_it && let Some((name, _)) = proc::stat(pid) {
            return format!(" by {name} (pid {pid}); {way_out}");
        }
    }
    format!("; {way_out}")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixListener;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_port_that_is_taken_for_a_moment_is_waited_for() {
        let mut answers = [Err(io::ErrorKind::AddrInUse.into()), Ok(())].into_iter();
        wait_for("UDP", 1, || answers.next().expect("no further attempt")).unwrap();
        assert!(answers.next().is_none());
    }

    #[test]
    fn a_socket_is_cleared_away_and_nothing_else_is() {
        let folder = TempDir::new().unwrap();
        let (socket, file, none) = (folder.path().join("socket"), folder.path().join("file"), folder.path().join("none"));
        drop(UnixListener::bind(&socket).unwrap());
        File::create(&file).unwrap();
        clear(&socket, "unix20_tcp_server").unwrap();
        clear(&none, "unix20_tcp_server").unwrap();
        assert!(!socket.exists());
        assert!(clear(&file, "unix20_tcp_server").unwrap_err().to_string().contains("/file is a file and in the way of unix20_tcp_server;"));
        assert!(file.exists());
    }
}
