//! The servers under a small load: `lab load` as it stands, with less of everything.

#[path = "../../lab/tests/harness/support.rs"]
#[allow(dead_code)]
mod support;

use lab::programs::Profile;
use support::Builds;
use trials::load::LOADS;

const TOOL: &str = env!("CARGO_BIN_EXE_trials");

fn main() {
    let arguments = support::arguments();
    let builds = Builds::make(&arguments);
    let trials = LOADS.map(|load| {
        let folder = builds.folder(Profile::Release);
        support::trial(load.program.to_owned(), None, move || support::run(TOOL, &["load", load.program, "--size", "20000", "--interrupts", "40"], &[&folder]))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    drop(builds);
    conclusion.exit();
}
