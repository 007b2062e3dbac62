//! Every scene of every README is a test: the real programs, dev and release builds.
//!
//! A test runs `lab replay SCENE`, the command a reader has, which plays the scene in a network of
//! its own and fails with the difference. What a scene needs and this machine lacks makes its
//! tests ignored, with the reason in their name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::programs::{self, PROGRAMS, Profile};
use lab::scene::{self, Scene};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

fn main() {
    let mut arguments = Arguments::from_args();
    // Programs that wait for each other, mostly: more at a time than there are processors.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let scenes = scene::read_all(programs::root()).unwrap_or_else(|error| panic!("{error:#}"));
    let no_strace = why_no_strace();
    // The trials outlive no run of this function, and neither do the folders.
    let builds = [Profile::Dev, Profile::Release].map(|profile| (profile, if arguments.list { PathBuf::new() } else { build(profile) }));
    let mut trials = Vec::new();
    for (profile, folder) in &builds {
        for scene in &scenes {
            let missing = no_strace.as_deref().filter(|_| uses(scene, "strace"));
            let (name, path) = (scene.name.clone(), folder.clone());
            let title = match missing {
                Some(reason) => format!("{}/{name} ({reason})", profile.name()),
                None => format!("{}/{name}", profile.name()),
            };
            trials.push(Trial::test(title, move || replay(&name, &path)).with_ignored_flag(missing.is_some()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    for (_, folder) in builds {
        // What is left in the system's folder for temporary files is no failure.
        let _ = fs::remove_dir_all(folder);
    }
    conclusion.exit();
}

/// A folder with this build of all programs.
fn build(profile: Profile) -> PathBuf {
    let names = PROGRAMS.map(|program| program.name);
    let binaries = programs::build(&names, profile).unwrap_or_else(|error| panic!("{error:#}"));
    let folder = TempDir::new().expect("the system has a folder for temporary files").keep();
    for (name, path) in binaries {
        fs::copy(&path, folder.join(name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", path.display()));
    }
    folder
}

fn uses(scene: &Scene, tool: &str) -> bool {
    scene.steps.iter().any(|step| matches!(&step.action, scene::Action::Start(command) if command.words.iter().any(|word| word == tool)))
}

/// Why scenes that have strace make a call fail cannot be played here, if so.
fn why_no_strace() -> Option<String> {
    let output = Command::new("strace").args(["-qqq", "-o", "/dev/null", "-e", "inject=socket:error=EMFILE", "true"]).stdin(Stdio::null()).output();
    match output {
        Err(_) => Some("strace is not installed".into()),
        Ok(output) if !output.status.success() => Some("strace may not trace here".into()),
        Ok(_) => None,
    }
}

fn replay(name: &str, programs: &Path) -> Result<(), Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).args(["replay", name, "--pause", "0", "--programs"]).arg(programs).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
}
