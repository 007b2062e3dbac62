//! Everything that plays programs: one binary, so that they are built once, and as many tests run side by
//! side as the machine's isolation allows. What a test needs and this machine lacks makes it ignored,
//! with the reason after its name.

mod browser;
mod cli;
mod isolation;
mod page;
mod scenes;
mod support;
mod traces;

use std::process::ExitCode;

use support::{Builds, Machine};

fn main() -> ExitCode {
    let arguments = support::arguments();
    let machine = Machine::look();
    let builds = Builds::make(&arguments);
    let mut trials = Vec::new();
    trials.extend(cli::trials(&machine));
    trials.extend(isolation::trials(&machine, &builds));
    trials.extend(page::trials(&machine, &builds));
    trials.extend(scenes::trials(&machine, &builds));
    trials.extend(traces::trials(&machine, &builds));
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit_code()
}
