//! Plays a scene: lets each of its steps happen in turn, and says where the programs do something else.
//!
//! Nothing here sleeps for a guessed time. Before a person types or starts something, every program
//! is at rest: asleep, and not having run between two looks. Each wait has a limit.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::actor::{Actor, ProcState, Stdout, end_name};
use crate::cast::Cast;
use crate::memory::Tool;
use crate::placeholders::Placeholders;
use crate::programs;
use crate::scene::{self, Action, Scene, Step, Text};
use crate::signals;
use crate::sockets::{self, Row, Socket};
use crate::sources;
use crate::strace::{self, Stacks};
use crate::trace::{self, Trace};

/// How long between two looks at programs of which we await something, at least and at most: an eighth of the
/// time that we have waited.
const BREATH: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];

/// The folder in the working folder that strace writes to, whoever it runs as.
pub const TRACE_FOLDER: &str = "trace";

/// What `lab sock` is called in its trace.
pub const SOCK: &str = "lab sock";

/// `lab` in the working folder, where it is traced.
const COPY: &str = "./.lab";

/// How many lines of a program are shown, of those that the scene does not have.
const SHOWN: usize = 100;

/// How many of the steps before it a mismatch shows.
const CONTEXT: usize = 4;

/// How long programs that do not do what the scene says may take to come to rest.
const LENIENCE: Duration = Duration::from_secs(1);

/// Told of each step: before it if a person does it, after it if a program does.
pub trait Observer {
    fn step(&mut self, step: &Step);

    /// Told before a person's step, when every program is at rest.
    fn at_rest(&mut self, _actors: &[Actor]) {}
}

/// An observer that wants no show.
impl Observer for () {
    fn step(&mut self, _: &Step) {}
}

/// How a scene is played.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a step may take.
    pub limit: Duration,
    /// Where the standard output of the programs goes. If it is not the terminal, what they write
    /// there is not compared with the scene: stdio holds it back.
    pub stdout: Stdout,
    pub watch: Watch,
    /// Of which calls strace shows the stack, so that they have their place.
    pub stacks: Stacks,
    /// Whether strace also watches `lab sock`.
    pub tools: bool,
    pub mode: Mode,
}

impl Default for Options {
    fn default() -> Options {
        Options { limit: Duration::from_secs(10), stdout: Stdout::Terminal, watch: Watch::Nothing, stacks: Stacks::None, tools: false, mode: Mode::Enforce }
    }
}

/// What watches the programs of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    Nothing,
    /// strace. It makes calls fail in one start of an actor, named with a number from its second start on, by
    /// options such as `inject=bind:error=EACCES:when=1`.
    Strace(Option<(String, Vec<String>)>),
    Memory(Tool),
}

/// Whether the programs must do what the scene says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They must; the first that does not ends the play.
    Enforce,
    /// They need not, as C programs where a scene shows a fix. They may take so long to come to rest before
    /// each step, and one that runs where it should end is killed.
    Observe(Duration),
}

/// A scene that was played.
#[derive(Debug, Default)]
pub struct Played {
    /// One for each program and tool that was started, in that order.
    pub starts: Vec<Start>,
    /// What the programs did that the scene does not say, as a diff for a person to read; the play ended there.
    pub mismatch: Option<String>,
}

impl Played {
    /// The play, if it was as the scene says; else the mismatch as an error.
    pub fn as_written(self) -> Result<Played> {
        match self.mismatch {
            Some(mismatch) => bail!(mismatch),
            None => Ok(self),
        }
    }
}

/// A start of a program or tool, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The actor, with a number from its second start on.
    pub who: String,
    /// `None` if it is a tool.
    pub program: Option<&'static str>,
    /// How it had ended when the scene came to its end; not at all, if it was blocked or running.
    pub end: Option<ExitStatus>,
    /// Whether it was blocked, if it had not ended.
    pub waits: bool,
    /// The system call that it was blocked in, if a scene can name it.
    pub call: Option<&'static str>,
    /// Whether a Ctrl-C was typed before it had ended, and if so, whether it was blocked then.
    pub interrupted: Option<bool>,
    /// The lines on its terminal that no step expected.
    pub lines: Vec<String>,
    /// Of its process, then of those that it forked.
    pub traces: Vec<Trace>,
    /// What the memory checker has found.
    pub findings: Vec<String>,
    /// Where the watcher wrote while the sandbox was there: one file for each process.
    pub log: Option<PathBuf>,
}

/// Plays `scene` in the working folder, which holds its programs.
/// Fails if it cannot be played: a program cannot be started, programs do not come to rest, a watcher does not
/// finish its log, or a signal has asked us to end.
pub fn play(scene: &Scene, cast: &Cast, options: &Options, observer: &mut dyn Observer) -> Result<Played> {
    let mut player = Player { cast, options, actors: Vec::new(), starts: Vec::new(), placeholders: Placeholders::default(), line: None };
    let mut mismatch = None;
    for (index, step) in scene.steps.iter().enumerate() {
        match player.step(step, observer) {
            Ok(()) => {}
            Err(Stop::Mismatch(why)) => {
                mismatch = Some(player.mismatch(scene, index, &why)?);
                break;
            }
            Err(Stop::Failure(error)) => return Err(error),
        }
    }
    // Their logs end with them.
    player.actors.clear();
    let mut starts = player.starts;
    for start in &mut starts {
        let (Some(log), Some(program)) = (&start.log, start.program) else { continue };
        match &options.watch {
            // A program that was killed during the scene may have no trace.
            Watch::Strace(_) if mismatch.is_none() => {
                let binary = cast.binary(actor_of(&start.who), program);
                start.traces = trace::read(&start.who, program, (options.stacks != Stacks::None).then_some(binary.as_path()), log)?;
            }
            Watch::Memory(tool) => start.findings = tool.read(log)?,
            _ => {}
        }
    }
    Ok(Played { starts, mismatch })
}

/// Why a play ends before its scene does.
enum Stop {
    /// A step was not as it is written: what was not.
    Mismatch(String),
    /// The scene cannot be played.
    Failure(anyhow::Error),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        Stop::Failure(error)
    }
}

type AsWritten<T = ()> = std::result::Result<T, Stop>;

/// "client" of "client 2".
pub fn actor_of(who: &str) -> &str {
    who.split(' ').next().unwrap_or_default()
}

struct Player<'a> {
    cast: &'a Cast,
    options: &'a Options,
    /// The actors whose end the scene has not come to yet.
    actors: Vec<Actor>,
    starts: Vec<Start>,
    placeholders: Placeholders,
    /// The line that the step expected, as it was.
    line: Option<Vec<u8>>,
}

impl Player<'_> {
    fn step(&mut self, step: &Step, observer: &mut dyn Observer) -> AsWritten {
        if step.action.is_by_a_person() {
            self.settle()?;
            observer.at_rest(&self.actors);
            observer.step(&self.with_numbers(step));
            signals::check()?;
            return self.act(step);
        }
        self.act(step)?;
        observer.step(&self.with_numbers(step));
        Ok(())
    }

    /// The step with its numbers, not their names; one that expected a line, with that line.
    fn with_numbers(&mut self, step: &Step) -> Step {
        let text = match self.line.take() {
            Some(line) => format!("> {}", scene::notation(line.trim_ascii_end())),
            None => self.placeholders.fill(&step.text),
        };
        Step { text, ..step.clone() }
    }

    fn act(&mut self, step: &Step) -> AsWritten {
        let name = step.actor.as_str();
        if let Mode::Observe(patience) = self.options.mode {
            match &step.action {
                Action::Expect(_) | Action::Blocked(_) | Action::Socket(_) => return Ok(()),
                Action::End(_) => return Ok(self.observe_end(name, patience)?),
                Action::Start(_) | Action::Diverge(_) => {}
                // It has ended before its time, and nobody can type at it.
                _ if self.actor(name).states().is_empty() => return Ok(()),
                _ => {}
            }
        }
        match &step.action {
            Action::Start(command) => Ok(self.start(name, command)?),
            Action::Type(text) => self.type_line(name, text),
            Action::Interrupt => self.type_keys(name, Actor::interrupt),
            Action::EndOfInput => self.type_keys(name, |actor| actor.type_keys(b"\x04")),
            Action::Suspend => self.suspend(name),
            Action::Resume => Ok(self.actor(name).resume()?),
            Action::Diverge(_) => Ok(()),
            Action::Expect(text) => self.expect(name, text),
            Action::Blocked(call) => self.expect_blocked(name, call),
            Action::Socket(row) => self.expect_socket(name, row),
            Action::End(end) => self.expect_end(name, end),
        }
    }

    fn start(&mut self, name: &str, command: &scene::Command) -> Result<()> {
        let nth = self.starts.iter().filter(|start| actor_of(&start.who) == name).count() + 1;
        let who = if nth == 1 { name.to_owned() } else { format!("{name} {nth}") };
        // A program of ours is in the working folder; any other is looked for as a shell does.
        let path = |word: &String| match word.as_str() {
            "lab" if self.options.tools => COPY.to_owned(),
            "lab" => format!("/proc/{}/exe", process::id()),
            _ if programs::find(word).is_some() => self.cast.binary(name, word).display().to_string(),
            _ => self.placeholders.fill(word),
        };
        let mut words: Vec<String> = command.words.iter().map(path).collect();
        if words.iter().any(|word| word == COPY) && !Path::new(COPY).exists() {
            // strace may not look at us: in a user namespace we have capabilities, and it has none.
            fs::copy("/proc/self/exe", COPY).context("cannot copy lab")?;
        }
        let sock = (self.options.tools && command.is_in_notation()).then_some(SOCK);
        let program = sock.or_else(|| scene::programs_of(command).first().copied());
        let log = program.map(|_| Path::new(TRACE_FOLDER).join(format!("{name}-{nth}")));
        if let Some(log) = &log {
            let has_lines = || program.is_some_and(|program| sources::has_table(&self.cast.binary(name, program))) && sources::unavailable().is_none();
            let stacks = if self.options.stacks != Stacks::None && has_lines() { self.options.stacks } else { Stacks::None };
            match &self.options.watch {
                Watch::Nothing => {}
                Watch::Strace(inject) => {
                    let injections = inject.as_ref().filter(|(of, _)| *of == who).map_or(&[] as &[String], |(_, injections)| injections);
                    words = strace::wrap(&words, injections, stacks, log);
                }
                Watch::Memory(tool) => words = tool.wrap(&words, log),
            }
        }
        let mut process = Command::new(&words[0]);
        process.args(&words[1..]).env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        self.actors.push(Actor::start(name, process, command, self.options.stdout)?);
        self.starts.push(Start { who, program, log, ..Start::default() });
        Ok(())
    }

    fn type_line(&mut self, name: &str, text: &Text) -> AsWritten {
        let filled = self.placeholders.fill(text.notation());
        self.type_keys(name, |actor| {
            let line = if actor.in_notation { filled.into() } else { scene::expand(text.notation()) };
            actor.type_keys(&[line.as_slice(), b"\n"].concat())
        })
    }

    fn type_keys(&mut self, name: &str, keys: impl FnOnce(&mut Actor) -> Result<()>) -> AsWritten {
        let before = self.actor(name).states();
        keys(self.actor(name))?;
        // Keys reach a program some time after they are typed. One that waits for them, or that is
        // interrupted, must have run before anyone can say again that all is at rest.
        if self.actor(name).interrupted || before.iter().any(ProcState::awaits_keys) {
            self.wait(&format!("{name} did not react to the keys"), |player| {
                let actor = player.actor(name);
                (actor.end().is_some() || actor.states() != before).then_some(())
            })?;
        }
        Ok(())
    }

    fn suspend(&mut self, name: &str) -> AsWritten {
        self.actor(name).suspend()?;
        let log = self.last_start(name).log.clone().filter(|_| matches!(self.options.watch, Watch::Strace(_)));
        self.wait(&format!("{name} did not stop"), |player| {
            let actor = player.actor(name);
            let stopped = actor.states().iter().all(ProcState::is_stopped);
            // Under strace a program stops at every call for a moment; strace reports the stop we want.
            let told = log.as_ref().is_none_or(|log| trace::tells_of_stop(log, actor.pid()));
            (stopped && told).then_some(())
        })
    }

    fn expect(&mut self, name: &str, text: &Text) -> AsWritten {
        if self.options.stdout != Stdout::Terminal {
            return Ok(());
        }
        let line = self.wait(&format!("{name} did not write this line"), |player| {
            let actor = player.actor(name);
            let line = actor.next_line();
            (line.is_some() || actor.end().is_some()).then_some(line)
        })?;
        let Some(line) = line else { return Err(Stop::Mismatch(format!("{name} ended before it wrote this line"))) };
        if !text.matches(&line, &mut self.placeholders) {
            self.actor(name).put_back(&line);
            return Err(Stop::Mismatch(format!("{name} wrote a different line")));
        }
        self.line = Some(line);
        Ok(())
    }

    fn expect_blocked(&mut self, name: &str, call: &str) -> AsWritten {
        let mut before = None;
        self.wait(&format!("{name} is not blocked in {call}"), |player| {
            let now = player.states();
            let is_in_call = player.actors.iter().zip(&now).any(|(actor, states)| actor.name == name && states.iter().any(|state| state.is_in(call)));
            let is_same = before.as_ref() == Some(&now);
            before = Some(now);
            (is_in_call && is_same).then_some(())
        })
    }

    fn expect_socket(&mut self, name: &str, row: &Row) -> AsWritten {
        let mut sockets = Vec::new();
        let is_there = self.comes_true(self.options.limit, |player| {
            sockets = player.actor(name).states().iter().filter_map(|state| sockets::of(state.pid).ok()).flatten().collect();
            row.is_true(&sockets, &mut player.placeholders).then_some(())
        })?;
        if is_there.is_none() {
            let there: Vec<String> = sockets.iter().map(Socket::to_string).collect();
            let there = if there.is_empty() { "none at all".to_owned() } else { there.join("; ") };
            return Err(self.late(&format!("{name} does not have this socket, but {there}")));
        }
        Ok(())
    }

    fn expect_end(&mut self, name: &str, end: &str) -> AsWritten {
        let actual = self.wait(&format!("{name} did not end"), |player| player.actor(name).end())?;
        let compares = self.options.stdout == Stdout::Terminal;
        let actor = self.actor(name);
        if compares && let Some(line) = actor.next_line() {
            actor.put_back(&line);
            return Err(Stop::Mismatch(format!("{name} wrote more before it ended")));
        }
        if end_name(actual) != end {
            return Err(Stop::Mismatch(format!("{name} ended with {}", end_name(actual))));
        }
        self.last_start(name).end = Some(actual);
        self.actors.retain(|actor| actor.name != name);
        Ok(())
    }

    /// Takes down what has become of a program, and ends it if it has not ended.
    fn observe_end(&mut self, name: &str, patience: Duration) -> Result<()> {
        // A program that never comes to rest is looked at while it runs.
        self.comes_to_rest(patience)?;
        let actor = self.actor(name);
        let states = actor.states();
        let call = states.iter().find_map(ProcState::call);
        let (end, waits, interrupted, lines) = (actor.end(), actor.is_at_rest(&states), actor.interrupted_at_rest, actor.all_lines());
        let start = self.last_start(name);
        *start = Start { end, waits, call, interrupted, lines, ..start.clone() };
        self.actors.retain(|actor| actor.name != name);
        Ok(())
    }

    fn last_start(&mut self, name: &str) -> &mut Start {
        self.starts.iter_mut().rfind(|start| actor_of(&start.who) == name).expect("the scene has been checked: an actor starts before it acts")
    }

    /// Waits until every program is at rest. Programs that are observed may also never be.
    fn settle(&mut self) -> AsWritten {
        if let Mode::Observe(patience) = self.options.mode {
            self.comes_to_rest(patience)?;
        } else if !self.comes_to_rest(self.options.limit)? {
            return Err(self.late("the programs do not come to rest"));
        }
        Ok(())
    }

    /// Whether every program comes to rest in this time: is asleep or stopped in two looks, not having run between.
    fn comes_to_rest(&mut self, limit: Duration) -> Result<bool> {
        let mut before = None;
        let rests = self.comes_true(limit, |player| {
            let now = player.states();
            let rest = player.actors.iter().zip(&now).all(|(actor, states)| actor.is_at_rest(states));
            let is_same = before.as_ref() == Some(&now);
            before = Some(now);
            (rest && is_same).then_some(())
        })?;
        Ok(rests.is_some())
    }

    /// Looks at everyone again and again until `done` has a value, which it must in a step's time.
    fn wait<T>(&mut self, why: &str, done: impl FnMut(&mut Self) -> Option<T>) -> AsWritten<T> {
        self.comes_true(self.options.limit, done)?.ok_or_else(|| self.late(why))
    }

    /// The same for so long, and `None` if it then has none.
    fn comes_true<T>(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> Option<T>) -> Result<Option<T>> {
        let start = Instant::now();
        loop {
            signals::check()?;
            for actor in &mut self.actors {
                actor.look()?;
            }
            let value = done(self);
            if value.is_some() || start.elapsed() > limit {
                return Ok(value);
            }
            self.pump((start.elapsed() / 8).clamp(BREATH[0], BREATH[1]))?;
        }
    }

    /// What is not so though a step's time is over, and what the programs are at.
    fn late(&self, why: &str) -> Stop {
        Stop::Mismatch(format!("{why}: time-out after {} s; {}", self.options.limit.as_secs(), self.describe()))
    }

    /// Waits until a program writes something, for a breath at most.
    fn pump(&mut self, breath: Duration) -> Result<()> {
        let mut fds: Vec<PollFd> = self.actors.iter().filter_map(Actor::terminal).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::try_from(breath).expect("a breath is short")) {
            // A signal has come; it is handled before the next breath.
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for the programs"),
        }
    }

    /// What the processes of each actor are at.
    fn states(&self) -> Vec<Vec<ProcState>> {
        self.actors.iter().map(Actor::states).collect()
    }

    fn actor(&mut self, name: &str) -> &mut Actor {
        self.actors.iter_mut().find(|actor| actor.name == name).expect("the scene has been checked: an actor starts before it acts")
    }

    /// "server is blocked in recvfrom, client has ended with 0"
    fn describe(&self) -> String {
        let describe = |actor: &Actor| match (actor.end(), actor.states().first()) {
            (Some(end), _) => format!("{} has ended with {}", actor.name, end_name(end)),
            (None, Some(state)) => format!("{} is {}", actor.name, state.describe()),
            (None, None) => format!("{} is gone", actor.name),
        };
        self.actors.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    /// Where the scene and the programs differ: the step that failed against what happened, after some of those
    /// before it.
    fn mismatch(&mut self, scene: &Scene, index: usize, why: &str) -> Result<String> {
        // A program that does not come to rest may never do so.
        self.comes_to_rest(LENIENCE)?;
        let failed = &scene.steps[index];
        let mut out = format!("scene {} differs at {}: {why}\n--- the scene\n+++ what happened\n", scene.name, scene.at(failed));
        out.extend(scene.steps[index.saturating_sub(CONTEXT)..index].iter().map(|step| format!(" {step}\n")));
        let is_done = self.actors.iter().any(|actor| actor.name == failed.actor) && failed.action.is_by_a_person();
        out += &format!("{}{failed}\n", if is_done { ' ' } else { '-' });
        for actor in &mut self.actors {
            let name = actor.name.clone();
            for line in std::iter::from_fn(|| actor.next_line()).take(SHOWN) {
                out += &format!("+{name:<7} > {}\n", scene::notation(&line));
            }
            match actor.screen.as_slice() {
                [] => {}
                rest if rest.contains(&b'\n') => out += &format!("+{name:<7} > ... and {} bytes more\n", rest.len()),
                rest => out += &format!("+{name:<7} > {}\n", scene::notation(rest)),
            }
            if let Some(end) = actor.end() {
                out += &format!("+{name:<7} = {}\n", end_name(end));
            }
        }
        Ok(out)
    }
}
