//! The tool `trials`; `cargo trials help` lists its commands.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{self, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};

use lab::cast::{Cast, Side};
use lab::memory::{Tool, can_watch};
use lab::player::Options;
use lab::programs::{self, Binaries, Build, PROGRAMS, Profile};
use lab::sandbox::Sandbox;
use lab::scene::{self, Scene};
use lab::strace;
use trials::adversarial;
use trials::bench::{self, Figures, Size, growth, transports};
use trials::faults::{self, Row};
use trials::memory;
use trials::reverts::{self, Workspace};
use trials::sessions::{self, FAMILIES};
use trials::soak::{self, SERVERS};
use trials::verdict::{Players, Report};

/// Fault-injection and stress tests for the ports and, with --originals, for the C programs.
#[derive(Parser)]
#[command(name = "cargo trials", bin_name = "cargo trials", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Makes the programs' calls fail, one after the other
    Faults {
        #[command(flatten)]
        which: Which,
        /// Of the faults in a row of tests/trials/faults.tsv, try only every Nth
        #[arg(long, value_name = "N", default_value = "1")]
        every: NonZero<usize>,
    },
    /// Plays adversarial input: what no well-behaved client, server or shell sends
    Adversarial {
        #[command(flatten)]
        which: Which,
        /// Print the cases as scenes, and play nothing
        #[arg(long)]
        show: bool,
        /// Play only every Nth case
        #[arg(long, value_name = "N", default_value = "1")]
        every: NonZero<usize>,
    },
    /// Plays random sessions: what people may type at the terminals of a server and its clients
    Sessions {
        #[command(flatten)]
        which: Which,
        /// How many sessions of each server
        #[arg(long, value_name = "N", default_value_t = 500)]
        count: usize,
        /// Random seed: the same number gives the same sessions [default: a new one each time]
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Plays scenes and adversarial input under memcheck or AddressSanitizer
    Memory {
        #[command(flatten)]
        which: Which,
        /// The memory checker
        #[arg(long, default_value = "memcheck")]
        tool: Tool,
    },
    /// Sends thousands of messages to each server
    Soak {
        #[command(flatten)]
        ports: Ports,
        /// How many messages to send to each
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        messages: usize,
    },
    /// Measures what the ports cost, beside C, std and tokio, and what the sockets cost
    #[command(after_help = BENCH)]
    Bench {
        #[command(flatten)]
        which: Which,
        /// Measure less: fewer rounds, no instructions
        #[arg(long)]
        quick: bool,
        /// Where the raw numbers and the pictures go [default: bench in the target folder]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Undoes each fix, and checks that something notices
    Reverts {
        /// The programs whose fixes to undo [default: all]
        #[arg(value_name = "PROGRAM")]
        names: Vec<String>,
    },
}

/// What is tried, and where the ports come from.
#[derive(Args)]
struct Ports {
    /// Programs (sessions, soak: servers; adversarial, memory: also PROGRAM/INPUT; memory: also scenes; bench: servers
    /// and parts) [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Take the ports from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

#[derive(Args)]
struct Which {
    #[command(flatten)]
    ports: Ports,
    /// Also try the C programs in this folder, and compare
    #[arg(long, value_name = "DIR")]
    originals: Option<PathBuf>,
}

fn main() -> ExitCode {
    // Scenes call it as `lab sock`.
    if std::env::args().nth(1).is_some_and(|command| command == "sock") {
        return lab::exit("lab", lab::sock::run(std::env::args_os().skip(2)));
    }
    let outcome = match Cli::parse().command {
        Task::Faults { which, every } => faults(&which, every.get()),
        Task::Adversarial { which, show, every } => adversarial(&which, show, every.get()),
        Task::Sessions { which, count, seed } => sessions(&which, count, seed),
        Task::Memory { which, tool } => memory(&which, tool),
        Task::Soak { ports, messages } => soak(&ports, messages),
        Task::Bench { which, quick, out } => measure(&which, quick, out),
        Task::Reverts { names } => reverts(&names),
    };
    lab::exit("trials", outcome)
}

impl Which {
    fn players(&self, names: &[&str], asan: bool) -> Result<Players> {
        Players::find(names, self.ports.programs.as_deref(), asan, self.originals.as_deref())
    }
}

/// Those of `all` with one of these names, or all of them if there is no name.
fn chosen<'a, T>(names: &[String], all: &'a [T], name_of: impl Fn(&T) -> &'a str) -> Result<Vec<&'a T>> {
    if let Some(name) = names.iter().find(|name| !all.iter().any(|one| name_of(one) == **name)) {
        bail!("'{name}' is none of {}", all.iter().map(name_of).collect::<Vec<_>>().join(", "));
    }
    Ok(all.iter().filter(|one| names.is_empty() || names.iter().any(|name| name == name_of(one))).collect())
}

/// The programs of these names, or all.
fn programs(names: &[String]) -> Result<Vec<&'static str>> {
    Ok(chosen(names, &PROGRAMS, |program| program.name)?.iter().map(|program| program.name).collect())
}

/// Runs something on each program, prints what it has shown, and sums that up; an error if anything is wrong.
fn each(programs: &[&'static str], players: &Players, details: bool, run: impl Fn(&'static str) -> Result<Report>) -> Result<usize> {
    let mut all = Report::default();
    for program in programs {
        let report = run(program).with_context(|| (*program).to_owned())?;
        let in_c = if players.builds.c.is_some() { format!("; {}", report.summary_of_c()) } else { String::new() };
        anstream::println!("{program}: {} tried{in_c}", report.tried);
        report.in_c.iter().filter(|_| details).for_each(|line| anstream::println!("in C: {line:.400}"));
        all.tried += report.tried;
        all.wrong.extend(report.wrong);
        all.c.extend(report.c);
    }
    conclude(&all, players)
}

/// How much was tried; an error if anything is wrong.
fn conclude(report: &Report, players: &Players) -> Result<usize> {
    ensure!(report.wrong.is_empty(), "{} results are wrong\n     {}", report.wrong.len(), report.wrong.join("\n     "));
    if players.builds.c.is_some() {
        anstream::println!("{}", report.summary_of_c());
    }
    Ok(report.tried)
}

fn faults(which: &Which, every: usize) -> Result<()> {
    strace::available()?;
    let (rows, names) = (faults::rows()?, programs(&which.ports.names)?);
    let scenes = scene::read(|_, scene| rows.iter().any(|row| row.scene == scene && names.contains(&row.program)))?;
    let scene_of = |row: &Row| scenes.iter().find(|scene| scene.name == row.scene).with_context(|| format!("tests/trials/faults.tsv: no scene is called {}", row.scene));
    let rows: Vec<(&Row, &Scene)> = rows.iter().filter(|row| names.contains(&row.program)).map(|row| Ok((row, scene_of(row)?))).collect::<Result<_>>()?;
    let players = which.players(&scene::names(&rows.iter().map(|(_, scene)| *scene).collect::<Vec<_>>()), false)?;
    let tried = each(&names, &players, !which.ports.names.is_empty(), |name| {
        let of_program: Vec<_> = rows.iter().filter(|(row, _)| row.program == name).copied().collect();
        faults::run(&of_program, &players, every)
    })?;
    anstream::println!("{tried} faults: the ports do what tests/trials/faults.tsv says");
    Ok(())
}

fn adversarial(which: &Which, show: bool, every: usize) -> Result<()> {
    let names = &which.ports.names;
    let programs = programs(&names.iter().map(|name| name.split('/').next().unwrap_or_default().to_owned()).collect::<Vec<_>>())?;
    let mut cases = adversarial::cases(&programs)?;
    cases.retain(|case| names.is_empty() || case.is_plain() || names.iter().any(|name| name == case.program || *name == case.scene.name));
    if show {
        cases.iter().for_each(|case| anstream::println!("{}", case.text));
        return Ok(());
    }
    strace::available()?;
    let players = which.players(&scene::names(&cases.iter().map(|case| &case.scene).collect::<Vec<_>>()), false)?;
    let tried = each(&programs, &players, !names.is_empty(), |program| {
        let of_program = cases.iter().filter(|case| case.program == program).enumerate();
        let chosen = of_program.filter(|(index, case)| index % every == 0 || case.is_plain());
        adversarial::run(&chosen.map(|(_, case)| case).collect::<Vec<_>>(), &players)
    })?;
    anstream::println!("{tried} cases: the invariants hold in each");
    Ok(())
}

fn sessions(which: &Which, count: usize, seed: Option<u64>) -> Result<()> {
    strace::available()?;
    let families = chosen(&which.ports.names, &FAMILIES, |family| family.programs()[0])?;
    let players = which.players(&families.iter().flat_map(|family| family.programs()).collect::<Vec<_>>(), false)?;
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    for (family, seed) in families.into_iter().zip(seed..) {
        let server = family.programs()[0];
        let (steps, calls) = sessions::run(family, count, seed, &players).with_context(|| server.to_owned())?;
        let in_c = if players.builds.c.is_some() { format!(", {calls} calls the same in C") } else { String::new() };
        anstream::println!("{server}: {count} sessions of {steps} steps in all{in_c} (seed {seed})");
    }
    Ok(())
}

fn memory(which: &Which, tool: Tool) -> Result<()> {
    tool.available()?;
    let names = &which.ports.names;
    let scenes = scene::read_all()?;
    let cases = adversarial::cases(&programs(&[])?)?;
    let is_named = |name: &str| names.is_empty() || names.iter().any(|one| one == name);
    let cases = cases.iter().filter(|case| is_named(case.program) || is_named(&case.scene.name)).map(|case| &case.scene);
    let chosen: Vec<&Scene> = scenes.iter().filter(|scene| is_named(&scene.name)).chain(cases).filter(|scene| can_watch(scene)).collect();
    ensure!(!chosen.is_empty(), "no scene, program or case is called {}, or strace runs its programs already", names.join(", "));
    let players = which.players(&scene::names(&chosen), tool == Tool::Asan)?;
    let starts = conclude(&memory::run(&chosen, tool, &players)?, &players)?;
    anstream::println!("{} scenes and cases, {starts} starts of programs: nothing found in the ports", chosen.len());
    Ok(())
}

fn soak(ports: &Ports, messages: usize) -> Result<()> {
    let servers: Vec<&str> = chosen(&ports.names, &SERVERS, |server| server)?.into_iter().copied().collect();
    let players = Players::find(&servers, ports.programs.as_deref(), false, None)?;
    for server in servers {
        let scene = soak::scene(server, messages)?;
        players.isolation.play(&scene, &Cast::new(&scene, &players.builds, Side::Ports), &Options::default(), &mut ())?.as_written()?;
        anstream::println!("{server}: {messages} messages, each answered right");
    }
    Ok(())
}

/// What `bench` says at the end of its help.
const BENCH: &str = "\
The parts are programs, transports and growth. All take about four minutes, with --quick half a minute, and the time \
of building; on a busy machine there are fewer rounds. Nothing leaves this machine: the loopback and local sockets are \
used, on one processor.

A figure is a median. After it is the ratio to the first of its row, to UDP, or to the smallest, with its quartiles; \
it is called the same if 1.00 lies between these.";

fn measure(which: &Which, quick: bool, out: Option<PathBuf>) -> Result<()> {
    let wanted = &which.ports.names;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let pairs: Vec<_> = bench::programs::PAIRS.iter().filter(|pair| is_wanted("programs") || pair.names().first().is_some_and(|name| is_wanted(name))).collect();
    let servers = bench::programs::PAIRS.iter().filter_map(|pair| pair.names().first().copied());
    chosen(wanted, &["programs", "transports", "growth"].into_iter().chain(servers).collect::<Vec<_>>(), |name| name)?;
    let grown = growth::SERVERS.iter().map(|(server, ..)| *server).filter(|_| is_wanted("growth"));
    let names: BTreeSet<&str> = pairs.iter().flat_map(|pair| pair.names()).chain(grown).collect();
    let this = std::env::current_exe()?;
    let out = path::absolute(out.unwrap_or_else(|| this.ancestors().nth(2).unwrap_or(&this).join("bench")))?;
    let examples: Vec<String> = pairs.iter().flat_map(|pair| pair.examples()).collect();
    let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
    let examples = match &which.ports.programs {
        Some(folder) => programs::look_for(folder, &examples)?,
        None if examples.is_empty() => Binaries::new(),
        None => Build { root: programs::root(), profile: Profile::Release, asan: false, quiet: false }.examples(&examples)?,
    };
    let players = which.players(&Vec::from_iter(names), false)?;
    let mut cast = Cast::default();
    cast.ports = players.builds.ports.into_iter().chain(examples).collect();
    cast.c = players.builds.c.unwrap_or_default();
    let (size, machine) = (if quick { Size::QUICK } else { Size::FULL }, bench::machine());
    bench::stay_on_one_processor()?;
    let mut figures = Figures::default();
    for (pair, number) in pairs.iter().zip(1..) {
        anstream::eprintln!("{number}/{} {}", pairs.len(), pair.label());
        pair.measure(&mut figures, size, &cast, players.isolation)?;
    }
    if is_wanted("transports") {
        anstream::eprintln!("transports");
        let _sandbox = Sandbox::new(players.isolation, &Cast::default())?;
        transports::run(&mut figures, size)?;
    }
    if is_wanted("growth") {
        anstream::eprintln!("growth");
        growth::run(&mut figures, size, &cast, players.isolation)?;
    }
    lab::print(&format!("{machine}; all on one processor\n\n{}", figures.tables()));
    if !pairs.is_empty() {
        bench::programs::lacks(size).iter().for_each(|lack| anstream::println!("{lack}"));
    }
    for path in figures.write(&out, &machine).with_context(|| format!("cannot write to {}", out.display()))? {
        anstream::println!("{}", path.display());
    }
    Ok(())
}

fn reverts(names: &[String]) -> Result<()> {
    let chosen = programs(names)?;
    let mut reverts = reverts::read()?;
    reverts.retain(|revert| chosen.contains(&revert.program));
    lab::signals::watch();
    let mut workspace = Workspace::new()?;
    let mut wrong = Vec::new();
    for (revert, number) in reverts.iter().zip(1..) {
        lab::signals::check()?;
        let outcome = workspace.try_out(revert)?;
        anstream::println!("{number}/{} {revert}: {} {}", reverts.len(), outcome.unwrap_or("noticed by"), revert.shown);
        wrong.extend(outcome.map(|_| revert.to_string()));
    }
    ensure!(wrong.is_empty(), "{} of {} fixes can be undone unnoticed: {}", wrong.len(), reverts.len(), wrong.join("; "));
    anstream::println!("{} fixes undone one after the other, each noticed", reverts.len());
    Ok(())
}
