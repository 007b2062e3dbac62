//! The tool `lab`; `cargo lab help` tells what it does.

mod commands;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anstyle::Style;
use anyhow::Result;
use clap::{Parser, Subcommand};

use commands::{Check, Read, Record, Replay, Strace};
use lab::programs::{self, GROUPS, PROGRAMS};
use lab::scene;
use lab::sock::Sock;
use lab::sockets;

/// Plays the experiments of the READMEs with the real programs.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Lists the programs and the scenes
    List,
    /// Plays a scene, each terminal with a name and a colour of its own
    Replay(Replay),
    /// Shows a port, beside its C original if it has that
    Read(Read),
    /// Traces the programs of a scene, beside the C programs if it has them
    Strace(Strace),
    /// Checks that the programs make the calls of the goldens, or of the C programs
    Check(Check),
    /// Records the goldens: what the C programs call in each scene
    Record(Record),
    /// Lists the sockets of a running process, as /proc tells of them
    Sockets {
        /// A process number, or the name of a running program
        #[arg(value_name = "PID|PROGRAM")]
        whose: String,
    },
    /// A shell whose commands are the socket calls
    Sock(Sock),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Task::List => list(),
        Task::Replay(options) => options.run(),
        Task::Read(options) => options.run(),
        Task::Strace(options) => options.run(),
        Task::Check(options) => options.run(),
        Task::Record(options) => options.run(),
        Task::Sockets { whose } => list_sockets(&whose),
        Task::Sock(sock) => sock.run(),
    };
    lab::exit("lab", outcome)
}

fn list() -> Result<()> {
    let scenes = scene::read_all(programs::root())?;
    let mut out = String::new();
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    for group in GROUPS {
        writeln!(out, "{bold}{group}{bold:#}")?;
        for program in PROGRAMS.iter().filter(|program| program.group == group) {
            writeln!(out, "  {:<20} {dim}port of {}{dim:#}", program.name, program.original)?;
        }
        let mut section = "";
        for scene in scenes.iter().filter(|scene| scene.group == group) {
            if scene.section != section {
                section = &scene.section;
                writeln!(out, "  {dim}{section}{dim:#}")?;
            }
            writeln!(out, "    {:<28} {}", scene.name, scene.title)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{} programs, {} scenes. cargo lab replay SCENE plays one.", PROGRAMS.len(), scenes.len())?;
    anstream::stdout().write_all(out.as_bytes())?;
    Ok(())
}

fn list_sockets(whose: &str) -> Result<()> {
    let mut out = String::new();
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    for (pid, name) in sockets::find(whose)? {
        writeln!(out, "{bold}{name}{bold:#}  {dim}process {pid}{dim:#}")?;
        let table = sockets::table(&sockets::of(pid)?);
        let mut lines = table.lines();
        writeln!(out, "{dim}{}{dim:#}", lines.next().unwrap_or("has no socket"))?;
        lines.try_for_each(|line| writeln!(out, "{line}"))?;
    }
    anstream::stdout().write_all(out.as_bytes())?;
    Ok(())
}
