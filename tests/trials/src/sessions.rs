//! Sessions: what people may do at the terminals of a server and its clients, drawn at random. Only what
//! they do is drawn; the programs come to rest between two steps. With the C programs, a session must
//! look the same in C: each terminal, and each trace from execve on. Without them nobody may crash, loop
//! or ignore ^C, and an honest client is served at the end as if nothing had happened.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fastrand::Rng;

use crate::verdict::{self, Kind, Players, Side, Start, Verdict, Watch, terminal};
use lab::compare;
use lab::scene::{self, Divergence, Scene, expand, notation};
use lab::signals;
use lab::trace::is_call;

/// How many clients' terminals a session has.
const CLIENTS: usize = 3;

/// A server and the clients that go with it, as commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    server: &'static str,
    clients: &'static [&'static str],
    /// The longest line for which the C programs' behaviour is defined; a terminal takes 4095 characters.
    longest: usize,
    /// Where a client's end may be a SIGPIPE of the other side's, as in C.
    is_stream: bool,
}

const UDP_CLIENTS: &[&str] = &["udpclient 127.0.0.1", "udpconnectclient 127.0.0.1", "udpconnectclient02 127.0.0.1"];

pub const FAMILIES: [Family; 6] = [
    Family { server: "udpserver", clients: UDP_CLIENTS, longest: 4091, is_stream: false },
    Family { server: "udpconnectserver", clients: UDP_CLIENTS, longest: 4091, is_stream: false },
    Family { server: "unixstreamserver unixstream.sock", clients: &["unixstreamclient unixstream.sock"], longest: 4090, is_stream: true },
    Family { server: "unixdataserver unixdata.sock", clients: &["unixdataclient unixdata.sock"], longest: 4091, is_stream: false },
    Family { server: "upperserver", clients: &["upperclient"], longest: 1022, is_stream: true },
    Family { server: "udp20_server", clients: &["udp10_client"], longest: 1022, is_stream: false },
];

impl Family {
    /// The names of its programs, the server's first.
    pub fn programs(&self) -> Vec<&'static str> {
        [&self.server].into_iter().chain(self.clients).filter_map(|command| command.split(' ').next()).collect()
    }

    /// In C this server keeps the end of a longer message, and is told of the errors of its one client.
    fn is_connected(&self) -> bool {
        self.server == "udpconnectserver"
    }
}

/// What is done at whose terminal: a step of a scene. What is impossible then, such as to type at a program
/// that is not there, is passed over. After ^Z a client goes on at once; the server does so when it is next
/// acted on, and until then clients write to one that does not read.
type Act = (usize, String);

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

    fn act(&mut self, who: usize, act: &str) {
        if who == SERVER && std::mem::take(&mut self.held) {
            self.step(SERVER, "$ fg");
            self.waiting = Default::default();
        }
        match act.split_once(' ').unwrap_or((act, "")) {
            ("^D", _) if who != SERVER => {
                self.step(who, "^D");
                self.end(who);
            }
            ("^D" | "^C", _) => self.end(who),
            ("^Z", _) if who != SERVER => {
                self.step(who, "^Z");
                self.step(who, "$ fg");
            }
            ("^Z", _) if self.started[SERVER] && !self.reads_at_once => {
                self.step(SERVER, "^Z");
                self.held = true;
            }
            ("<", line) => {
                let unread = self.unread[who].map_or(0, |unread| unread + expand(line).len() + 1);
                // So many bytes a terminal holds for a program that does not read, with room for ^D and ^C.
                if who != SERVER && unread < 4093 && !self.waiting[who] {
                    self.unread[who] = Some(unread);
                    self.waiting[who] = self.held;
                    self.step(who, act);
                }
            }
            ("$", command) if command != "fg" => {
                if who != SERVER && (self.started[who] || self.one_at_a_time && self.started[..CLIENTS].contains(&true)) {
                    return;
                }
                self.end(who);
                self.started[who] = true;
                // udp10_client reads nothing.
                self.unread[who] = (command == "udp10_client").then_some(0);
                self.step(who, act);
            }
            _ => {}
        }
    }
}

/// The session as the text of a scene. It ends with an honest client and a server of its own. In C, who
/// has a connection does not notice its errors; so if the session must be `defined` in C, there are none:
/// a stream server has one client, which it accepts, and no client leaves before its answer.
fn text(family: &Family, acts: &[Act], defined: bool) -> String {
    let one_at_a_time = defined && family.is_stream;
    let reads_at_once = one_at_a_time || defined && family.is_connected();
    let mut script = Script { one_at_a_time, reads_at_once, ..Script::default() };
    let (server, client) = (format!("$ {}", family.server), format!("$ {}", family.clients[0]));
    let first = [(SERVER, &*server), (0, &*client)];
    let rest = [(SERVER, "$ fg"), (0, "^D"), (1, "^D"), (2, "^D")];
    let honest = [(SERVER, &*server), (HONEST, &*client), (HONEST, "< g1"), (HONEST, "^D"), (SERVER, "^C")];
    let acts = acts.iter().map(|(who, act)| (*who, act.as_str()));
    first.into_iter().chain(acts).chain(rest).chain(honest).for_each(|(who, act)| script.act(who, act));
    format!("```scene session\n{}```\n", script.text)
}

fn scene(text: &str) -> Result<Scene> {
    scene::parse("sessions", Path::new("session"), text)?.pop().context("a session is a scene")
}

/// Draws `count` sessions from `seed` and plays each; how many steps they had, and how many calls were the same in C.
/// An error if one goes wrong: what is wrong, and the smallest session found that does.
pub fn run(family: &Family, count: usize, seed: u64, players: &Players) -> Result<(usize, usize)> {
    let (defined, mut rng) = (players.builds.c.is_some(), Rng::with_seed(seed));
    let honest = honest(&players.play(&scene(&text(family, &[], true))?, Side::Ports, Watch::Strace(None))?);
    let play = |acts: &[Act]| try_one(family, &scene(&text(family, acts, defined))?, players, &honest);
    let (mut steps, mut calls) = (0, 0);
    for number in 1..=count {
        signals::check()?;
        let acts = acts(&mut rng, family, defined);
        let (verdict, same) = play(&acts)?;
        if let Some(verdict) = verdict {
            let (verdict, acts) = shrink(verdict, acts, |acts| Ok(play(acts)?.0))?;
            bail!("{verdict}\nThe smallest session found that goes wrong (seed {seed}):\n\n{}", text(family, &acts, defined));
        }
        steps += scene(&text(family, &acts, defined))?.steps.len();
        calls += same;
        if number % 50 == 0 {
            anstream::eprintln!("{}: {number} of {count} sessions", family.server);
        }
    }
    Ok((steps, calls))
}

/// Leaves out each act without which the session still goes wrong.
fn shrink(mut verdict: Verdict, mut acts: Vec<Act>, play: impl Fn(&[Act]) -> Result<Option<Verdict>>) -> Result<(Verdict, Vec<Act>)> {
    let mut at = acts.len();
    while at > 0 {
        signals::check()?;
        at -= 1;
        let act = acts.remove(at);
        match play(&acts)? {
            // Those behind it may be of no more use now.
            Some(still) => (verdict, at) = (still, acts.len()),
            None => acts.insert(at, act),
        }
    }
    Ok((verdict, acts))
}

/// Plays a session; what is wrong with it, and how many calls were the same in C.
fn try_one(family: &Family, scene: &Scene, players: &Players, honest_alone: &[String]) -> Result<(Option<Verdict>, usize)> {
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
fn invariants(family: &Family, start: &Start) -> Option<Verdict> {
    let hangs = || start.end.is_none().then(|| Verdict::new(Kind::Hangs, "^C does not end it"));
    // Kept as in C: who writes to a stream whose other end is gone ends by SIGPIPE.
    let verdict = verdict::judge(start, &verdict::stderr(start)).filter(|_| !family.is_stream || verdict::end(start) != "SIGPIPE");
    verdict.or_else(hangs).map(|verdict| Verdict::new(verdict.kind, format!("{}: {}", start.who, verdict.why)))
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
        let (c, port) = (c.whole(), port.whole());
        let difference = compare::judge(&c, &port, None)?;
        if program == "unixdataserver" && compare::judge(&c, &port, Some(&fixed)).is_none() { None } else { wrong(difference) }
    })
}

/// The acts of a session; if `defined`, only what is defined in C, and the same in the fixed port.
fn acts(rng: &mut Rng, family: &Family, defined: bool) -> Vec<Act> {
    let act = |rng: &mut Rng| match (rng.usize(..19), rng.usize(..CLIENTS)) {
        (0..4, client) => (client, format!("$ {}", family.clients[rng.usize(..family.clients.len())])),
        (4..12, client) => (client, format!("< {}", notation(line(rng, family, defined).as_bytes()))),
        (12, client) => (client, "^D".to_owned()),
        (13, client) => (client, "^C".to_owned()),
        (14, client) => (client, "^Z".to_owned()),
        (15, _) => (SERVER, format!("$ {}", family.server)),
        (16, _) => (SERVER, "^C".to_owned()),
        (17, _) => (SERVER, "^Z".to_owned()),
        _ => (SERVER, "$ fg".to_owned()),
    };
    let mut acts: Vec<Act> = (0..rng.usize(1..14)).map(|_| act(rng)).collect();
    if defined && family.is_connected() {
        // In C udpconnectserver ends its first message with a NUL and no other: after a longer message a
        // shorter one keeps its tail. So all its messages have one length here.
        let length = |act: &str| act.strip_prefix("< ").map(|line| expand(line).len());
        let longest = acts.iter().filter_map(|(_, act)| length(act)).fold(2, usize::max);
        acts.iter_mut().for_each(|(_, act)| *act += &length(act).map_or(String::new(), |len| format!("{{x*{}}}", longest - len)));
    }
    acts
}

/// A line to type: words, and runs of one character of the lengths at which buffers end.
fn line(rng: &mut Rng, family: &Family, defined: bool) -> String {
    let longest = if defined { family.longest } else { 4095 };
    let near = |rng: &mut Rng, edge: usize| "x".repeat((edge + 2).saturating_sub(rng.usize(..8)).min(longest));
    match rng.usize(..if defined { 13 } else { 14 }) {
        0..8 => word(rng),
        8 => "goodbye".to_owned(),
        9..11 => near(rng, longest),
        11 => near(rng, 1023),
        12 => "x".repeat(rng.usize(..=longest)),
        _ => format!("{}\0{}", word(rng), word(rng)),
    }
}

fn word(rng: &mut Rng) -> String {
    let len = rng.usize(..12);
    (0..len).map(|_| if rng.bool() { rng.lowercase() } else { rng.choice(['g', '1', ' ', '%', '\\', 'é', '你']).unwrap_or('g') }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_goes_wrong_is_made_smaller() {
        // Of the two that start something neither can be left out alone.
        let acts = ["$ a", "< g1", "$ b", "< goodbye", "^C"].map(|act| (0, act.to_owned()));
        let is_wrong = |acts: &[Act]| acts.iter().any(|(_, act)| act == "< goodbye") && acts.iter().filter(|(_, act)| act.starts_with('$')).count() != 1;
        let play = |acts: &[Act]| Ok(is_wrong(acts).then(|| Verdict::new(Kind::Hangs, "because")));
        let (verdict, acts) = shrink(Verdict::new(Kind::Wrong, "at first"), acts.to_vec(), play).unwrap();
        assert_eq!((verdict.kind, acts.len()), (Kind::Hangs, 3), "{acts:?}");
    }
}
