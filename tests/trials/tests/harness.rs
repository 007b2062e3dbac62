//! The long runs in a small size, by the tool itself, and the tables of fixes; one binary for all.

mod count;
mod fixes;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use lab::memory::{self, Tool};
use lab::programs::{self, Binaries, Build, GROUPS, PROGRAMS, Profile};
use lab::{scene, strace};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use trials::memory::unknown_processor;
use trials::soak::LOADS;

/// The scenes that memcheck, which is slow, watches: one of each group.
const EXCHANGES: [&str; 5] = ["two-clients", "connected-interrupt", "stream-pair", "datagram-pair", "http-many"];

const FAMILIES: [&str; 6] = ["udp", "connected", "stream", "dgram", "upper", "hello"];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Programs mostly wait for each other: more run at a time than there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let folders = TempDir::new().expect("there is a folder for temporary files");
    let names = PROGRAMS.map(|program| program.name);
    let build = |name: &str, asan: bool| {
        let folder = folders.path().join(name);
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let built = if arguments.list { Ok(Binaries::new()) } else { Build { root: programs::root(), profile: Profile::Release, asan, quiet: asan }.run(&names) };
        built.map(|binaries| binaries.iter().for_each(|(name, path)| _ = fs::copy(path, folder.join(name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", path.display())))).map(|()| folder)
    };
    let ports = build("ports", false).unwrap_or_else(|error| panic!("{error:#}"));
    let (asan, no_asan) = match build("asan", true) {
        Ok(folder) => (folder, None),
        Err(_) => (PathBuf::new(), Some("this compiler does not build with AddressSanitizer".to_owned())),
    };
    let no_strace = strace::available().err().map(|error| error.to_string());
    let no_memcheck = Tool::Memcheck.available().err().map(|error| error.to_string()).or_else(|| unknown_processor(&ports.join("udpclient")));
    let originals = std::env::var("LAB_ORIGINALS").ok();
    let no_originals = originals.is_none().then(|| "LAB_ORIGINALS names no folder of C programs".to_owned());

    let mut trials = fixes::trials();
    trials.push(Trial::test("count", || {
        count::a_count_past_its_largest_value_goes_on();
        Ok(())
    }));
    let mut add = |name: String, ignored: &Option<String>, args: &[&str], folder: &Path| {
        let (args, folder): (Vec<String>, _) = (args.iter().map(|arg| (*arg).to_owned()).collect(), folder.to_owned());
        let title = ignored.as_ref().map_or(name.clone(), |reason| format!("{name} ({reason})"));
        trials.push(Trial::test(title, move || run(&args, &folder)).with_ignored_flag(ignored.is_some()));
    };
    for name in names {
        add(format!("faults/{name}"), &no_strace, &["faults", name, "--once"], &ports);
        add(format!("adversarial/{name}"), &no_strace, &["adversarial", name, "--every", "12"], &ports);
    }
    for family in FAMILIES {
        add(format!("sessions/{family}"), &no_strace, &["sessions", family, "--count", "4", "--seed", "1"], &ports);
        let compare = ["sessions", family, "--count", "12", "--seed", "2", "--originals", originals.as_deref().unwrap_or_default()];
        add(format!("sessions/live/{family}"), if no_originals.is_some() { &no_originals } else { &no_strace }, &compare, &ports);
    }
    for load in LOADS {
        add(format!("soak/{}", load.program), &None, &["soak", load.program, "--messages", "2000", "--interrupts", "40"], &ports);
    }
    for name in EXCHANGES {
        add(format!("memcheck/{name}"), &no_memcheck, &["memory", name], &ports);
    }
    let scenes = scene::read_all(programs::root()).unwrap_or_else(|error| panic!("{error:#}"));
    for group in GROUPS {
        let of_group = scenes.iter().filter(|scene| scene.group == group && memory::can_watch(scene)).map(|scene| scene.name.as_str());
        add(format!("asan/{group}"), &no_asan, &["memory", "--tool", "asan"].into_iter().chain(of_group).collect::<Vec<_>>(), &asan);
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs the tool with the programs in this folder; it must succeed. It ends with its test.
fn run(args: &[String], programs: &Path) -> Result<(), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trials"));
    command.args(args).arg("--programs").arg(programs).stdin(Stdio::null());
    // SAFETY: the closure makes one system call.
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?));
    }
    let output = command.output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned().into()) }
}
