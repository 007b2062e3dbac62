//! Each call of each program is made to fail, and the program does what `tests/faults.tsv` expects.

mod common;

use common::Builds;
use lab::programs::{self, PROGRAMS, Profile};
use lab::{faults, strace};

fn main() {
    let arguments = common::arguments();
    let expectations = faults::expectations(programs::root()).unwrap_or_else(|error| panic!("{error:#}"));
    let no_strace = strace::available().err().map(|error| error.to_string());
    let builds = Builds::make(&arguments);
    let mut trials = Vec::new();
    for program in PROGRAMS.iter().filter(|program| expectations.iter().any(|row| row.program == program.name)) {
        let folder = builds.folder(Profile::Release);
        trials.push(common::trial(program.name.to_owned(), no_strace.as_deref(), move || common::lab(&["faults", program.name], &[&folder])));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit();
}
