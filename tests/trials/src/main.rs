//! The tool `trials`; `cargo trials help` tells what it does.

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};

use commands::{Hostile, Load, Memory, Reverts};
use lab::peer::Peer;
use lab::programs::{self, PROGRAMS, Profile};
use lab::scene::{self, Scene};
use lab::strace;
use trials::faults::{self, Row};
use trials::sessions::{self, Family};
use trials::verdict::{Players, Tally};

/// Tries what can go wrong: on the ports and, with --originals, on the C programs.
#[derive(Parser)]
#[command(name = "cargo trials", bin_name = "cargo trials", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes the programs' calls fail, one after the other
    Faults(Faults),
    /// Plays adversarial input: what no well-behaved client, server or shell would do
    Hostile(Hostile),
    /// Plays what people may do at the terminals of a server and its clients, drawn at random
    Sessions(Sessions),
    /// Watches the programs' memory in the scenes
    Memory(Memory),
    /// Sends messages from many clients at once, and ^C at random moments
    Load(Load),
    /// Puts each fix back to what C does, and sees that a check notices
    Reverts(Reverts),
    /// For scenes, which call it as `lab peer`
    #[command(subcommand, hide = true)]
    Peer(Peer),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Faults(options) => options.run(),
        Task::Hostile(options) => options.run(),
        Task::Sessions(options) => options.run(),
        Task::Memory(options) => options.run(),
        Task::Load(options) => options.run(),
        Task::Reverts(options) => options.run(),
        Task::Peer(peer) => return lab::exit("lab", peer.run()),
    };
    lab::exit("trials", outcome)
}

/// Where the programs come from.
#[derive(Args)]
struct Source {
    /// Do the same to the C programs in this folder, and compare
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
    /// Which build of the ports
    #[arg(long, value_enum, default_value = "release")]
    profile: Profile,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

impl Source {
    fn players(&self, names: &[&str]) -> Result<Players> {
        Players::find(names, self.programs.as_deref(), self.profile, self.originals.as_deref())
    }
}

/// The programs of these names, or all of them if there is no name.
fn chosen(names: &[String]) -> Result<Vec<&'static str>> {
    if let Some(name) = names.iter().find(|name| programs::find(name).is_none()) {
        bail!("no program is called '{name}'; 'cargo lab list' names them");
    }
    Ok(PROGRAMS.iter().map(|program| program.name).filter(|program| names.is_empty() || names.iter().any(|name| name == program)).collect())
}

#[derive(Args)]
struct Faults {
    /// Programs whose calls to make fail; none: all
    #[arg(value_name = "PROGRAM")]
    names: Vec<String>,
    /// Try each row of tests/trials/faults.tsv once: its first error, at the first of its times
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    source: Source,
}

impl Faults {
    fn run(&self) -> Result<()> {
        strace::available()?;
        let (scenes, rows, chosen) = (scene::read_all(programs::root())?, faults::rows(programs::root())?, chosen(&self.names)?);
        let scene_of = |row: &Row| scenes.iter().find(|scene| scene.name == row.scene).with_context(|| format!("tests/trials/faults.tsv: no scene is called {}", row.scene));
        let rows: Vec<(&Row, &Scene)> = rows.iter().filter(|row| chosen.contains(&row.program.as_str())).map(|row| Ok((row, scene_of(row)?))).collect::<Result<_>>()?;
        let players = self.source.players(&scene::names(&rows.iter().map(|(_, scene)| *scene).collect::<Vec<_>>()))?;
        let (mut tried, mut signals, mut wrong, mut c) = (0, 0, Vec::new(), Tally::default());
        for name in chosen {
            let of_program: Vec<_> = rows.iter().filter(|(row, _)| row.program == name).copied().collect();
            let report = faults::run(&of_program, &players, self.once).with_context(|| name.to_owned())?;
            let in_c = players.c.as_ref().map(|_| format!("; in C: {}", report.c)).unwrap_or_default();
            anstream::println!("{name}: {} faults{in_c}", report.tried);
            if !self.names.is_empty() {
                report.wrong_in_c.iter().for_each(|line| anstream::println!("in C: {line}"));
            }
            (tried, signals) = (tried + report.tried, signals + report.signals);
            wrong.extend(report.wrong);
            c += report.c;
        }
        ensure!(wrong.is_empty(), "{} times not what tests/trials/faults.tsv says\n     {}", wrong.len(), wrong.join("\n     "));
        anstream::println!("{tried} faults, {signals} of them ended by SIGPIPE or SIGINT as in C: the ports do what tests/trials/faults.tsv says");
        if self.source.originals.is_some() {
            anstream::println!("in C: {c}");
        }
        Ok(())
    }
}

#[derive(Args)]
struct Sessions {
    /// Servers, with their clients; none: all
    #[arg(value_enum, value_name = "FAMILY")]
    families: Vec<Family>,
    /// How many sessions of each
    #[arg(long, value_name = "N", default_value_t = 500)]
    count: u32,
    /// Draw those of this number [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    source: Source,
}

impl Sessions {
    fn run(&self) -> Result<()> {
        strace::available()?;
        let families = if self.families.is_empty() { &Family::ALL } else { self.families.as_slice() };
        let players = self.source.players(&families.iter().flat_map(|family| family.programs()).collect::<Vec<_>>())?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        for family in families {
            let server = family.programs().pop().unwrap_or_default();
            let played = sessions::run(*family, self.count, seed, &players, |played| {
                if played.sessions % 50 == 0 {
                    anstream::eprintln!("{server}: {} of {} sessions", played.sessions, self.count);
                }
            })
            .with_context(|| server.to_owned())?;
            let in_c = if players.c.is_some() { format!(", {} calls the same in C", played.calls) } else { String::new() };
            anstream::println!("{server}: {} sessions of {} steps in all{in_c} (seed {seed})", played.sessions, played.steps);
        }
        Ok(())
    }
}
