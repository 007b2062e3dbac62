//! The programs with their memory watched, by valgrind's memcheck or AddressSanitizer, in scenes and with
//! adversarial input.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::verdict::{Kind, Players, Tally};
use lab::memory::{self, Tool};
use lab::scene::{self, Scene};

/// What the tool has found.
#[derive(Default)]
pub struct Report {
    /// Starts of each port, and in how many of the C program's something was found.
    pub programs: BTreeMap<String, (usize, Tally)>,
    pub findings: Vec<String>,
}

/// Plays these scenes, of which those that come with `true` need not be as they are written.
///
/// # Errors
///
/// If one cannot be played.
pub fn run(scenes: &[(&Scene, bool)], tool: Tool, players: &Players) -> Result<Report> {
    let mut report = Report::default();
    for (number, (scene, lenient)) in scenes.iter().enumerate() {
        for watched in memory::watch(scene, tool, players.privacy, &scene::only(&players.ports, scene), false, *lenient)? {
            report.programs.entry(watched.program.clone()).or_default().0 += 1;
            report.findings.extend(watched.findings.iter().map(|finding| format!("{}: {} ({}): {finding}", scene.name, watched.who, watched.program)));
        }
        if let Some(c) = &players.c {
            for watched in memory::watch(scene, tool, players.privacy, &scene::only(c, scene), true, true)? {
                report.programs.entry(watched.program).or_default().1.count((!watched.findings.is_empty()).then_some(Kind::Memory));
            }
        }
        if (number + 1) % 100 == 0 {
            anstream::eprintln!("{} of {} scenes", number + 1, scenes.len());
        }
    }
    Ok(report)
}

/// Why valgrind cannot run this program, if it cannot: it does not know the newest instructions, which a
/// compiler may use with -C target-cpu=native.
pub fn unknown_processor(program: &Path) -> Option<String> {
    let status = Command::new("valgrind").args(["--quiet", "--log-file=/dev/null"]).arg(program).args(["", ""]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    (status.signal() == Some(Signal::SIGILL as i32)).then(|| "valgrind does not know all instructions of this processor".to_owned())
}
