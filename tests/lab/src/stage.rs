//! Where a scene is played: a network, a `/tmp` and a working folder that no other scene sees.
//!
//! Where the machine lets us have namespaces, each scene gets a network of its own (so the fixed
//! ports 43211 and 9501 are always free) and a `/tmp` of its own. Elsewhere scenes take turns, by a
//! lock on a file, and a port that something else holds is an error.

use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use procfs::process::{FDTarget, all_processes};

use crate::folder::Folder;
use crate::play::C_FOLDER;
use crate::programs::Binaries;
use crate::signals;
use crate::time_wait;

/// The ports that the programs listen on.
const UDP_PORTS: [u16; 2] = [43211, 9501];
const TCP_PORTS: [u16; 1] = [9501];

/// The folder in the working folder that strace writes to, whoever it runs as.
pub const TRACE_FOLDER: &str = "trace";

/// The paths that programs bind or connect to whatever their working folder is, and these programs.
const PATHS: [(&str, [&str; 2]); 3] = [
    ("/tmp/unix_tcp", ["unix20_tcp_server", "unix20_tcp_client"]),
    ("/tmp/unix_udp_server", ["unix30_udp_server", "unix30_udp_client"]),
    ("/tmp/unix_udp_client", ["unix30_udp_server", "unix30_udp_client"]),
];

/// The folders where programs bind sockets, and what stands for each in the working folder.
const COVERED: [(&str, &str); 2] = [("/tmp", ".tmp"), ("/var/tmp", ".var-tmp")];

/// How long to wait for another scene to leave the stage when there is only one.
const TURN_LIMIT: Duration = Duration::from_secs(120);

/// What this process may have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Network and mount namespaces.
    Namespaces,
    /// A turn on the network and the `/tmp` that everyone has.
    Turns,
}

impl Privacy {
    /// Takes namespaces if `wanted` and the machine has them for us.
    ///
    /// The calling process must have one thread only: a user namespace is not for threads.
    pub fn find(wanted: bool) -> Privacy {
        if wanted && enter_namespaces().is_ok() { Privacy::Namespaces } else { Privacy::Turns }
    }
}

/// A user namespace if we need one, then a mount namespace whose mounts stay in it.
fn enter_namespaces() -> Result<()> {
    let (uid, gid) = (getuid(), getgid());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        // We stay who we are, so that a program we start has no capability and permissions hold.
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    let nothing: Option<&str> = None;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    Ok(())
}

/// Sets the loopback interface of a new network namespace up, with a route to 255.255.255.255 as
/// any machine on a network has one.
fn loopback_up() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let result = |result: libc::c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    let mut name = [b'l' as libc::c_char, b'o' as libc::c_char, 0];
    let everyone = libc::sockaddr_in { sin_family: libc::AF_INET as libc::sa_family_t, sin_port: 0, sin_addr: libc::in_addr { s_addr: libc::INADDR_BROADCAST }, sin_zero: [0; 8] };
    // SAFETY: both structs are valid when zeroed, and the ioctls read and write them alone.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[..name.len()].copy_from_slice(&name);
        result(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request))?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        result(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request))?;

        let mut route: libc::rtentry = std::mem::zeroed();
        route.rt_dst = std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(everyone);
        route.rt_genmask = route.rt_dst;
        route.rt_flags = libc::RTF_UP | libc::RTF_HOST;
        route.rt_dev = name.as_mut_ptr();
        result(libc::ioctl(socket.as_raw_fd(), libc::SIOCADDRT, &route))?;
    }
    Ok(())
}

/// The place of one scene; dropping it clears it away. While there is one, the signals that ask us
/// to end are [noted](signals) only.
pub struct Stage {
    // Dropped in this order: nothing under a cover is in use when it goes.
    _covers: Vec<Cover>,
    _turn: Option<Flock<File>>,
    _folder: Folder,
}

impl Stage {
    /// Sets a stage with copies of these ports in its working folder, and of these C programs in
    /// the folder [`C_FOLDER`] in it.
    ///
    /// # Errors
    ///
    /// If a port or a path is taken by something else, our turn does not come within two minutes, or a signal
    /// has asked us to end.
    pub fn set(privacy: Privacy, ports: &Binaries, c: &Binaries) -> Result<Stage> {
        signals::watch();
        signals::check()?;
        let turn = match privacy {
            Privacy::Namespaces => {
                unshare(CloneFlags::CLONE_NEWNET).context("cannot get another network namespace")?;
                loopback_up().context("cannot set up the loopback interface")?;
                None
            }
            Privacy::Turns => {
                let turn = wait_for_turn()?;
                check_ports()?;
                for (path, programs) in PATHS {
                    if let Some(program) = programs.iter().find(|name| ports.contains_key(**name) || c.contains_key(**name)) {
                        clear(Path::new(path), program)?;
                    }
                }
                Some(turn)
            }
        };
        let folder = Folder::new()?;
        // Someone else than we must reach the programs and sockets in it: `sudo -u nobody`.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let c_folder = folder.path().join(C_FOLDER);
        fs::create_dir(&c_folder)?;
        for (folder, binaries) in [(folder.path(), ports), (&c_folder, c)] {
            for (name, from) in binaries {
                let to = folder.join(name);
                fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
                fs::set_permissions(&to, Permissions::from_mode(0o755))?;
            }
        }
        let trace_folder = folder.path().join(TRACE_FOLDER);
        fs::create_dir(&trace_folder)?;
        fs::set_permissions(&trace_folder, Permissions::from_mode(0o1777))?;
        // The programs inherit our working folder: with another /tmp over it, it may have no name.
        env::set_current_dir(folder.path())?;
        let covers = match privacy {
            Privacy::Namespaces => COVERED.iter().map(|(path, name)| Cover::new(path, name)).collect::<Result<_>>()?,
            Privacy::Turns => Vec::new(),
        };
        Ok(Stage { _covers: covers, _turn: turn, _folder: folder })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Out of the folder before it goes; "/" is always there.
        let _ = env::set_current_dir("/");
    }
}

/// An empty folder in place of another, in our mount namespace.
struct Cover(&'static str);

impl Cover {
    /// Covers `path` with a new folder of this name in the working folder.
    fn new(path: &'static str, name: &str) -> Result<Cover> {
        fs::create_dir(name)?;
        fs::set_permissions(name, Permissions::from_mode(0o1777))?;
        let nothing: Option<&str> = None;
        mount(Some(name), path, nothing, MsFlags::MS_BIND, nothing).with_context(|| format!("cannot mount over {path}"))?;
        Ok(Cover(path))
    }
}

impl Drop for Cover {
    fn drop(&mut self) {
        // An error leaves the mount to the end of our namespace, that is, of this process.
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

fn wait_for_turn() -> Result<Flock<File>> {
    let path: PathBuf = env::temp_dir().join("lab-turn.lock");
    // It is locked, never written, and may be someone else's.
    let mut file = File::open(&path).or_else(|_| File::create(&path)).with_context(|| format!("cannot open {}", path.display()))?;
    let start = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(turn) => return Ok(turn),
            Err((back, _)) if start.elapsed() < TURN_LIMIT => file = back,
            Err(_) => bail!("another scene has been playing for {} s; it holds {}", TURN_LIMIT.as_secs(), path.display()),
        }
        signals::check()?;
        thread::sleep(Duration::from_millis(20));
    }
}

fn check_ports() -> Result<()> {
    for port in UDP_PORTS {
        if UdpSocket::bind(("0.0.0.0", port)).is_err() {
            bail!("UDP port {port} is taken{}", by_whom(port));
        }
    }
    for port in TCP_PORTS {
        time_wait::forget(port);
        if TcpListener::bind(("0.0.0.0", port)).is_err() {
            bail!("TCP port {port} is taken{}", by_whom(port));
        }
    }
    Ok(())
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
    let udp = procfs::net::udp().into_iter().flatten().filter(|entry| entry.local_address.port() == port).map(|entry| entry.inode);
    let tcp = procfs::net::tcp().into_iter().flatten().filter(|entry| entry.local_address.port() == port).map(|entry| entry.inode);
    let inodes: Vec<u64> = udp.chain(tcp).filter(|inode| *inode != 0).collect();
    for process in all_processes().into_iter().flatten().flatten() {
        for fd in process.fd().into_iter().flatten().flatten() {
            if let FDTarget::Socket(inode) = fd.target
                && inodes.contains(&inode)
                && let Ok(stat) = process.stat()
            {
                return format!(" by {} (pid {}); {way_out}", stat.comm, process.pid);
            }
        }
    }
    format!("; {way_out}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_socket_is_cleared_away_and_nothing_else_is() {
        let folder = TempDir::new().unwrap();
        let (socket, file, sub, none) = (folder.path().join("socket"), folder.path().join("file"), folder.path().join("folder"), folder.path().join("none"));
        drop(UnixListener::bind(&socket).unwrap());
        File::create(&file).unwrap();
        fs::create_dir(&sub).unwrap();
        clear(&socket, "unix20_tcp_server").unwrap();
        clear(&none, "unix20_tcp_server").unwrap();
        assert!(!socket.exists());
        for (path, kind) in [(file, "file"), (sub, "folder")] {
            let error = clear(&path, "unix20_tcp_server").unwrap_err().to_string();
            assert_eq!(error, format!("{} is a {kind} and in the way of unix20_tcp_server; remove it, or run where lab may use mount namespaces", path.display()));
            assert!(path.exists());
        }
    }
}
