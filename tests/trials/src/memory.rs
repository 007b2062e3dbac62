//! The programs with their memory watched, by valgrind's memcheck or AddressSanitizer, in scenes and with
//! adversarial input.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::verdict::{Kind, Players, Report, Side, Watch};
use lab::memory::Tool;
use lab::scene::Scene;

/// Plays these scenes, whose programs need not do what they say. The report counts starts of programs.
pub fn run(scenes: &[&Scene], tool: Tool, players: &Players) -> Result<Report> {
    let mut report = Report::default();
    for (scene, number) in scenes.iter().zip(1..) {
        for start in players.play(scene, Side::Ports, Watch::Memory(tool))? {
            let Some(program) = start.program else { continue };
            report.tried += 1;
            report.wrong.extend(start.findings.iter().map(|finding| format!("{}: {} ({program}): {finding}", scene.name, start.who)));
        }
        if players.builds.c.is_some() {
            let starts = players.play(scene, Side::C, Watch::Memory(tool))?;
            report.c.extend(starts.iter().filter(|start| start.program.is_some()).map(|start| (!start.findings.is_empty()).then_some(Kind::Memory)));
        }
        if number % 100 == 0 {
            anstream::eprintln!("{number} of {} scenes", scenes.len());
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
