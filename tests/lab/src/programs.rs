//! The programs: which there are, where their originals are, and where their binaries are.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal};
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};

use crate::args::one_of;

/// The group folders, in the order in which they are listed.
pub const GROUPS: [&str; 5] = ["udp-basic", "udp-connected", "unix-stream", "unix-dgram", "tcp-basic"];

/// One member crate and the C program that it is a port of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The crate's name, and that of the C file without `.c`.
    pub name: &'static str,
    pub group: &'static str,
    /// The C file in its repository: yolanda's `chap-N/`, or c0yang4li4's `demo_linux_c/socket/`.
    pub original: &'static str,
}

const fn port(group: &'static str, name: &'static str, original: &'static str) -> Program {
    Program { name, group, original }
}

pub const PROGRAMS: [Program; 23] = [
    port("udp-basic", "udpserver", "chap-6/udpserver.c"),
    port("udp-basic", "udpclient", "chap-6/udpclient.c"),
    port("udp-basic", "udp10_server", "demo_linux_c/socket/udp10_server.c"),
    port("udp-basic", "udp10_client", "demo_linux_c/socket/udp10_client.c"),
    port("udp-basic", "udp20_server", "demo_linux_c/socket/udp20_server.c"),
    port("udp-connected", "udpconnectserver", "chap-14/udpconnectserver.c"),
    port("udp-connected", "udpconnectclient", "chap-14/udpconnectclient.c"),
    port("udp-connected", "udpconnectclient02", "chap-14/udpconnectclient02.c"),
    port("unix-stream", "unixstreamserver", "chap-7/unixstreamserver.c"),
    port("unix-stream", "unixstreamclient", "chap-7/unixstreamclient.c"),
    port("unix-stream", "unix10", "demo_linux_c/socket/unix10.c"),
    port("unix-stream", "unix20_tcp_server", "demo_linux_c/socket/unix20_tcp_server.c"),
    port("unix-stream", "unix20_tcp_client", "demo_linux_c/socket/unix20_tcp_client.c"),
    port("unix-stream", "upperserver", "the server in a note on local sockets"),
    port("unix-stream", "upperclient", "the client in a note on local sockets"),
    port("unix-dgram", "unixdataserver", "chap-7/unixdataserver.c"),
    port("unix-dgram", "unixdataclient", "chap-7/unixdataclient.c"),
    port("unix-dgram", "unix30_udp_server", "demo_linux_c/socket/unix30_udp_server.c"),
    port("unix-dgram", "unix30_udp_client", "demo_linux_c/socket/unix30_udp_client.c"),
    port("tcp-basic", "tcp10_server", "demo_linux_c/socket/tcp10_server.c"),
    port("tcp-basic", "tcp10_client", "demo_linux_c/socket/tcp10_client.c"),
    port("tcp-basic", "tcp20_server", "demo_linux_c/socket/tcp20_server.c"),
    port("tcp-basic", "tcp30_server", "demo_linux_c/socket/tcp30_server.c"),
];

/// The program of this name.
pub fn find(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

impl Program {
    /// The port's source, relative to the workspace's root.
    pub fn source(&self) -> PathBuf {
        [self.group, self.name, "src/main.rs"].iter().collect()
    }
}

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate is in tests/lab")
}

/// Which build of the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    /// As cargo names it.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Dev => "dev",
            Profile::Release => "release",
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        one_of(text, &[("dev", Profile::Dev), ("release", Profile::Release)])
    }
}

/// The executables, by program name.
pub type Binaries = BTreeMap<String, PathBuf>;

/// The ports and, if they are at hand, the C programs.
#[derive(Debug, Clone, Default)]
pub struct Builds {
    pub ports: Binaries,
    pub c: Option<Binaries>,
}

/// Builds these ports with cargo and says where their executables are.
/// Fails as [`Build::run`] does.
pub fn build(names: &[&str], profile: Profile) -> Result<Binaries> {
    Build { root: root(), profile, asan: false, quiet: false }.run(names)
}

/// These ports: those in this folder, or else built.
/// Fails as [`search`] and [`build`] do.
pub fn find_or_build(folder: Option<&Path>, names: &[&str], profile: Profile) -> Result<Binaries> {
    folder.map_or_else(|| build(names, profile), |folder| search(folder, names))
}

/// How to build ports.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// The workspace's root.
    pub root: &'a Path,
    pub profile: Profile,
    /// With AddressSanitizer.
    pub asan: bool,
    /// Without what cargo and the compiler say.
    pub quiet: bool,
}

impl Build<'_> {
    /// Builds these ports and says where their executables are.
    /// Fails if cargo cannot be run or does not build one of them; cargo has then said why on stderr.
    pub fn run(&self, names: &[&str]) -> Result<Binaries> {
        if names.is_empty() { Ok(Binaries::new()) } else { self.packages(names, names) }
    }

    /// Builds the package of the examples and says where these are.
    /// Fails as [`Build::run`] does.
    pub fn examples(&self, names: &[&str]) -> Result<Binaries> {
        self.packages(&["examples"], names)
    }

    /// Builds these packages and says where the executables of these names are.
    fn packages(&self, packages: &[&str], names: &[&str]) -> Result<Binaries> {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(self.root).args(["build", "--message-format", "json-render-diagnostics", "--profile", self.profile.name()]);
        if self.quiet || !io::stderr().is_terminal() {
            command.arg("--quiet");
        }
        if self.asan {
            // The option is not stable, and a stable compiler takes it only if told to. A target is
            // named so that it is for the programs, not for what cargo runs to build them; what is built
            // lies in a folder of that name, wherever cargo has its target folder.
            command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address -Clink-args=-Wl,--no-as-needed,-lgcc_s,-ldl");
            command.args(["--target", &host()?]);
        }
        for package in packages {
            command.args(["--package", package]);
        }
        let output = command.stdin(Stdio::null()).stderr(if self.quiet { Stdio::null() } else { Stdio::inherit() }).output().context("cannot run cargo to build the programs")?;
        if !output.status.success() {
            bail!("cargo could not build {}", names.join(", "));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let named = |path: PathBuf| Some((path.file_name()?.to_string_lossy().into_owned(), path));
        let binaries: Binaries = messages.lines().filter_map(executable).filter_map(named).collect();
        match missing(&binaries, names) {
            Some(missing) => bail!("cargo built no executable called {missing}"),
            None => Ok(binaries),
        }
    }
}

/// The path in a message of cargo's that names an executable: `... "executable":"/a/path" ...`.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    let mut path = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(path.into()),
            '\\' => path.push(chars.next()?),
            c => path.push(c),
        }
    }
}

/// The target that rustc builds for if it is told nothing: x86_64-unknown-linux-gnu.
fn host() -> Result<String> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("rustc -vV names no host")
}

/// Finds these programs under `folder`, at any depth, by file name; those that are there.
/// Fails if the folder cannot be read.
pub fn look_for(folder: &Path, names: &[&str]) -> Result<Binaries> {
    let mut binaries = Binaries::new();
    for path in files(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if names.contains(&name.as_str()) && is_executable(&path) {
            // Absolute: we change our working folder.
            binaries.entry(name).or_insert(path::absolute(path)?);
        }
    }
    Ok(binaries)
}

/// What is no folder under this folder, at any depth. This workspace's own folder is passed over, should it lie
/// there: its binaries are the ports.
/// Fails if the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        if next.canonicalize().is_ok_and(|path| path == root()) && next != folder {
            continue;
        }
        for entry in next.read_dir().with_context(|| format!("cannot read the folder {}", next.display()))? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() { &mut folders } else { &mut files };
            list.push(entry.path());
        }
    }
    Ok(files)
}

/// Finds these programs as [`look_for`] does, all of them.
/// Fails if the folder cannot be read or lacks one of them.
pub fn search(folder: &Path, names: &[&str]) -> Result<Binaries> {
    let binaries = look_for(folder, names)?;
    match missing(&binaries, names) {
        Some(missing) => bail!("no executable called {missing} under {}", folder.display()),
        None => Ok(binaries),
    }
}

/// Where the C programs are unless someone says: LAB_ORIGINALS, or the folder beside the workspace, if it is there.
pub fn default_originals() -> Option<PathBuf> {
    env::var_os("LAB_ORIGINALS").map(PathBuf::from).or_else(|| Some(root().parent()?.join("originals"))).filter(|folder| folder.is_dir())
}

/// What a message about missing C programs adds.
pub const ORIGINALS: &str = "clone and build the C programs as their own README says; they are found by file name";

/// The C programs of these names in the folder.
/// Fails as [`search`] does.
pub fn originals(folder: &Path, names: &[&str]) -> Result<Binaries> {
    search(folder, names).map_err(|why| anyhow!("{why:#}; {ORIGINALS}"))
}

/// Those of the names that are not among the binaries, for messages; `None` if there is none.
pub fn missing(binaries: &Binaries, names: &[&str]) -> Option<String> {
    let missing: Vec<&str> = names.iter().filter(|name| !binaries.contains_key(**name)).copied().collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_of_a_message_is_read() {
        let message = |executable: &str| format!(r#"{{"reason":"compiler-artifact","target":{{"name":"x"}},"executable":{executable},"fresh":true}}"#);
        assert_eq!(executable(&message("null")), None);
        assert_eq!(executable(&message("\"/a b/\u{7a0b}\\\"\\\\/x\"")), Some(PathBuf::from("/a b/\u{7a0b}\"\\/x")));
        // A text in a message says nothing.
        assert_eq!(executable(r#"{"message":"\"executable\":\"/x\""}"#), None);
    }
}
