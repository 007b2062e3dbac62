//! The tool `lab`; `cargo lab help` tells what it does.

mod comparison;
mod drawing;
mod hostility;
mod injection;
mod loading;
mod long;
mod reading;
mod reverting;
mod side;
mod watching;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use comparison::{Check, Record, Strace};
use drawing::Random;
use hostility::Hostile;
use injection::Faults;
use lab::peer::Peer;
use lab::play::{self, Audience};
use lab::programs::{self, Binaries, GROUPS, PROGRAMS, Profile};
use lab::scene::{self, Action, Scene, Step};
use lab::signals;
use lab::sockets;
use lab::stage::{Privacy, Stage};
use lab::strace;
use lab::table;
use loading::Load;
use long::Long;
use reading::Read;
use reverting::Reverts;
use watching::Memory;

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
    /// Makes the programs' calls fail, one after the other
    Faults(Faults),
    /// Watches the programs' memory, and that of the C programs if it has them
    Memory(Memory),
    /// Plays exchanges drawn at random, with the ports and the C programs if it has them
    Random(Random),
    /// Puts each fix back to what C does, and sees that a check notices
    Reverts(Reverts),
    /// Plays hostile input: what no friendly client, server or shell would do
    Hostile(Hostile),
    /// Runs all that takes long: faults, hostile, random, memory, load, reverts
    Long(Long),
    /// Sends messages from many clients at once, and ^C at random moments
    Load(Load),
    /// Records the goldens: what the C programs call in each scene
    Record(Record),
    /// Writes the table of the comparison into the main README
    Table,
    /// Lists the sockets of a running process, as /proc tells of them
    Sockets {
        /// A process number, or the name of a running program
        #[arg(value_name = "PID|PROGRAM")]
        whose: String,
    },
    /// Talks to a program as none of the programs does; for scenes
    #[command(subcommand, hide = true)]
    Peer(Peer),
}

#[derive(clap::Args)]
struct Replay {
    /// Scenes or groups to play, or files with scenes; none: the lectures, in order
    #[arg(value_name = "SCENE|FILE")]
    names: Vec<String>,
    /// Which build of the programs
    #[arg(long, value_enum, default_value = "dev")]
    profile: Profile,
    /// Take the programs from this folder, by file name, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Pause before each step a person takes, in milliseconds [default: 400 at a terminal, else 0]
    #[arg(long, value_name = "MS")]
    pause: Option<u64>,
    /// How long a program may take for a step, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    limit: u64,
    /// Play on the network and the /tmp that everyone has
    #[arg(long)]
    no_namespaces: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Task::List => list(),
        Task::Replay(options) => replay(&options),
        Task::Read(options) => options.run(),
        Task::Strace(options) => options.run(),
        Task::Check(options) => options.run(),
        Task::Faults(options) => options.run(),
        Task::Memory(options) => options.run(),
        Task::Random(options) => options.run(),
        Task::Reverts(options) => options.run(),
        Task::Hostile(options) => options.run(),
        Task::Long(options) => options.run(),
        Task::Load(options) => options.run(),
        Task::Record(options) => options.run(),
        Task::Table => table::write(programs::root()),
        Task::Sockets { whose } => list_sockets(&whose),
        Task::Peer(peer) => peer.run(),
    };
    // What it has interrupted is cleared away.
    signals::obey();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads us has seen enough, as with `| head`.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            let bold = AnsiColor::Red.on_default().bold();
            anstream::eprintln!("{bold}lab:{bold:#} {error:#}");
            ExitCode::FAILURE
        }
    }
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

fn replay(options: &Replay) -> Result<()> {
    let scenes = choose(scene::read_all(programs::root())?, &options.names)?;
    if scenes.iter().any(|scene| scene.uses("strace")) {
        strace::available()?;
    }
    let mut names: Vec<&str> = scenes.iter().flat_map(Scene::programs).collect();
    names.sort_unstable();
    names.dedup();
    let binaries = match &options.programs {
        Some(folder) => programs::search(folder, &names)?,
        None => programs::build(&names, options.profile)?,
    };
    let pause = Duration::from_millis(options.pause.unwrap_or(if io::stdout().is_terminal() { 400 } else { 0 }));
    let privacy = Privacy::find(!options.no_namespaces);
    for (index, scene) in scenes.iter().enumerate() {
        if index > 0 {
            anstream::println!();
        }
        let mut screen = Screen::new(scene, pause);
        let needed: BTreeMap<_, _> = scene.programs().into_iter().map(|name| (name.to_owned(), binaries[name].clone())).collect();
        let stage = Stage::set(privacy, &needed, &Binaries::new())?;
        play::play(scene, &play::Options { limit: Duration::from_secs(options.limit), ..Default::default() }, &mut screen)?;
        drop(stage);
    }
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

/// The scenes that `names` name, in that order; those of the lectures, in theirs, if it names none.
fn choose(scenes: Vec<Scene>, names: &[String]) -> Result<Vec<Scene>> {
    if names.is_empty() {
        let mut chosen: Vec<Scene> = scenes.into_iter().filter(|scene| scene.lecture().is_some()).collect();
        chosen.sort_by_key(Scene::lecture);
        return Ok(chosen);
    }
    let mut chosen = Vec::new();
    for name in names {
        if Path::new(name).is_file() {
            chosen.extend(scene::read_file(Path::new(name))?);
            continue;
        }
        let before = chosen.len();
        chosen.extend(scenes.iter().filter(|scene| scene.name == *name || scene.group == *name).cloned());
        if chosen.len() == before {
            bail!("no scene or group is called '{name}'; 'cargo lab list' names them");
        }
    }
    Ok(chosen)
}

/// The show: a line for each step, headed by the terminal's name in its colour.
struct Screen {
    /// In the order in which they first act.
    names: Vec<String>,
    pause: Duration,
}

const COLOURS: [AnsiColor; 5] = [AnsiColor::Green, AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Magenta, AnsiColor::Blue];

impl Screen {
    fn new(scene: &Scene, pause: Duration) -> Screen {
        let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
        let about = if scene.section == scene.title { String::new() } else { format!("{}: ", scene.section.split(':').next().unwrap_or_default()) };
        anstream::println!("{bold}{about}{}{bold:#}  {dim}{} in {}{dim:#}", scene.title, scene.name, scene.file.display());
        let mut names: Vec<String> = Vec::new();
        for step in &scene.steps {
            if !names.contains(&step.actor) {
                names.push(step.actor.clone());
            }
        }
        Screen { names, pause }
    }
}

impl Audience for Screen {
    fn step(&mut self, step: &Step) {
        let at = self.names.iter().position(|name| *name == step.actor).unwrap_or(0);
        let colour = COLOURS[at % COLOURS.len()].on_default();
        let width = self.names.iter().map(String::len).max().unwrap_or(0);
        let (typed, dim) = (Style::new().bold(), Style::new().dimmed());
        let text = match &step.action {
            Action::Start(command) => format!("{typed}$ {}{typed:#}", command.text),
            Action::Type(text) => format!("{typed}{}{typed:#}", text.notation()),
            Action::Interrupt => format!("{typed}^C{typed:#}"),
            Action::EndOfInput => format!("{typed}^D{typed:#}"),
            Action::Suspend => format!("{typed}^Z{typed:#}"),
            Action::Resume => format!("{typed}$ fg{typed:#}"),
            Action::Expect(text) => text.notation().to_owned(),
            Action::Blocked(call) => format!("{dim}(blocked in {call}){dim:#}"),
            Action::Socket(row) => format!("{dim}(socket {row}){dim:#}"),
            Action::End(end) if end.parse::<u32>().is_ok() => format!("{dim}(exit status {end}){dim:#}"),
            Action::End(signal) => format!("{dim}(killed by {signal}){dim:#}"),
            // For those who compare traces.
            Action::Part(_) => return,
        };
        if step.action.is_by_a_person() {
            signals::sleep(self.pause);
        }
        if signals::noted().is_some() {
            return;
        }
        // Nobody may be reading any more; the scene goes on to its end, and its outcome counts.
        let _ = writeln!(anstream::stdout(), "{colour}{:<width$} |{colour:#} {text}", step.actor);
    }
}
