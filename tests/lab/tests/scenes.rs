//! Every scene of every README is a test: the real programs, dev and release builds.
//!
//! A test runs `lab replay SCENE`, the command a reader has, which plays the scene in a network of
//! its own and fails with the difference. What a scene needs and this machine lacks makes its
//! tests ignored, with the reason behind their name.

mod common;

use common::Builds;
use lab::programs;
use lab::scene;
use lab::strace;

const TOOL: &str = env!("CARGO_BIN_EXE_lab");

fn main() {
    let arguments = common::arguments();
    let scenes = scene::read_all(programs::root()).unwrap_or_else(|error| panic!("{error:#}"));
    let no_strace = strace::available().err().map(|error| error.to_string());
    let builds = Builds::make(&arguments);
    let mut trials = Vec::new();
    for profile in Builds::PROFILES {
        for scene in &scenes {
            let ignored = no_strace.as_deref().filter(|_| scene.uses("strace"));
            let (name, folder) = (scene.name.clone(), builds.folder(profile));
            trials.push(common::trial(format!("{}/{name}", profile.name()), ignored, move || common::run(TOOL, &["replay", &name, "--pause", "0"], &[&folder])));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit();
}
