//! The servers under a small load: `lab load` as it stands, with less of everything.

mod common;

use common::Builds;
use lab::load::LOADS;
use lab::programs::Profile;

fn main() {
    let arguments = common::arguments();
    let builds = Builds::make(&arguments);
    let trials = LOADS.map(|load| {
        let folder = builds.folder(Profile::Release);
        common::trial(load.program.to_owned(), None, move || common::lab(&["load", load.program, "--size", "20000", "--interrupts", "40"], &[&folder]))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    drop(builds);
    conclusion.exit();
}
