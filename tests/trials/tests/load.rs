//! The servers under a small load: `lab load` as it stands, with less of everything.

#[path = "../../lab/tests/common/mod.rs"]
mod common;

use common::Builds;
use lab::programs::Profile;
use trials::load::LOADS;

const TOOL: &str = env!("CARGO_BIN_EXE_trials");

fn main() {
    let arguments = common::arguments();
    let builds = Builds::make(&arguments);
    let trials = LOADS.map(|load| {
        let folder = builds.folder(Profile::Release);
        common::trial(load.program.to_owned(), None, move || common::run(TOOL, &["load", load.program, "--size", "20000", "--interrupts", "40"], &[&folder]))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    drop(builds);
    conclusion.exit();
}
