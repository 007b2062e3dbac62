//! The programs with their memory watched, by valgrind's memcheck or AddressSanitizer, in scenes and with
//! adversarial input.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::verdict::{Kind, Players, Report};
use lab::memory::Tool;
use lab::player::{Options, Played, Watch};
use lab::programs::{Cast, Side};
use lab::scene::Scene;

/// Plays these scenes, of which those that come with `true` need not be as they are written. The report
/// counts starts of programs.
pub fn run(scenes: &[(&Scene, bool)], tool: Tool, players: &Players) -> Result<Report> {
    let mut report = Report::default();
    for (number, (scene, lenient)) in scenes.iter().enumerate() {
        let options = Options { watch: Watch::Memory(tool), ..Options::default() };
        let played = match lenient {
            true => Played { starts: players.play(scene, Side::Ports, Watch::Memory(tool))?, mismatch: None },
            false => players.isolation.play(scene, &Cast::new(scene, &players.builds, Side::Ports), &options, &mut ())?,
        };
        report.wrong.extend(played.mismatch);
        for start in played.starts.iter().filter(|start| start.program.is_some()) {
            report.tried += 1;
            report.wrong.extend(start.findings.iter().map(|finding| format!("{}: {} ({}): {finding}", scene.name, start.who, start.program.unwrap_or_default())));
        }
        if players.builds.c.is_some() {
            let starts = players.play(scene, Side::C, Watch::Memory(tool))?;
            starts.iter().filter(|start| start.program.is_some()).for_each(|start| report.c.count((!start.findings.is_empty()).then_some(Kind::Memory)));
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
