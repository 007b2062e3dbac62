//! Every process of every scene makes the C program's system calls.
//!
//! `golden/...` compares the own calls of the release builds with those recorded from the C programs;
//! `lines/...`, in some scenes, those of the dev builds and the source lines that make them. With the
//! environment variable LAB_ORIGINALS naming a folder of built C programs, `live/...` compares whole
//! traces, from execve on, with theirs, and `mixed/...` those of C servers with our clients and the
//! other way round. A test runs `lab check`.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};

use lab::actor::Stdout;
use lab::golden;
use lab::programs::{self, PROGRAMS, Profile};
use lab::scene::{self, Action, Scene};
use lab::sources;
use libtest_mimic::Trial;

use crate::support::{self, Builds, Machine};

pub fn trials(machine: &Machine, builds: &Builds) -> Vec<Trial> {
    let scenes = scene::read_all().unwrap_or_else(|error| panic!("{error:#}"));
    let originals = env::var("LAB_ORIGINALS").ok();
    let c = originals.as_ref().map(|folder| programs::look_for(Path::new(folder), &PROGRAMS.map(|program| program.name)).unwrap_or_else(|error| panic!("LAB_ORIGINALS: {error:#}")));
    let mut trials = Vec::new();
    let mut shown = BTreeSet::new();
    // A scene that runs none of our programs has nothing to compare.
    for scene in scenes.iter().filter(|scene| !scene.programs().is_empty()) {
        let lacking = machine.no_strace.clone().or_else(|| scene.tools().into_iter().find_map(support::missing));
        let no_originals = c.as_ref().and_then(|c| programs::missing(c, &scene.programs())).map(|missing| format!("no {missing} in LAB_ORIGINALS"));
        let mut add = |name: String, ignored: Option<String>, options: Vec<&str>, profiles: &[Profile]| {
            let args: Vec<String> = ["check", &scene.name].into_iter().chain(options).map(str::to_owned).collect();
            let folders: Vec<PathBuf> = profiles.iter().map(|profile| builds.folder(*profile)).collect();
            trials.push(support::trial(name, ignored.as_deref(), move || support::run(env!("CARGO_BIN_EXE_lab"), &args, &folders)));
        };
        for (stdout, kind) in [("terminal", Stdout::Terminal), ("pipe", Stdout::Pipe)] {
            if golden::is_wanted(&scene.name, kind) {
                add(format!("golden/{stdout}/{}", scene.name), lacking.clone(), vec!["--stdout", stdout], &[Profile::Release]);
            }
        }
        // Stacks make strace slow: only the scenes that are the first to show a call on a line.
        let before = shown.len();
        // Where there is no golden, its test says so.
        shown.extend(golden::calls(&golden::path(&scene.name, Stdout::Terminal)).unwrap_or_default());
        if shown.len() > before {
            let lacking = lacking.clone().or_else(|| sources::unavailable().map(str::to_owned));
            add(format!("lines/{}", scene.name), lacking, vec!["--lines"], &[Profile::Dev]);
        }
        let Some(originals) = &originals else { continue };
        let lacking = lacking.or(no_originals);
        for stdout in ["terminal", "pipe", "file"] {
            add(format!("live/{stdout}/{}", scene.name), lacking.clone(), vec!["--originals", originals, "--stdout", stdout], &Builds::PROFILES);
        }
        // Where the scene shows a fix, what a C program says to a port depends on who is which.
        if !scene.diverges() {
            for (kind, actors) in mixes(scene) {
                let options = ["--originals", originals.as_str()].into_iter().chain(actors.into_iter().flat_map(|actor| ["--c", actor])).collect();
                add(format!("mixed/{kind}/{}", scene.name), lacking.clone(), options, &Builds::PROFILES);
            }
        }
    }
    trials
}

/// Who plays C: the servers, or the others; neither if the scene has not both.
fn mixes(scene: &Scene) -> Vec<(&'static str, Vec<&str>)> {
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for step in &scene.steps {
        if let Action::Start(command) = &step.action
            && let Some(program) = command.words.iter().find_map(|word| programs::find(word))
        {
            let part = if program.name.contains("server") { &mut servers } else { &mut clients };
            if !part.contains(&step.actor.as_str()) {
                part.push(&step.actor);
            }
        }
    }
    if servers.is_empty() || clients.is_empty() {
        return Vec::new();
    }
    vec![("c-server", servers), ("c-client", clients)]
}
