//! Every process of every scene makes the C program's system calls.
//!
//! `golden/...` compares the own calls with those recorded from the C programs. With the
//! environment variable LAB_ORIGINALS naming a folder of built C programs, `live/...` compares whole
//! traces, from execve on, with theirs, and `mixed/...` those of C servers with our clients and the
//! other way round. A test runs `lab check`, and is ignored, with the reason behind its name, where
//! this machine lacks what it needs.

mod common;

use std::env;
use std::path::Path;

use common::Builds;
use lab::programs::{self, PROGRAMS};
use lab::scene::{self, Action, Scene};
use lab::strace;

/// Dev and release builds are compared in one go.
const STDOUTS: [&str; 3] = ["terminal", "pipe", "file"];

const TOOL: &str = env!("CARGO_BIN_EXE_lab");

fn main() {
    let arguments = common::arguments();
    let scenes = scene::read_all(programs::root()).unwrap_or_else(|error| panic!("{error:#}"));
    let no_strace = strace::available().err().map(|error| error.to_string());
    let originals = env::var("LAB_ORIGINALS").ok();
    let c = originals.as_ref().map(|folder| programs::look_for(Path::new(folder), &PROGRAMS.map(|program| program.name)).unwrap_or_else(|error| panic!("LAB_ORIGINALS: {error:#}")));
    let builds = Builds::make(&arguments);

    let mut trials = Vec::new();
    for scene in &scenes {
        let no_originals = match &c {
            None => Some("LAB_ORIGINALS names no folder of C programs".to_owned()),
            Some(c) => programs::missing(c, &scene.programs()).map(|missing| format!("no {missing} in LAB_ORIGINALS")),
        };
        let add = &mut |name: String, ignored: Option<&String>, options: Vec<String>| {
            let scene = scene.name.clone();
            let folders = Builds::PROFILES.map(|profile| builds.folder(profile));
            trials.push(common::trial(name, no_strace.as_ref().or(ignored).map(String::as_str), move || {
                let args: Vec<&str> = ["check", &scene].into_iter().chain(options.iter().map(String::as_str)).collect();
                common::run(TOOL, &args, &folders.each_ref().map(|folder| folder.as_path()))
            }));
        };
        let live = |rest: &[&str]| ["--originals", originals.as_deref().unwrap_or_default()].iter().chain(rest).map(|word| (*word).to_owned()).collect();
        for stdout in STDOUTS {
            add(format!("golden/{stdout}/{}", scene.name), None, vec!["--stdout".to_owned(), stdout.to_owned()]);
            add(format!("live/{stdout}/{}", scene.name), no_originals.as_ref(), live(&["--stdout", stdout]));
        }
        // Where the scene shows a fix, what a C program says to a port depends on who is which.
        if !scene.parts() {
            for (kind, actors) in mixes(scene) {
                let c: Vec<&str> = actors.iter().flat_map(|actor| ["--c", actor]).collect();
                add(format!("mixed/{kind}/{}", scene.name), no_originals.as_ref(), live(&c));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(builds);
    conclusion.exit();
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
