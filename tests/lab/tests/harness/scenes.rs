//! Every scene of every README is a test: the real programs, dev builds. A test runs `lab replay SCENE`, the
//! command a reader has, which fails with the difference. The release builds play the scenes in golden/terminal,
//! or here where there is no strace.

use lab::programs::Profile;
use lab::scene;
use libtest_mimic::Trial;

use crate::support::{self, Builds, Machine};

pub fn trials(machine: &Machine, builds: &Builds) -> Vec<Trial> {
    let scenes = scene::read_all().unwrap_or_else(|error| panic!("{error:#}"));
    let mut trials = Vec::new();
    let profiles: &[Profile] = if machine.no_strace.is_none() { &[Profile::Dev] } else { &Builds::PROFILES };
    for profile in profiles {
        for scene in &scenes {
            let no_strace = machine.no_strace.clone().filter(|_| scene.uses("strace"));
            let ignored = no_strace.or_else(|| scene.tools().into_iter().find_map(support::missing));
            let (name, folder) = (scene.name.clone(), builds.folder(*profile));
            let replay = move || support::run(env!("CARGO_BIN_EXE_lab"), &["replay", &name, "--pause", "0"], &[folder]);
            trials.push(support::trial(format!("{}/{}", profile.name(), scene.name), ignored.as_deref(), replay));
        }
    }
    trials
}
