//! Hostile input: each case of each program is played, and ends as worked out beforehand.

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
        // strace holds unix10's child back.
        let ignored = no_strace.as_deref().filter(|_| program.name == "unix10");
        let folder = builds.folder(Profile::Release);
        trials.push(support::trial(program.name.to_owned(), ignored, move || support::run(TOOL, &["hostile", program.name], &[&folder])));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit();
}
