//! The tool `lab`; `cargo lab help` lists its commands.

mod commands;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::Style;
use anyhow::{Result, bail};

use commands::{ask, comparison, completions, diagram, page, read, replay};
use lab::args::{Args, nearest};
use lab::programs::{GROUPS, PROGRAMS};
use lab::scene;
use lab::sock;
use lab::sockets;

const HELP: &str = "\
Plays the experiments of the READMEs with the real programs

Usage: cargo lab COMMAND ...

  list         list the programs and the scenes
  replay       play scenes
  ask          answer a question: play its scene, and show the answer
  read         show a port line by line, beside its C file if that is found
  page         make a page for the browser: scenes step by step
  diagram      draw who sends what to whom in a scene
  strace       show the system calls of a scene, beside those of C if it is found
  check        compare the system calls with the recorded ones, or with those of C
  record       record the system calls of the C programs (goldens)
  sockets      list the sockets of a running program
  sock         a shell whose commands are the socket calls
  completions  print the completion script for bash, zsh or fish

'cargo lab COMMAND --help' says more.
";

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    lab::exit("lab", run(&command.to_string_lossy(), args.collect()))
}

fn run(command: &str, args: Vec<OsString>) -> Result<()> {
    match command {
        "list" => match args.first() {
            Some(arg) => bail!("'{}': cargo lab list takes no argument", arg.to_string_lossy()),
            None => list(),
        },
        "replay" => replay::run(Args::new("lab replay", replay::HELP, args)),
        "ask" => ask::run(Args::new("lab ask", ask::HELP, args)),
        "read" => read::run(Args::new("lab read", read::HELP, args)),
        "page" => page::run(Args::new("lab page", page::HELP, args)),
        "diagram" => diagram::run(Args::new("lab diagram", diagram::HELP, args)),
        "strace" => comparison::strace(Args::new("lab strace", comparison::STRACE_HELP, args)),
        "check" => comparison::check(Args::new("lab check", comparison::CHECK_HELP, args)),
        "record" => comparison::record(Args::new("lab record", comparison::RECORD_HELP, args)),
        "sockets" => match args.as_slice() {
            [whose] if !whose.to_string_lossy().starts_with('-') => list_sockets(&whose.to_string_lossy()),
            [help] if help == "--help" || help == "-h" => {
                lab::print("Lists the sockets of a running program\n\nUsage: cargo lab sockets PID|PROGRAM\n");
                Ok(())
            }
            _ => bail!("the sockets of which program? 'cargo lab sockets PID|PROGRAM' takes one"),
        },
        "sock" => sock::run(args),
        "" | "help" | "--help" | "-h" => {
            lab::print(HELP);
            Ok(())
        }
        "completions" => {
            let [shell] = args.as_slice() else { bail!("for which shell? 'cargo lab completions bash|zsh|fish' takes one") };
            let shell = shell.to_string_lossy();
            lab::print(&completions::script(&shell, &[HELP, replay::HELP, read::HELP, page::HELP, diagram::HELP, comparison::STRACE_HELP, comparison::CHECK_HELP, comparison::RECORD_HELP])?);
            Ok(())
        }
        other => {
            let commands = HELP.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
            bail!("no command is called '{other}'; {}", nearest(other, commands).replace("lab list' names", "lab help' lists"))
        }
    }
}

fn list() -> Result<()> {
    let scenes = scene::read_all()?;
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
    lab::print(&out);
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
    lab::print(&out);
    Ok(())
}
