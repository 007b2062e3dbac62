//! Sessions: what people may do at the terminals of a server and its clients, drawn at random. Only what
//! they do is drawn; the programs come to rest between two steps. With the C programs, a session must
//! look the same in C: each terminal, and each trace from execve on. Without them nobody may crash, loop
//! or ignore ^C, and an honest client is served at the end as if nothing had happened.

use std::cell::{Cell, RefCell};
use std::path::Path;

use anyhow::{Context, Result, bail};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::verdict::{self, Kind, Players, Side, Start, Verdict, Watch, terminal};
use lab::compare;
use lab::scene::{self, Divergence, Scene, notation};
use lab::signals;
use lab::trace::is_call;

/// How many clients' terminals a session has.
const CLIENTS: usize = 3;

/// How many acts a session has at most.
const ACTS: usize = 14;

/// How many bytes a terminal holds for a program that does not read, with room for ^D and ^C.
const HELD: usize = 4093;

/// How many smaller sessions are tried in search of the smallest that goes wrong.
const SHRINKS: u32 = 200;

/// A server and the clients that go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Family {
    Udp,
    Connected,
    Stream,
    Dgram,
    Upper,
    Hello,
}

/// Who goes with a server, as commands, and the longest line for which the C programs' behaviour is
/// defined; a terminal takes 4095 characters.
struct Cast {
    server: &'static str,
    clients: &'static [&'static str],
    longest: usize,
}

const UDP_CLIENTS: &[&str] = &["udpclient 127.0.0.1", "udpconnectclient 127.0.0.1", "udpconnectclient02 127.0.0.1"];

impl Family {
    pub const ALL: [Family; 6] = [Family::Udp, Family::Connected, Family::Stream, Family::Dgram, Family::Upper, Family::Hello];

    fn cast(self) -> Cast {
        match self {
            Family::Udp => Cast { server: "udpserver", clients: UDP_CLIENTS, longest: 4091 },
            Family::Connected => Cast { server: "udpconnectserver", clients: UDP_CLIENTS, longest: 4091 },
            Family::Stream => Cast { server: "unixstreamserver unixstream.sock", clients: &["unixstreamclient unixstream.sock"], longest: 4090 },
            Family::Dgram => Cast { server: "unixdataserver unixdata.sock", clients: &["unixdataclient unixdata.sock"], longest: 4091 },
            Family::Upper => Cast { server: "upperserver", clients: &["upperclient"], longest: 1022 },
            Family::Hello => Cast { server: "udp20_server", clients: &["udp10_client"], longest: 1022 },
        }
    }

    /// The names of its programs.
    pub fn programs(self) -> Vec<&'static str> {
        let cast = self.cast();
        cast.clients.iter().chain([&cast.server]).filter_map(|command| command.split(' ').next()).collect()
    }
}

/// What is done at a terminal, by number; what is impossible then, such as to type at a program that is
/// not there, is passed over.
#[derive(Debug, Clone)]
enum Act {
    /// Starts the server (again), or a client that does not run: this one of the family's.
    Start(usize),
    Type(String),
    EndOfInput,
    Interrupt,
    /// ^Z: clients write to a server that does not read. A client goes on at once.
    Suspend,
    /// fg, after that.
    Resume,
}

const SERVER: usize = CLIENTS;
const HONEST: usize = CLIENTS + 1;
const NAMES: [&str; CLIENTS + 2] = ["client1", "client2", "client3", "server", "honest"];

/// The scene in the making.
#[derive(Default)]
struct Script {
    text: String,
    /// Who has been started and not waited for.
    started: [bool; CLIENTS + 2],
    /// How much was typed at each that may not have read it: all but the first line, which it waits for.
    unread: [Option<usize>; CLIENTS + 2],
    held: bool,
    /// Who has typed since the server was held: each types one line, or two would go on at once after fg.
    waiting: [bool; CLIENTS + 2],
    /// Whether one client comes at a time.
    one_at_a_time: bool,
    /// Whether the server is never held.
    reads_at_once: bool,
}

impl Script {
    fn step(&mut self, who: usize, step: &str) {
        if self.started[who] {
            self.text += &format!("{:<7} {step}\n", NAMES[who]);
        }
    }

    /// ^C, unless it has ended; the scene's end status is not looked at.
    fn end(&mut self, who: usize) {
        self.step(who, "^C");
        self.step(who, "= SIGINT");
        self.started[who] = false;
    }

    fn act(&mut self, cast: &Cast, who: usize, act: &Act) {
        if who == SERVER && std::mem::take(&mut self.held) {
            self.step(SERVER, "$ fg");
            self.waiting = Default::default();
        }
        match act {
            Act::Start(program) => {
                let (command, is_full) = match who {
                    SERVER => (cast.server, false),
                    _ => (cast.clients[program % cast.clients.len()], self.started[who] || self.one_at_a_time && self.started[..CLIENTS].contains(&true)),
                };
                if is_full {
                    return;
                }
                self.end(who);
                self.started[who] = true;
                // udp10_client reads nothing.
                self.unread[who] = (command == "udp10_client").then_some(0);
                self.step(who, &format!("$ {command}"));
            }
            Act::Type(line) => {
                let unread = self.unread[who].map_or(0, |unread| unread + line.len() + 1);
                if who != SERVER && unread < HELD && !self.waiting[who] {
                    self.unread[who] = Some(unread);
                    self.waiting[who] = self.held;
                    self.step(who, &format!("< {}", notation(line.as_bytes())));
                }
            }
            Act::EndOfInput if who != SERVER => {
                self.step(who, "^D");
                self.end(who);
            }
            Act::EndOfInput | Act::Interrupt => self.end(who),
            Act::Suspend if who != SERVER => {
                self.step(who, "^Z");
                self.step(who, "$ fg");
            }
            Act::Suspend if self.started[SERVER] && !self.reads_at_once => {
                self.step(SERVER, "^Z");
                self.held = true;
            }
            Act::Suspend | Act::Resume => {}
        }
    }
}

/// The session as the text of a scene. It ends with an honest client and a server of its own. In C, who
/// has a connection does not notice its errors; so if the session must be `defined` in C, there are none:
/// a stream server has one client, which it accepts, and no client leaves before its answer.
fn text(family: Family, acts: &[(usize, Act)], defined: bool) -> String {
    let one_at_a_time = defined && matches!(family, Family::Stream | Family::Upper);
    let reads_at_once = one_at_a_time || defined && family == Family::Connected;
    let (cast, mut script) = (family.cast(), Script { one_at_a_time, reads_at_once, ..Script::default() });
    let first = [(SERVER, Act::Start(0)), (0, Act::Start(0))];
    let rest = [(SERVER, Act::Resume)].into_iter().chain((0..CLIENTS).map(|client| (client, Act::EndOfInput)));
    let honest = [(SERVER, Act::Start(0)), (HONEST, Act::Start(0)), (HONEST, Act::Type("g1".to_owned())), (HONEST, Act::EndOfInput), (SERVER, Act::Interrupt)];
    first.into_iter().chain(acts.iter().cloned()).chain(rest).chain(honest).for_each(|(who, act)| script.act(&cast, who, &act));
    format!("```scene session\n{}```\n", script.text)
}

fn scene(text: &str) -> Result<Scene> {
    scene::parse("sessions", Path::new("session"), text)?.pop().context("a session is a scene")
}

/// What was played.
#[derive(Debug, Clone, Copy, Default)]
pub struct Played {
    pub sessions: usize,
    pub steps: usize,
    /// The calls that were the same in C.
    pub calls: usize,
}

/// Draws `count` sessions from `seed` and plays each; `progress` is told of each.
pub fn run(family: Family, count: u32, seed: u64, players: &Players, mut progress: impl FnMut(Played)) -> Result<Played> {
    let honest = honest(&players.play(&scene(&text(family, &[], true))?, Side::Ports, Watch::Strace(None))?);
    draw(family, count, seed, players.builds.c.is_some(), |scene| try_one(family, scene, players, &honest), &mut progress)
}

fn draw(family: Family, count: u32, seed: u64, defined: bool, play: impl Fn(&Scene) -> Result<(Option<Verdict>, usize)>, progress: &mut dyn FnMut(Played)) -> Result<Played> {
    let (played, progress) = (Cell::new(Played::default()), RefCell::new(progress));
    let config = Config { cases: count, max_shrink_iters: SHRINKS, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&acts(family, defined), |acts| {
        if signals::noted().is_some() {
            return Ok(());
        }
        let one = || -> Result<(Option<Verdict>, Played)> {
            let scene = scene(&text(family, &acts, defined))?;
            let (verdict, calls) = play(&scene)?;
            Ok((verdict, Played { sessions: 1, steps: scene.steps.len(), calls }))
        };
        let (verdict, one) = one().map_err(|error| TestCaseError::fail(format!("cannot be played: {error:#}")))?;
        if let Some(verdict) = verdict {
            return Err(TestCaseError::fail(verdict.to_string()));
        }
        let sum = played.get();
        played.set(Played { sessions: sum.sessions + 1, steps: sum.steps + one.steps, calls: sum.calls + one.calls });
        progress.borrow_mut()(played.get());
        Ok(())
    });
    signals::check()?;
    match outcome {
        Ok(()) => Ok(played.get()),
        Err(TestError::Fail(reason, acts)) => bail!("{reason}\nThe smallest session found that goes wrong (seed {seed}):\n\n{}", text(family, &acts, defined)),
        Err(TestError::Abort(reason)) => bail!("no session can be drawn: {reason}"),
    }
}

/// Plays a session; what is wrong with it, and how many calls were the same in C.
fn try_one(family: Family, scene: &Scene, players: &Players, honest_alone: &[String]) -> Result<(Option<Verdict>, usize)> {
    let here = players.play(scene, Side::Ports, Watch::Strace(None))?;
    let verdict = here.iter().find_map(|start| invariants(family, start)).or_else(|| {
        let honest = honest(&here);
        (honest != honest_alone).then(|| Verdict::new(Kind::Wrong, format!("the honest client and its server are {honest:?}, and were {honest_alone:?} alone")))
    });
    if verdict.is_some() || players.builds.c.is_none() {
        return Ok((verdict, 0));
    }
    let in_c = players.play(scene, Side::C, Watch::Strace(None))?;
    let verdict = in_c.iter().zip(&here).find_map(|(c, port)| difference(c, port));
    Ok((verdict, here.iter().flat_map(|start| &start.traces).flat_map(|trace| &trace.lines).filter(|line| is_call(line)).count()))
}

/// What is wrong with a start, whatever the session.
fn invariants(family: Family, start: &Start) -> Option<Verdict> {
    let named = |verdict: Verdict| Verdict { why: format!("{}: {}", start.who, verdict.why), ..verdict };
    // Kept as in C: who writes to a stream whose other end is gone ends by SIGPIPE.
    if matches!(family, Family::Stream | Family::Upper) && verdict::end(start) == "SIGPIPE" {
        return None;
    }
    let hangs = || start.end.is_none().then(|| Verdict::new(Kind::Hangs, "^C does not end it"));
    verdict::judge(start, &verdict::stderr_of(start)).or_else(hangs).map(named)
}

/// What the honest client and its server, the last two to end, have on their terminals.
fn honest(starts: &[Start]) -> Vec<String> {
    starts[starts.len().saturating_sub(2)..].iter().flat_map(terminal).collect()
}

/// How a start in C and one of the port differ.
fn difference(c: &Start, port: &Start) -> Option<Verdict> {
    let program = port.program.unwrap_or_default();
    let wrong = |why: String| Some(Verdict::new(Kind::Wrong, format!("{} ({program}): {why}", port.who)));
    if (&c.who, terminal(c)) != (&port.who, terminal(port)) {
        return wrong(format!("on the terminal of {} in C {:?}, here {:?}", c.who, terminal(c), terminal(port)));
    }
    if c.traces.len() != port.traces.len() {
        return wrong("not as many processes as in C".to_owned());
    }
    c.traces.iter().zip(&port.traces).find_map(|(c, port)| {
        // Its fix: C passes the length of the address before.
        let fixed = Divergence::Defined { differs: vec!["recvfrom".to_owned()], then: None };
        let difference = compare::judge(&c.lines, &port.lines, None)?;
        if program == "unixdataserver" && compare::judge(&c.lines, &port.lines, Some(&fixed)).is_none() { None } else { wrong(difference) }
    })
}

/// The acts of a session; if `defined`, only what is defined in C, and the same in the fixed port.
fn acts(family: Family, defined: bool) -> impl Strategy<Value = Vec<(usize, Act)>> {
    let client = || 0..CLIENTS;
    let act = prop_oneof![
        4 => (client(), (0..family.cast().clients.len()).prop_map(Act::Start)),
        8 => (client(), lines(family, defined).prop_map(Act::Type)),
        3 => (client(), prop_oneof![Just(Act::EndOfInput), Just(Act::Interrupt), Just(Act::Suspend)]),
        4 => (Just(SERVER), prop_oneof![Just(Act::Start(0)), Just(Act::Interrupt), Just(Act::Suspend), Just(Act::Resume)]),
    ];
    vec(act, 1..ACTS).prop_map(move |mut acts| {
        if defined && family == Family::Connected {
            one_length(&mut acts);
        }
        acts
    })
}

/// In C udpconnectserver ends its first message with a NUL and no other: after a longer message a shorter
/// one keeps its tail. So all its messages have one length here.
fn one_length(acts: &mut [(usize, Act)]) {
    let longest = acts.iter().map(|(_, act)| if let Act::Type(line) = act { line.len() } else { 2 }).max().unwrap_or(0);
    for (_, act) in acts {
        if let Act::Type(line) = act {
            line.extend((line.len()..longest).map(|_| 'x'));
        }
    }
}

/// Lines to type: words, and runs of one character of the lengths at which buffers end.
fn lines(family: Family, defined: bool) -> impl Strategy<Value = String> {
    let longest = if defined { family.cast().longest } else { 4095 };
    let word = || {
        vec(prop_oneof![Just('g'), Just('1'), Just(' '), Just('%'), Just('\\'), Just('é'), Just('你'), any::<u8>().prop_map(|byte| char::from(b'a' + byte % 26))], 0..12).prop_map(String::from_iter)
    };
    let near = move |edge: usize| (0..8_usize).prop_map(move |below| "x".repeat((edge + 2).saturating_sub(below).min(longest)));
    let nul = u32::from(!defined);
    prop_oneof![
        8 => word(),
        1 => Just("goodbye".to_owned()),
        2 => near(longest),
        1 => near(1023),
        1 => (0..=longest).prop_map(|len| "x".repeat(len)),
        nul => (word(), word()).prop_map(|(before, after)| format!("{before}\0{after}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_goes_wrong_is_made_smaller() {
        let is_wrong = |scene: &Scene| scene.steps.iter().any(|step| step.to_string().contains("< goodbye"));
        let play = |scene: &Scene| Ok((is_wrong(scene).then(|| Verdict::new(Kind::Hangs, "because")), 0));
        let error = draw(Family::Udp, 100, 1, true, play, &mut |_| {}).unwrap_err().to_string();
        assert!(error.starts_with("hangs: because"), "{error}");
        assert_eq!(error.matches(" < ").count(), 2, "one line and the honest one: {error}");
    }

    #[test]
    fn what_is_typed_at_programs_that_are_not_there_is_passed_over() {
        let acts = [(SERVER, Act::Interrupt), (SERVER, Act::Suspend), (SERVER, Act::Resume), (1, Act::Type("g1".into())), (0, Act::Start(0))];
        let text = text(Family::Upper, &acts, true);
        assert!(!text.contains("client2") && !text.contains("^Z") && !text.contains("fg"), "{text}");
        assert!(scene(&text).is_ok(), "{text}");
    }
}
