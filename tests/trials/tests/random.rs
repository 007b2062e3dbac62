//! Some exchanges drawn at random, of each server and its clients: the same ones each time, so that
//! a failure here is a failure elsewhere. `cargo lab random` draws others.

#[path = "../../lab/tests/harness/support.rs"]
#[allow(dead_code)]
mod support;

use lab::programs::Profile;
use lab::strace;
use support::Builds;
use trials::exchange::Family;

const COUNT: &str = "12";

const TOOL: &str = env!("CARGO_BIN_EXE_trials");

fn main() {
    let arguments = support::arguments();
    let originals = std::env::var("LAB_ORIGINALS").ok();
    let no_strace = strace::available().err().map(|error| error.to_string());
    let no_comparison = if originals.is_none() { Some("LAB_ORIGINALS names no folder of C programs".to_owned()) } else { no_strace };
    let builds = Builds::make(&arguments);
    let mut trials = Vec::new();
    for family in Family::ALL {
        let name = format!("{family:?}").to_lowercase();
        for profile in Builds::PROFILES {
            let (folder, family) = (builds.folder(profile), name.clone());
            trials.push(support::trial(format!("{}/{name}", profile.name()), None, move || support::run(TOOL, &["random", &family, "--count", COUNT, "--seed", "1"], &[&folder])));
        }
        let (folder, family, originals) = (builds.folder(Profile::Release), name.clone(), originals.clone().unwrap_or_default());
        let compare = move || support::run(TOOL, &["random", &family, "--count", COUNT, "--seed", "2", "--originals", &originals], &[&folder]);
        trials.push(support::trial(format!("live/{name}"), no_comparison.as_deref(), compare));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit();
}
