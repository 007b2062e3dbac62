//! The long runs in a small size, by the tool itself.

// What it has for scenes alone is not used here.
#[allow(dead_code)]
#[path = "../../lab/tests/harness/support.rs"]
mod support;

mod bench;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lab::memory::{self, Tool};
use lab::programs::{self, Build, GROUPS, PROGRAMS, Profile};
use lab::{scene, strace};
use tempfile::TempDir;
use trials::memory::unknown_processor;
use trials::sessions::FAMILIES;
use trials::soak::SERVERS;

/// The scenes that memcheck, which is slow, watches: one of each group.
const EXCHANGES: [&str; 5] = ["one-client", "connected-interrupt", "stream-pair", "path-datagram", "http-once"];

fn main() -> ExitCode {
    let arguments = support::arguments();
    let folders = TempDir::new().expect("there is a folder for temporary files");
    let names = PROGRAMS.map(|program| program.name);
    let build = |name: &str, asan: bool| {
        let folder = folders.path().join(name);
        if !arguments.list {
            let release = Build { root: programs::root(), profile: Profile::Release, asan, quiet: asan };
            let mut binaries = release.run(&names)?;
            if !asan {
                // Whether they are fast does not matter here.
                binaries.extend(Build { profile: Profile::Dev, ..release }.examples(&["std_udp", "tokio_udp"])?);
            }
            support::collect(&binaries, &folder);
        }
        anyhow::Ok(folder)
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

    let folder = ports.clone();
    let no_strip = support::missing("strip");
    let bench = move || Ok(bench::figures_are_there_and_ratios_are_theirs(&folder)?);
    let mut trials = vec![support::trial("bench".to_owned(), no_strace.as_deref().or(no_strip.as_deref()), bench)];
    let mut add = |name: String, ignored: &Option<String>, args: &[&str], folder: &Path| {
        let (args, folder): (Vec<String>, _) = (args.iter().map(|arg| (*arg).to_owned()).collect(), folder.to_owned());
        trials.push(support::trial(name, ignored.as_deref(), move || support::run(env!("CARGO_BIN_EXE_trials"), &args, &[folder])));
    };
    // The long ones first, so that none of them is what the others wait for.
    let scenes = scene::read_all().unwrap_or_else(|error| panic!("{error:#}"));
    for group in GROUPS {
        let of_group = scenes.iter().filter(|scene| scene.group == group && memory::can_watch(scene)).map(|scene| scene.name.as_str());
        add(format!("asan/{group}"), &no_asan, &["memory", "--tool", "asan"].into_iter().chain(of_group).collect::<Vec<_>>(), &asan);
    }
    for name in EXCHANGES {
        add(format!("memcheck/{name}"), &no_memcheck, &["memory", name], &ports);
    }
    for name in names {
        add(format!("faults/{name}"), &no_strace, &["faults", name, "--every", "99"], &ports);
        add(format!("adversarial/{name}"), &no_strace, &["adversarial", name, "--every", "12"], &ports);
    }
    for family in FAMILIES {
        let family = family.programs()[0];
        add(format!("sessions/{family}"), &no_strace, &["sessions", family, "--count", "4", "--seed", "1"], &ports);
        let compare = ["sessions", family, "--count", "12", "--seed", "2", "--originals", originals.as_deref().unwrap_or_default()];
        add(format!("sessions/live/{family}"), if no_originals.is_some() { &no_originals } else { &no_strace }, &compare, &ports);
    }
    for server in SERVERS {
        add(format!("soak/{server}"), &None, &["soak", server, "--messages", "2000"], &ports);
    }
    // It takes ten seconds and waits for most of them, since strace holds unix10's child back.
    trials.sort_by_key(|trial| trial.name() != "faults/unix10");
    libtest_mimic::run(&arguments, trials).exit_code()
}
