//! Plays a scene: lets each of its steps happen in turn, and says where the programs did otherwise.
//!
//! Nothing here sleeps for a guessed time. Before someone types or starts something, every program
//! is at rest: asleep, and not having run between two looks. Each wait has a limit.

use std::env;
use std::error::Error;
use std::fmt::{self, Display};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use similar::TextDiff;

use crate::actor::{Actor, Pulse, end_name};
use crate::memory::Tool;
use crate::numbers::Numbers;
use crate::programs;
use crate::scene::{self, Action, Scene, Step, Text};
use crate::signals;
use crate::sockets::{self, Row, Socket};
use crate::stage::TRACE_FOLDER;
use crate::strace;
use crate::trace;

/// How long between two looks at programs of which we await something, in milliseconds.
const BREATH: u8 = 1;

/// Told of each step: before it if a person does it, after it if a program does.
pub trait Audience {
    fn step(&mut self, step: &Step);

    /// Told what became of a program that need not do what the scene says; `who` is its actor, with
    /// a number from its second start on.
    fn end(&mut self, _who: &str, _outcome: &Outcome) {}
}

/// An audience that wants no show.
impl Audience for () {
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
    /// Whether to run the programs under strace.
    pub trace: bool,
    /// What watches the programs' memory, in place of strace.
    pub memory: Option<Tool>,
    /// The actors that play the C programs, from [`C_FOLDER`].
    pub c: Vec<String>,
    /// What strace makes fail in a program: its actor, with a number from its second start on, and
    /// options such as `inject=bind:error=EACCES:when=1`.
    pub inject: Option<(String, Vec<String>)>,
    /// Whether the programs need not do what the scene says, as C programs where it shows a fix. A
    /// program that goes on where it should end is killed.
    pub lenient: bool,
    /// How long programs that need not do what the scene says may take to come to rest.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { limit: Duration::from_secs(10), stdout: Stdout::Terminal, trace: false, memory: None, c: Vec::new(), inject: None, lenient: false, patience: Duration::from_secs(1) }
    }
}

/// What kind of file the programs' standard output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stdout {
    Terminal,
    Pipe,
    File,
}

/// The folder of the C programs in the working folder, which itself holds the ports.
pub const C_FOLDER: &str = "c";

/// A program of ours that was run under strace, or with its memory watched.
pub struct Run {
    /// The actor, with a number from its second start on.
    pub who: String,
    pub actor: String,
    /// Which start of that actor, from 1.
    pub nth: usize,
    pub program: String,
    /// Where the tracer or watcher wrote: one file for each process, with its number behind a dot.
    pub log: PathBuf,
}

/// What became of a program that need not do what the scene says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it had ended when the scene came to its end; not at all, if it was blocked or running.
    pub end: Option<ExitStatus>,
    /// Whether it was blocked, if it had not ended.
    pub waits: bool,
    /// The system call that it was blocked in, if a scene can name it.
    pub call: Option<&'static str>,
    /// Whether a Ctrl-C was typed before it had ended, and if so, whether it was blocked then.
    pub interrupted: Option<bool>,
    /// The lines that it wrote on its terminal.
    pub lines: Vec<String>,
}

/// The error of a scene that went otherwise, with what was seen of the programs a moment later.
#[derive(Debug)]
pub struct Otherwise {
    /// The step, what was wrong with it, and the difference between the scene and what happened.
    text: String,
    /// Whether the step came to the end of its time.
    pub late: bool,
    /// Whether the program of the step waited for what is typed then.
    pub awaits_keys: bool,
    /// Whether all programs came to rest.
    pub at_rest: bool,
    /// Whether a signal had ended one, and the scene does not say so.
    pub killed: bool,
}

impl Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Otherwise {}

/// How long programs that do not do what the scene says may take to come to rest.
const LENIENCE: Duration = Duration::from_secs(1);

/// How many lines of a program are shown, of those that the scene does not have.
const SHOWN: usize = 100;

/// Plays `scene` in the working folder, which holds its programs; tells what was run under strace.
///
/// # Errors
///
/// If a program does something other than the scene says, or nothing for the time limit: the error
/// is an [`Otherwise`], which says where, and shows the difference between the scene and what
/// happened. If a signal has asked us to end.
pub fn play(scene: &Scene, options: &Options, audience: &mut dyn Audience) -> Result<Vec<Run>> {
    let mut cast = Cast { actors: Vec::new(), starts: Vec::new(), runs: Vec::new(), line: None, outcome: None, numbers: Numbers::default(), late: false, options };
    for (index, step) in scene.steps.iter().enumerate() {
        if step.action.is_by_a_person() {
            cast.settle().and_then(|()| {
                audience.step(step);
                signals::check()?;
                cast.act(step)
            })
        } else {
            cast.act(step).map(|()| match cast.line.take() {
                Some(line) => audience.step(&step.with_line(&line)),
                None => audience.step(step),
            })
        }
        .map_err(|error| cast.otherwise(scene, index, &error))
        .with_context(|| format!("scene {} went otherwise", scene.name))?;
        if let Some((who, outcome)) = cast.outcome.take() {
            audience.end(&who, &outcome);
        }
    }
    Ok(cast.runs)
}

/// The actors whose end the scene has not come to yet.
struct Cast<'a> {
    actors: Vec<Actor>,
    /// The name of an actor for each start.
    starts: Vec<String>,
    numbers: Numbers,
    runs: Vec<Run>,
    /// The line that the step expected, as it was.
    line: Option<Vec<u8>>,
    /// What became of the program whose end the step expected.
    outcome: Option<(String, Outcome)>,
    /// Whether a wait came to its limit.
    late: bool,
    options: &'a Options,
}

impl Cast<'_> {
    fn act(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Start(command) => self.start(&step.actor, command),
            Action::Type(text) => {
                let filled = self.numbers.fill(text.notation());
                self.type_keys(&step.actor, |actor| {
                    let line = if actor.in_notation { filled.into() } else { text.expand() };
                    actor.type_keys(&[line.as_slice(), b"\n"].concat())
                })
            }
            Action::Interrupt => self.type_keys(&step.actor, Actor::interrupt),
            Action::EndOfInput => self.type_keys(&step.actor, |actor| actor.type_keys(b"\x04")),
            Action::Suspend => self.suspend(&step.actor),
            Action::Resume if self.options.lenient && self.actor(&step.actor).end().is_some() => Ok(()),
            Action::Resume => self.actor(&step.actor).resume(),
            Action::Expect(text) => self.expect(&step.actor, text),
            Action::Blocked(call) => self.expect_blocked(&step.actor, call),
            Action::Socket(row) => self.expect_socket(&step.actor, row),
            Action::End(end) => self.expect_end(&step.actor, end),
            Action::Part(_) => Ok(()),
        }
    }

    fn start(&mut self, name: &str, command: &scene::Command) -> Result<()> {
        // A program of ours lies in the working folder; any other is looked for as a shell does.
        let folder = if self.options.c.iter().any(|actor| actor == name) { format!("./{C_FOLDER}") } else { ".".to_owned() };
        let path = |word: &String| match word.as_str() {
            "lab" => format!("/proc/{}/exe", process::id()),
            _ if programs::find(word).is_some() => format!("{folder}/{word}"),
            _ => self.numbers.fill(word),
        };
        let mut words: Vec<String> = command.words.iter().map(path).collect();
        self.starts.push(name.to_owned());
        if (self.options.trace || self.options.memory.is_some())
            && let Some(program) = command.words.iter().find_map(|word| programs::find(word))
        {
            let (who, nth) = self.who(name);
            let log = Path::new(TRACE_FOLDER).join(format!("{name}-{nth}"));
            let injections = self.options.inject.as_ref().filter(|(of, _)| *of == who).map_or(&[] as &[String], |(_, injections)| injections);
            words = match self.options.memory {
                Some(tool) => tool.wrap(&words, &log),
                None => strace::wrap(&words, injections, &log),
            };
            self.runs.push(Run { who, actor: name.to_owned(), nth, program: program.name.to_owned(), log });
        }
        let mut process = Command::new(&words[0]);
        process.args(&words[1..]).env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        let mut actor = Actor::start(name, process, command.user.as_deref(), self.options.stdout, &command.redirections)?;
        actor.in_notation = command.is_in_notation();
        self.actors.push(actor);
        Ok(())
    }

    /// The actor, with a number from its second start on, and which start that is.
    fn who(&self, name: &str) -> (String, usize) {
        let nth = self.starts.iter().filter(|start| *start == name).count();
        (if nth == 1 { name.to_owned() } else { format!("{name} {nth}") }, nth)
    }

    fn type_keys(&mut self, name: &str, keys: impl FnOnce(&mut Actor) -> Result<()>) -> Result<()> {
        let before = self.actor(name).pulses();
        if self.options.lenient && before.is_empty() {
            // It has ended before its time, and nobody can type at it.
            return Ok(());
        }
        keys(self.actor(name))?;
        // Keys reach a program some time after they are typed. One that waits for them, or that is
        // interrupted, must have run before anyone can say again that all is at rest.
        if self.actor(name).is_interrupted() || before.iter().any(Pulse::awaits_keys) {
            self.wait(|cast| {
                let actor = cast.actor(name);
                Ok((actor.end().is_some() || actor.pulses() != before).then_some(()))
            })
            .with_context(|| format!("{name} took no notice of the keys"))?;
        }
        Ok(())
    }

    fn suspend(&mut self, name: &str) -> Result<()> {
        if self.options.lenient && self.actor(name).end().is_some() {
            // It has ended before its time.
            return Ok(());
        }
        self.actor(name).suspend()?;
        self.wait(|cast| {
            let actor = cast.actor(name);
            let stopped = actor.pulses().iter().all(Pulse::is_stopped);
            // Every call stops a program under strace for a moment; this stop strace tells of.
            let pid = actor.pid();
            let told = match cast.runs.iter().rfind(|run| run.actor == name) {
                Some(run) if cast.options.trace => trace::tells_of_stop(&run.log, pid),
                _ => true,
            };
            Ok((stopped && told).then_some(()))
        })
        .with_context(|| format!("{name} did not stop"))
    }

    fn expect(&mut self, name: &str, text: &Text) -> Result<()> {
        if self.options.lenient || self.options.stdout != Stdout::Terminal {
            return Ok(());
        }
        let line = self.wait(|cast| {
            let actor = cast.actor(name);
            Ok(match actor.next_line() {
                Some(line) => Some(Some(line)),
                None => actor.end().map(|_| None),
            })
        });
        match line {
            Ok(Some(line)) if text.matches(&line, &mut self.numbers) => {
                self.line = Some(line);
                Ok(())
            }
            Ok(Some(line)) => {
                self.actor(name).put_back(&line);
                bail!("{name} wrote another line")
            }
            Ok(None) => bail!("{name} ended without this line"),
            Err(error) => Err(error.context(format!("{name} did not write this line"))),
        }
    }

    fn expect_blocked(&mut self, name: &str, call: &str) -> Result<()> {
        if self.options.lenient {
            return Ok(());
        }
        self.wait(|cast| {
            let first = cast.pulses();
            if !cast.actor(name).pulses().iter().any(|pulse| pulse.is_in(call)) {
                return Ok(None);
            }
            cast.pump()?;
            Ok((cast.pulses() == first).then_some(()))
        })
        .with_context(|| format!("{name} is not blocked in {call}"))
    }

    fn expect_socket(&mut self, name: &str, row: &Row) -> Result<()> {
        if self.options.lenient {
            return Ok(());
        }
        let mut sockets = Vec::new();
        self.wait(|cast| {
            sockets = cast.actor(name).pulses().iter().filter_map(|pulse| sockets::of(pulse.pid()).ok()).flatten().collect();
            Ok(row.is_true(&sockets, &mut cast.numbers).then_some(()))
        })
        .with_context(|| {
            let there: Vec<String> = sockets.iter().map(Socket::to_string).collect();
            format!("{name} has no such socket, but {}", if there.is_empty() { "none at all".to_owned() } else { there.join("; ") })
        })
    }

    fn expect_end(&mut self, name: &str, end: &str) -> Result<()> {
        if self.options.lenient {
            self.settle()?;
            let (who, _) = self.who(name);
            let actor = self.actor(name);
            let call = actor.pulses().iter().find_map(Pulse::call);
            self.outcome = Some((who, Outcome { end: actor.end(), waits: actor.is_at_rest(), call, interrupted: actor.interrupted_at_rest(), lines: actor.all_lines() }));
            self.actors.retain(|actor| actor.name != name);
            return Ok(());
        }
        let actual = self.wait(|cast| Ok(cast.actor(name).end())).with_context(|| format!("{name} did not end"))?;
        let compares = self.options.stdout == Stdout::Terminal;
        let actor = self.actor(name);
        if compares && let Some(line) = actor.next_line() {
            actor.put_back(&line);
            bail!("{name} wrote more before it ended");
        }
        if end_name(actual) != end {
            bail!("{name} ended otherwise");
        }
        self.actors.retain(|actor| actor.name != name);
        Ok(())
    }

    /// Waits until every program is at rest: asleep or stopped in two looks, not having run between.
    fn settle(&mut self) -> Result<()> {
        let lenience = self.options.lenient.then_some(self.options.patience);
        self.comes_to_rest(lenience).map(drop).context("the programs do not come to rest")
    }

    /// Whether every program comes to rest: within the limit, else it is an error, or in this time.
    fn comes_to_rest(&mut self, lenience: Option<Duration>) -> Result<bool> {
        let mut before = None;
        let start = Instant::now();
        self.wait(|cast| {
            let now = (cast.actors.iter().all(Actor::is_at_rest), cast.pulses());
            let at_rest = now.0 && before.as_ref() == Some(&now);
            before = Some(now);
            let never_mind = lenience.is_some_and(|lenience| start.elapsed() > lenience);
            Ok((at_rest || never_mind).then_some(at_rest))
        })
    }

    /// Looks at everyone again and again until `done` has a value, but not for longer than the limit.
    fn wait<T>(&mut self, mut done: impl FnMut(&mut Self) -> Result<Option<T>>) -> Result<T> {
        let start = Instant::now();
        loop {
            signals::check()?;
            for actor in &mut self.actors {
                actor.look()?;
            }
            if let Some(value) = done(self)? {
                return Ok(value);
            }
            if start.elapsed() > self.options.limit {
                self.late = true;
                bail!("time-out after {} s; {}", self.options.limit.as_secs(), self.describe());
            }
            self.pump()?;
        }
    }

    /// Lets time pass until a program writes something, a breath at the most; takes in what it wrote.
    fn pump(&mut self) -> Result<()> {
        let mut fds: Vec<PollFd> = self.actors.iter().filter_map(Actor::terminal).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::from(BREATH)) {
            // A signal has come, and is seen to before the next breath.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("cannot wait for the programs"),
        }
        drop(fds);
        for actor in &mut self.actors {
            actor.look()?;
        }
        Ok(())
    }

    fn pulses(&self) -> Vec<Pulse> {
        self.actors.iter().filter(|actor| actor.end().is_none()).flat_map(Actor::pulses).collect()
    }

    fn actor(&mut self, name: &str) -> &mut Actor {
        self.actors.iter_mut().find(|actor| actor.name == name).expect("the scene has been checked: an actor starts before it acts")
    }

    /// "server is blocked in recvfrom, client has ended with 0"
    fn describe(&self) -> String {
        let describe = |actor: &Actor| match (actor.end(), actor.pulses().first()) {
            (Some(end), _) => format!("{} has ended with {}", actor.name, end_name(end)),
            (None, Some(pulse)) => format!("{} is {}", actor.name, pulse.describe()),
            (None, None) => format!("{} is gone", actor.name),
        };
        self.actors.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    /// The error of the step of this index, and of what the programs do after it.
    fn otherwise(&mut self, scene: &Scene, index: usize, error: &anyhow::Error) -> Otherwise {
        let (step, late) = (&scene.steps[index], self.late);
        // One that does not come to rest may do so without end.
        let at_rest = self.comes_to_rest(Some(LENIENCE)).unwrap_or(false);
        let is_said = |actor: &Actor, end: ExitStatus| {
            let said = scene.steps[index..].iter().filter(|step| step.actor == actor.name).find_map(|step| match &step.action {
                Action::End(end) => Some(end),
                _ => None,
            });
            said.is_some_and(|said| *said == end_name(end))
        };
        let awaits_keys = self.actors.iter().any(|actor| actor.name == step.actor && actor.pulses().iter().any(Pulse::awaits_keys));
        let killed = self.actors.iter().any(|actor| actor.end().is_some_and(|end| end.signal().is_some() && !is_said(actor, end)));
        let text = format!("{}: {error:#}\n{}", scene.at(step), self.difference(&scene.steps[..=index]));
        Otherwise { text, late, awaits_keys, at_rest, killed }
    }

    /// The scene up to its last step here, which failed, against what happened: a diff.
    fn difference(&mut self, steps: &[Step]) -> String {
        let transcript = |steps: &[Step]| steps.iter().map(|step| format!("{step}\n")).collect::<String>();
        let (failed, done) = steps.split_last().expect("some step failed");
        let mut happened = transcript(done);
        if self.actors.iter().any(|actor| actor.name == failed.actor) && failed.action.is_by_a_person() {
            happened += &transcript(std::slice::from_ref(failed));
        }
        for actor in &mut self.actors {
            let name = actor.name.clone();
            for line in std::iter::from_fn(|| actor.next_line()).take(SHOWN) {
                happened += &format!("{name:<7} > {}\n", scene::notation(&line));
            }
            match actor.screen() {
                [] => {}
                rest if rest.contains(&b'\n') => happened += &format!("{name:<7} > ... and {} bytes more\n", rest.len()),
                rest => happened += &format!("{name:<7} > {}\n", scene::notation(rest)),
            }
            if let Some(end) = actor.end() {
                happened += &format!("{name:<7} = {}\n", end_name(end));
            }
        }
        let expected = transcript(steps);
        TextDiff::from_lines(&expected, &happened).unified_diff().context_radius(4).header("the scene", "what happened").to_string()
    }
}
