//! The scenes with the ports' memory watched: all of them with AddressSanitizer, and one exchange of
//! each pair with memcheck, which is slow. `cargo lab memory` has memcheck watch them all.

#[path = "../../lab/tests/harness/support.rs"]
#[allow(dead_code)]
mod support;

use std::fs;

use lab::memory::{self, Tool};
use lab::programs::{self, Build, GROUPS, PROGRAMS, Profile};
use lab::scene::{self, Scene};
use tempfile::TempDir;

/// Each program is in one of them.
const EXCHANGES: [&str; 12] =
    ["two-clients", "udp-hello", "udp-hello-many", "connected-interrupt", "second-refused", "stream-pair", "path-pair", "upper-pair", "datagram-pair", "path-datagram", "tcp-pair", "http-many"];

const TOOL: &str = env!("CARGO_BIN_EXE_trials");

fn main() {
    let arguments = support::arguments();
    let scenes = scene::read_all(programs::root()).unwrap_or_else(|error| panic!("{error:#}"));
    let builds = support::Builds::make(&arguments);
    let asan = TempDir::new().expect("the system has a folder for temporary files");
    let mut no_asan = None;
    if !arguments.list {
        let build = Build { root: programs::root(), profile: Profile::Release, asan: true, quiet: true };
        match build.run(&PROGRAMS.map(|program| program.name)) {
            Ok(binaries) => binaries.iter().for_each(|(name, path)| _ = fs::copy(path, asan.path().join(name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", path.display()))),
            Err(_) => no_asan = Some("this compiler does not build with AddressSanitizer".to_owned()),
        }
    }
    let no_memcheck = Tool::Memcheck.available().err().map(|error| error.to_string());
    let mut trials = Vec::new();
    for group in GROUPS {
        let of_group = |scene: &&Scene| scene.group == group && memory::can_watch(scene);
        let names: Vec<String> = scenes.iter().filter(of_group).map(|scene| scene.name.clone()).collect();
        let folder = asan.path().to_owned();
        trials.push(support::trial(format!("asan/{group}"), no_asan.as_deref(), move || {
            let names = names.iter().map(String::as_str);
            support::run(TOOL, &["memory", "--tool", "asan"].into_iter().chain(names).collect::<Vec<_>>(), &[&folder])
        }));
    }
    for name in EXCHANGES {
        let folder = builds.folder(Profile::Release);
        trials.push(support::trial(format!("memcheck/{name}"), no_memcheck.as_deref(), move || support::run(TOOL, &["memory", name], &[&folder])));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop((builds, asan));
    conclusion.exit();
}
