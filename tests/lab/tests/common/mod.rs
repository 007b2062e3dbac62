//! What the tests of scenes and those of traces share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::programs::{self, PROGRAMS, Profile};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// The builds of all programs, each in a folder; they go when this goes.
pub struct Builds(TempDir);

impl Builds {
    pub const PROFILES: [Profile; 2] = [Profile::Dev, Profile::Release];

    /// Builds all programs, unless the tests are only to be listed.
    pub fn make(arguments: &Arguments) -> Builds {
        let builds = Builds(TempDir::new().expect("the system has a folder for temporary files"));
        if !arguments.list {
            for profile in Builds::PROFILES {
                let binaries = programs::build(&PROGRAMS.map(|program| program.name), profile).unwrap_or_else(|error| panic!("{error:#}"));
                let folder = builds.folder(profile);
                fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
                for (name, path) in binaries {
                    fs::copy(&path, folder.join(name)).unwrap_or_else(|error| panic!("cannot copy {}: {error}", path.display()));
                }
            }
        }
        builds
    }

    pub fn folder(&self, profile: Profile) -> PathBuf {
        self.0.path().join(profile.name())
    }
}

/// What the test runner has been told; programs wait for each other, mostly, so that more run at a
/// time than there are processors.
pub fn arguments() -> Arguments {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(4));
    arguments
}

/// A test, or one that is ignored, with the reason behind its name.
pub fn trial(name: String, ignored: Option<&str>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let title = match ignored {
        Some(reason) => format!("{name} ({reason})"),
        None => name,
    };
    Trial::test(title, run).with_ignored_flag(ignored.is_some())
}

/// Runs a tool with these arguments and, after them, these folders of programs; it must succeed.
pub fn run(tool: &str, args: &[&str], programs: &[&Path]) -> Result<(), Failed> {
    let mut command = Command::new(tool);
    command.args(args);
    for folder in programs {
        command.arg("--programs").arg(folder);
    }
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
}
