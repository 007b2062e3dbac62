//! What the tests share: the builds, what the machine has, and running a tool.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use lab::programs::{self, Binaries, PROGRAMS, Profile};
use lab::sandbox;
use lab::signals;
use lab::strace;
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// How long a command may take; where scenes take turns, it waits for its own.
const LIMIT: Duration = Duration::from_secs(400);

/// The builds of all programs, each in a folder; they go when this goes.
pub struct Builds(TempDir);

impl Builds {
    pub const PROFILES: [Profile; 2] = [Profile::Dev, Profile::Release];

    /// Builds all programs, unless the tests are only to be listed.
    pub fn make(arguments: &Arguments) -> Builds {
        let builds = Builds(TempDir::new().expect("the system has a folder for temporary files"));
        if !arguments.list {
            for profile in Builds::PROFILES {
                let binaries = programs::build(&PROGRAMS.map(|program| program.name), profile).unwrap_or_else(|error| panic!("{error:#}"));
                collect(&binaries, &builds.folder(profile));
            }
        }
        builds
    }

    pub fn folder(&self, profile: Profile) -> PathBuf {
        self.0.path().join(profile.name())
    }
}

/// Copies these programs to a new folder.
pub fn collect(binaries: &Binaries, folder: &Path) {
    fs::create_dir(folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    for (name, path) in binaries {
        fs::copy(path, folder.join(name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", path.display()));
    }
}

/// What this machine lacks, each with the reason.
pub struct Machine {
    pub no_namespaces: Option<String>,
    pub no_strace: Option<String>,
}

impl Machine {
    pub fn look() -> Machine {
        Machine { no_namespaces: sandbox::refusal().map(|why| format!("no namespaces here: {why}")), no_strace: strace::available().err().map(|error| error.to_string()) }
    }
}

/// "curl is not installed", if it is on no folder of PATH.
pub fn missing(tool: &str) -> Option<String> {
    find(tool).is_none().then(|| format!("{tool} is not installed"))
}

/// Where a tool is, on PATH.
pub fn find(tool: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(tool)).find(|path| path.is_file())
}

/// What the test runner has been told; programs wait for each other, mostly, so that more run at a
/// time than there are processors.
pub fn arguments() -> Arguments {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(3 * thread::available_parallelism().map_or(1, NonZero::get)));
    arguments
}

/// A test, or one that is ignored, with the reason after its name.
pub fn trial(name: String, ignored: Option<&str>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let title = match ignored {
        Some(reason) => format!("{name} ({reason})"),
        None => name,
    };
    Trial::test(title, run).with_ignored_flag(ignored.is_some())
}

/// A command that ends with this process.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // SAFETY: the closure makes one system call.
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
    }
    command.stdin(Stdio::null());
    command
}

/// A running command; it is killed when its test ends, whether that succeeds or panics.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command writes and how it ends.
/// Fails if it cannot be run, or does not end within the limit.
pub fn output(command: &mut Command) -> io::Result<Output> {
    // Into files: nobody has to read while it runs.
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut running = Running(command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).spawn()?);
    let status = signals::wait(LIMIT, Duration::from_millis(2), || Ok(running.0.try_wait()?)).map_err(io::Error::other)?;
    let status = status.ok_or_else(|| io::Error::other(format!("time-out after {} s: {command:?} does not end", LIMIT.as_secs())))?;
    let text = |file: &mut File| -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut text)?;
        Ok(text)
    };
    Ok(Output { status, stdout: text(&mut stdout)?, stderr: text(&mut stderr)? })
}

/// Runs a tool with these arguments and, after them, these folders of programs; it must succeed.
pub fn run(tool: &str, args: &[impl AsRef<OsStr>], programs: &[PathBuf]) -> Result<(), Failed> {
    let mut command = command(tool);
    command.args(args);
    for folder in programs {
        command.arg("--programs").arg(folder);
    }
    let output = output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
}
