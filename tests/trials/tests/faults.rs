//! Each call of each program is made to fail, and the program does what `tests/trials/faults.tsv` says: each
//! row once. `lab faults` tries them all, at each time and with each error.

#[path = "../../lab/tests/harness/support.rs"]
#[allow(dead_code)]
mod support;

use lab::programs::{PROGRAMS, Profile};
use lab::strace;
use support::Builds;

const TOOL: &str = env!("CARGO_BIN_EXE_trials");

fn main() {
    let arguments = support::arguments();
    let no_strace = strace::available().err().map(|error| error.to_string());
    let builds = Builds::make(&arguments);
    let mut trials = Vec::new();
    for program in PROGRAMS {
        let folder = builds.folder(Profile::Release);
        trials.push(support::trial(program.name.to_owned(), no_strace.as_deref(), move || support::run(TOOL, &["faults", program.name, "--once"], &[&folder])));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit();
}
