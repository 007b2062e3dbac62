//! The tool `trials`; `cargo trials help` tells what it does.

use std::path::{self, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand};

use lab::memory::{Tool, can_watch};
use lab::player::Stdout;
use lab::programs::{self, Binaries, Build, Cast, PROGRAMS, Profile};
use lab::sandbox::Sandbox;
use lab::scene::{self, Scene};
use lab::strace;
use trials::adversarial::{self, Case};
use trials::bench::{self, Figures, Size, growth, transports};
use trials::faults::{self, Row};
use trials::memory;
use trials::reverts::{self, Bench, Outcome};
use trials::sessions::{self, Family};
use trials::soak::LOADS;
use trials::verdict::{Players, Report};

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
    Adversarial(Adversarial),
    /// Plays what people may do at the terminals of a server and its clients, drawn at random
    Sessions(Sessions),
    /// Watches the programs' memory in the scenes
    Memory(Memory),
    /// Sends thousands of messages to each server, and ^C at random moments
    Soak(Soak),
    /// Puts each fix back to what C does, and sees that a check notices
    Reverts(Reverts),
    /// Measures what the ports cost, beside C, std and tokio, and what the sockets cost
    #[command(after_help = BENCH)]
    Bench(Measure),
}

fn main() -> ExitCode {
    // Scenes call it as `lab sock`.
    if std::env::args().nth(1).is_some_and(|command| command == "sock") {
        return lab::exit("lab", lab::sock::run(std::env::args_os().skip(2)));
    }
    let outcome = match Cli::parse().command {
        Task::Faults(options) => options.run(),
        Task::Adversarial(options) => options.run(),
        Task::Sessions(options) => options.run(),
        Task::Memory(options) => options.run(),
        Task::Soak(options) => options.run(),
        Task::Reverts(options) => options.run(),
        Task::Bench(options) => options.run(),
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
    #[arg(long, default_value = "release")]
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

/// Runs something on each program, prints what it has shown, and sums that up; an error if anything is wrong.
fn each(programs: &[&'static str], players: &Players, details: bool, run: impl Fn(&'static str) -> Result<Report>) -> Result<Report> {
    let mut all = Report::default();
    for program in programs {
        let report = run(program).with_context(|| (*program).to_owned())?;
        let in_c = players.builds.c.as_ref().map(|_| format!("; in C: {}", report.c)).unwrap_or_default();
        anstream::println!("{program}: {} tried{in_c}", report.tried);
        report.in_c.iter().filter(|_| details).for_each(|line| anstream::println!("in C: {line}"));
        (all.tried, all.signals) = (all.tried + report.tried, all.signals + report.signals);
        all.wrong.extend(report.wrong);
        all.c += report.c;
    }
    ensure!(all.wrong.is_empty(), "{} times not as it should be\n     {}", all.wrong.len(), all.wrong.join("\n     "));
    if players.builds.c.is_some() {
        anstream::println!("in C: {}", all.c);
    }
    Ok(all)
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
        let all = each(&chosen, &players, !self.names.is_empty(), |name| {
            let of_program: Vec<_> = rows.iter().filter(|(row, _)| row.program == name).copied().collect();
            faults::run(&of_program, &players, self.once)
        })?;
        anstream::println!("{} faults, {} of them ended by SIGPIPE or SIGINT as in C: the ports do what tests/trials/faults.tsv says", all.tried, all.signals);
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
    /// Random seed: the same number gives the same sessions [default: a new one each time]
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
            let in_c = if players.builds.c.is_some() { format!(", {} calls the same in C", played.calls) } else { String::new() };
            anstream::println!("{server}: {} sessions of {} steps in all{in_c} (seed {seed})", played.sessions, played.steps);
        }
        Ok(())
    }
}

#[derive(Args)]
struct Adversarial {
    /// Programs, or cases (PROGRAM/INPUT); none: all
    #[arg(value_name = "PROGRAM|CASE")]
    names: Vec<String>,
    /// Only show the cases, as scenes
    #[arg(long)]
    show: bool,
    /// Play one case in so many
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// Show how the C programs differ
    #[arg(long, requires = "originals")]
    details: bool,
    #[command(flatten)]
    source: Source,
}

impl Adversarial {
    fn run(&self) -> Result<()> {
        let programs = chosen(&self.names.iter().map(|name| name.split('/').next().unwrap_or_default().to_owned()).collect::<Vec<_>>())?;
        let mut cases = adversarial::cases(&programs)?;
        let is_named = |case: &Case| {
            self.names.is_empty() || self.names.iter().any(|name| name == case.program || *name == case.scene.name || case.scene.name.ends_with("/nothing") || case.scene.name.ends_with("/line-none"))
        };
        cases.retain(is_named);
        if self.show {
            cases.iter().for_each(|case| anstream::println!("{}", case.text));
            return Ok(());
        }
        strace::available()?;
        let players = self.source.players(&scene::names(&cases.iter().map(|case| &case.scene).collect::<Vec<_>>()))?;
        let all = each(&programs, &players, self.details, |program| {
            // Those in which nothing happens say what the others must look like.
            let of_program = cases.iter().filter(|case| case.program == program).enumerate();
            let chosen = of_program.filter(|(index, case)| index % self.every == 0 || case.scene.name.ends_with("/line-none"));
            adversarial::run(&chosen.map(|(_, case)| case).collect::<Vec<_>>(), &players)
        })?;
        anstream::println!("{} cases: the invariants hold in each", all.tried);
        Ok(())
    }
}

#[derive(Args)]
struct Memory {
    /// Scenes, programs and their adversarial cases to play; none: all that do not use strace
    #[arg(value_name = "SCENE|PROGRAM|CASE")]
    names: Vec<String>,
    /// What watches the programs
    #[arg(long, default_value = "memcheck")]
    tool: Tool,
    #[command(flatten)]
    source: Source,
}

impl Memory {
    fn run(&self) -> Result<()> {
        self.tool.available()?;
        let (scenes, cases) = (scene::read_all(programs::root())?, adversarial::cases(&chosen(&[])?)?);
        let of_case = |case: &Case| case.program.to_owned();
        let all = scenes.iter().map(|scene| (scene, None)).chain(cases.iter().map(|case| (&case.scene, Some(of_case(case)))));
        let is_named = |(scene, program): &(&Scene, Option<String>)| self.names.is_empty() || self.names.contains(&scene.name) || program.as_ref().is_some_and(|program| self.names.contains(program));
        let chosen: Vec<(&Scene, bool)> = all.filter(is_named).filter(|(scene, _)| can_watch(scene)).map(|(scene, program)| (scene, program.is_some())).collect();
        ensure!(!chosen.is_empty(), "no scene or program is called {}, or strace runs its programs already", self.names.join(", "));
        let names = scene::names(&chosen.iter().map(|(scene, _)| *scene).collect::<Vec<_>>());
        let mut players = self.source.players(if self.tool == Tool::Asan && self.source.programs.is_none() { &[] } else { &names })?;
        if players.builds.ports.is_empty() {
            players.builds.ports = Build { root: programs::root(), profile: Profile::Release, asan: true, quiet: false }.run(&names)?;
            players.builds.c = self.source.originals.as_ref().map(|folder| programs::originals(folder, &names)).transpose()?;
        }
        let report = memory::run(&chosen, self.tool, &players)?;
        ensure!(report.findings.is_empty(), "{}", report.findings.join("\n     "));
        for (program, (starts, c)) in &report.programs {
            let in_c = players.builds.c.as_ref().map(|_| format!("; in C: {c}")).unwrap_or_default();
            anstream::println!("{program}: {starts} starts{in_c}");
        }
        let starts: usize = report.programs.values().map(|(starts, _)| starts).sum();
        anstream::println!("{} scenes and cases, {starts} starts of programs: nothing found in the ports", chosen.len());
        Ok(())
    }
}

#[derive(Args)]
struct Soak {
    /// Servers; none: all six
    #[arg(value_name = "PROGRAM")]
    names: Vec<String>,
    /// How many messages to send to each
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    messages: usize,
    /// How many ^C to send to each server that counts
    #[arg(long, value_name = "N", default_value_t = 200)]
    interrupts: usize,
    /// Draw the moments of ^C of this number [default: others each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    source: Source,
}

impl Soak {
    fn run(&self) -> Result<()> {
        if let Some(name) = self.names.iter().find(|name| !LOADS.iter().any(|load| load.program == **name)) {
            bail!("{name} is none of {}", LOADS.map(|load| load.program).join(", "));
        }
        let loads: Vec<_> = LOADS.iter().filter(|load| self.names.is_empty() || self.names.iter().any(|name| name == load.program)).collect();
        let players = self.source.players(&loads.iter().map(|load| load.program).collect::<Vec<_>>())?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut wrong = Vec::new();
        for load in loads {
            let verdict = load.carry(&players, self.messages).with_context(|| load.program.to_owned())?;
            anstream::println!("{}: {} messages: {}", load.program, self.messages, verdict.as_ref().map_or("each answered right".to_owned(), ToString::to_string));
            wrong.extend(verdict.map(|verdict| format!("{}: {verdict}", load.program)));
            if !load.counts() {
                continue;
            }
            for number in 0..self.interrupts {
                lab::signals::check()?;
                let verdict = load.interrupt(&players, if number % 2 == 0 { Stdout::File } else { Stdout::Terminal }, &mut rng).with_context(|| load.program.to_owned())?;
                wrong.extend(verdict.map(|verdict| format!("{}: ^C {number}: {verdict}", load.program)));
            }
            anstream::println!("{}: ^C at {} moments", load.program, self.interrupts);
        }
        ensure!(wrong.is_empty(), "{} (seed {seed})", wrong.join("\n     "));
        Ok(())
    }
}

#[derive(Args)]
struct Reverts {
    /// Programs whose fixes to put back; none: all
    #[arg(value_name = "PROGRAM")]
    names: Vec<String>,
}

impl Reverts {
    fn run(&self) -> Result<()> {
        let chosen = chosen(&self.names)?;
        let mut reverts = reverts::read(programs::root())?;
        reverts.retain(|revert| chosen.contains(&revert.fix.program.as_str()));
        lab::signals::watch();
        let this = std::env::current_exe()?;
        let mut bench = Bench::new(&this)?;
        let mut wrong = Vec::new();
        for (revert, number) in reverts.iter().zip(1..) {
            lab::signals::check()?;
            let fix = format!("{}:{}: {}", revert.fix.program, revert.fix.line, revert.fix.name);
            let outcome = bench.try_out(revert)?;
            let said = match outcome {
                Outcome::Noticed => format!("noticed by {}", revert.shown),
                Outcome::Unnoticed => format!("NOT NOTICED by {}", revert.shown),
                Outcome::FailsAnyway => format!("{} fails with the fix, too", revert.shown),
            };
            anstream::println!("{number}/{} {fix}: {said}", reverts.len());
            if outcome != Outcome::Noticed {
                wrong.push(fix);
            }
        }
        ensure!(wrong.is_empty(), "{} of {} fixes can be put back unnoticed: {}", wrong.len(), reverts.len(), wrong.join("; "));
        anstream::println!("{} fixes put back one after the other, each noticed", reverts.len());
        Ok(())
    }
}

/// What `bench` says at the end of its help.
const BENCH: &str = "\
The parts are programs, transports and growth. All take about four minutes, with --quick half a minute, and the time \
of building; on a busy machine there are fewer rounds. Nothing leaves this machine: the loopback and local sockets are \
used, on one processor.

A figure is a median. After it is the ratio to the first of its row, to UDP, or to the smallest, with its quartiles; \
it is called the same if 1.00 lies between these.";

#[derive(Args)]
struct Measure {
    /// Parts, or servers whose pairs to measure; none: all parts
    #[arg(value_name = "PART|PROGRAM")]
    names: Vec<String>,
    /// Measure less: fewer rounds, no instructions
    #[arg(long)]
    quick: bool,
    /// Where the raw numbers and the pictures go [default: bench in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

impl Measure {
    fn run(&self) -> Result<()> {
        let is_wanted = |name: &str| self.names.is_empty() || self.names.iter().any(|wanted| wanted == name);
        let pairs: Vec<_> = bench::programs::PAIRS.iter().filter(|pair| is_wanted("programs") || pair.names().first().is_some_and(|name| is_wanted(name))).collect();
        let known = |name: &str| ["programs", "transports", "growth"].contains(&name) || pairs.iter().any(|pair| pair.names().first() == Some(&name));
        if let Some(name) = self.names.iter().find(|name| !known(name)) {
            bail!("{name} is no part (programs, transports, growth) and no server");
        }
        let mut names: Vec<&str> = pairs.iter().flat_map(|pair| pair.names()).collect();
        names.extend(growth::SERVERS.iter().map(|(server, ..)| *server).filter(|_| is_wanted("growth")));
        names.sort_unstable();
        names.dedup();
        let this = std::env::current_exe()?;
        let out = path::absolute(self.out.clone().unwrap_or_else(|| this.ancestors().nth(2).unwrap_or(&this).join("bench")))?;
        let examples: Vec<String> = pairs.iter().flat_map(|pair| pair.examples()).collect();
        let examples: Vec<&str> = examples.iter().map(String::as_str).collect();
        let examples = match &self.source.programs {
            Some(folder) => programs::look_for(folder, &examples)?,
            None if examples.is_empty() => Binaries::new(),
            None => Build { root: programs::root(), profile: self.source.profile, asan: false, quiet: false }.examples(&examples)?,
        };
        let players = self.source.players(&names)?;
        let mut cast = Cast::of_ports(&players.builds.ports.into_iter().chain(examples).collect());
        cast.c = players.builds.c.unwrap_or_default();
        let (size, machine) = (if self.quick { Size::QUICK } else { Size::FULL }, bench::machine());
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
        for lack in if pairs.is_empty() { Vec::new() } else { bench::programs::lacks(size) } {
            anstream::println!("{lack}");
        }
        for path in figures.write(&out, &machine)? {
            anstream::println!("{}", path.display());
        }
        Ok(())
    }
}
