//! What happened in a scene, in order: the steps of everyone, and the arrows between them.
//!
//! All is told by the traces: a call that sends and the call that receives are found by the sockets that
//! they use and by their bytes. `lab diagram` and `lab page` draw this and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::actor::Actor;
use crate::call::Call;
use crate::cast::{Cast, Side};
use crate::player::{Observer, Options, Played, SOCK, Watch, actor_of};
use crate::programs::Builds;
use crate::sandbox::Isolation;
use crate::scene::{self, Action, Redirection, Scene};
use crate::sockets::{self, Socket};
use crate::strace::Stacks;
use crate::trace::{self, Line};

/// A scene as it happened.
#[derive(Debug, Clone, Default)]
pub struct Sequence {
    /// The terminals in the order of their first start, each followed by the processes that its program forked.
    pub columns: Vec<Column>,
    /// In the order in which they happened.
    pub steps: Vec<Step>,
    pub arrows: Vec<Arrow>,
    pub rests: Vec<Rest>,
}

/// A terminal with its program, or a process that it forked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub who: String,
    /// What runs there first: `udpclient`, `lab sock`, `rm`.
    pub program: String,
    /// The column of its terminal: itself, or that of the process that forked it.
    pub terminal: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person types or starts something: the line says what, in a scene's notation.
    Person,
    /// A call; whether it is the program's own, and not the loader's or stdio's.
    Call {
        own: bool,
    },
    Signal,
    End,
    /// A line or the end of a tool that is not traced.
    Tool,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub column: usize,
    pub kind: Kind,
    pub line: Line,
    /// What it wrote to its terminal.
    pub output: Vec<u8>,
    /// The first and the last step of others that happened while it waited in its call.
    pub during: Option<(usize, usize)>,
    /// Whether a person acted while it was in its call, when everyone was at rest: it was blocked.
    pub blocked: bool,
    /// When its call had returned.
    until: u64,
    /// How many steps of a person came before.
    round: usize,
    /// The length of the longest chain of causes.
    depth: usize,
}

/// Bytes or news from one step to another, through the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// The step that caused it; `None` if that is in no trace.
    pub from: Option<usize>,
    /// The step that took it; `None` if nobody did.
    pub to: Option<usize>,
    pub what: What,
    /// Of data.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Connection,
    Data,
    /// The end of a stream: nothing more will come.
    End,
    /// An error that the other side's kernel or its end has caused.
    Refusal,
}

/// The sockets of a terminal's processes while everyone was at rest.
#[derive(Debug, Clone)]
pub struct Rest {
    /// The step before which this was so.
    pub before: usize,
    pub column: usize,
    pub sockets: Vec<Socket>,
}

/// Plays a scene and tells what happened.
/// Fails if it cannot be played, or is not as it is written.
pub fn play(isolation: Isolation, scene: &Scene, builds: &Builds, stacks: Stacks) -> Result<Sequence> {
    let options = Options { watch: Watch::Strace(None), stacks, tools: true, ..Options::default() };
    let mut record = Record::default();
    let played = isolation.play(scene, &Cast::new(scene, builds, Side::Ports), &options, &mut record)?.as_written()?;
    Ok(Sequence::new(&played, &record))
}

/// What was done and seen while a scene was played, with the time in nanoseconds since 1970.
#[derive(Debug, Default)]
struct Record {
    steps: Vec<(u64, scene::Step)>,
    sockets: Vec<(u64, String, Vec<Socket>)>,
}

impl Observer for Record {
    fn step(&mut self, step: &scene::Step) {
        self.steps.push((now(), step.clone()));
    }

    fn at_rest(&mut self, actors: &[Actor]) {
        for actor in actors {
            // A process may have ended.
            let sockets = actor.states().iter().filter_map(|state| sockets::of(state.pid).ok()).flatten().collect();
            self.sockets.push((now(), actor.name.clone(), sockets));
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// The calls that wait for others: they happen when they return. All others happen when they are made.
const WAITING: [&str; 8] = ["accept", "accept4", "poll", "read", "recvfrom", "recvmsg", "wait4", "waitid"];

impl Sequence {
    fn new(played: &Played, record: &Record) -> Sequence {
        let mut columns: Vec<Column> = Vec::new();
        let mut steps: Vec<(u64, Step)> = Vec::new();
        let mut column = |who: &str, program: &str, terminal: Option<usize>| {
            columns.iter().position(|column| column.who == who).unwrap_or_else(|| {
                columns.push(Column { who: who.to_owned(), program: program.to_owned(), terminal: terminal.unwrap_or(columns.len()) });
                columns.len() - 1
            })
        };
        // Of each column, whether what runs there now is traced; since when a column writes to a file.
        let (mut traced, mut to_file): (BTreeMap<usize, bool>, Vec<(u64, usize)>) = Default::default();
        let mut starts = played.starts.iter();
        for (time, step) in &record.steps {
            let start = if let Action::Start(command) = &step.action { starts.next().zip(Some(command)) } else { None };
            let at = column(&step.actor, start.map_or("", |(start, command)| start.program.unwrap_or(&command.words[0])), None);
            if let Some((start, command)) = start {
                traced.insert(at, !start.traces.is_empty());
                if command.redirections.iter().any(|redirection| matches!(redirection, Redirection::To(path) if !path.ends_with("tty"))) {
                    to_file.push((*time, at));
                }
            }
            let kind = match &step.action {
                action if action.is_by_a_person() => Kind::Person,
                Action::Expect(_) | Action::End(_) if !traced[&at] => Kind::Tool,
                _ => continue,
            };
            let output = if let (Kind::Tool, Action::Expect(_)) = (kind, &step.action) { [scene::expand(step.rest()).as_slice(), b"\n"].concat() } else { Vec::new() };
            let line = Line { time: *time, ..step.text.clone().into() };
            steps.push((*time, Step { output, ..Step::new(at, kind, line) }));
        }
        let mut forks: BTreeMap<usize, VecDeque<usize>> = BTreeMap::new();
        for start in &played.starts {
            let parent = column(actor_of(&start.who), "", None);
            for (index, trace) in start.traces.iter().enumerate() {
                let child = (index > 0).then(|| column(&format!("{} child{}", actor_of(&start.who), if index > 1 { format!(" {index}") } else { String::new() }), &trace.program, Some(parent)));
                forks.entry(parent).or_default().extend(child);
                let at = child.unwrap_or(parent);
                let begin = trace.start();
                // A call has returned when the next one begins; strace's own count of its time is too small.
                let ends = trace.lines.iter().skip(1).map(|next| next.time.saturating_sub(1)).chain([u64::MAX]);
                for (index, (line, until)) in trace.lines.iter().zip(ends).enumerate() {
                    let call = Call::parse(line);
                    let kind = match &call {
                        // Of `lab sock` its terminal is its own, and its sockets, which come later.
                        Some(call) if trace.program == SOCK => Kind::Call { own: call.name == "exit_group" || ["read", "write"].contains(&call.name) && call.fd().is_some_and(|fd| fd < 3) },
                        Some(_) => Kind::Call { own: index >= begin && trace::is_own(line) },
                        None if line.starts_with("+++") => Kind::End,
                        None => Kind::Signal,
                    };
                    let mut line = line.clone();
                    let waits = call.as_ref().is_some_and(|call| WAITING.contains(&call.name));
                    if let (Kind::End, Some(before)) = (kind, index.checked_sub(1).map(|before| &trace.lines[before]))
                        && (before.starts_with("exit_group(") || before.starts_with("---"))
                    {
                        // Its sockets close before strace hears of it.
                        line.time = before.time + 1;
                    }
                    let writes = call.as_ref().and_then(|call| Some((call.fd()?, call.sent()?)));
                    let is_on_file = |fd| fd == 1 && to_file.iter().any(|(time, column)| *column == at && *time < line.time);
                    let output = writes.filter(|(fd, _)| [1, 2].contains(fd) && !is_on_file(*fd)).map(|(_, bytes)| bytes).unwrap_or_default();
                    steps.push((if waits { until } else { line.time }, Step { output, until: if kind == Kind::End { 0 } else { until }, ..Step::new(at, kind, line) }));
                }
            }
        }
        steps.sort_by_key(|(time, step)| (*time, step.column));
        let times: Vec<u64> = steps.iter().map(|(time, _)| *time).collect();
        let mut steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
        let is_person: Vec<bool> = steps.iter().map(|step| step.kind == Kind::Person).collect();
        let of: Vec<usize> = steps.iter().map(|step| step.column).collect();
        let mut round = 0;
        for step in &mut steps {
            round += usize::from(step.kind == Kind::Person);
            step.round = round;
            let (first, end) = (times.partition_point(|time| *time <= step.line.time), times.partition_point(|time| *time < step.until));
            let mut others = (first..end).filter(|other| of[*other] != step.column || is_person[*other]);
            step.blocked = (first..end).any(|other| is_person[other]);
            let waits = step.blocked || WAITING.contains(&trace::name(&step.line));
            step.during = others.next().filter(|_| waits).map(|first| (first, others.next_back().unwrap_or(first)));
        }
        let rest = |(time, who, sockets): &(u64, String, Vec<Socket>)| {
            let column = columns.iter().position(|column| column.who == *who)?;
            Some(Rest { before: times.partition_point(|step| step < time), column, sockets: sockets.clone() })
        };
        let rests = record.sockets.iter().filter_map(rest).collect();
        let kernel = Kernel { tables: vec![BTreeMap::new(); columns.len()], forks, ..Kernel::default() };
        let arrows = kernel.arrows(&mut steps);
        let mut sequence = Sequence { columns, steps, arrows, rests };
        sequence.find_causes();
        sequence
    }

    /// For each step the length of the longest chain of steps that led to it.
    fn find_causes(&mut self) {
        let mut last: Vec<usize> = vec![0; self.columns.len()];
        for at in 0..self.steps.len() {
            let causes = self.arrows.iter().filter(|arrow| arrow.to == Some(at)).filter_map(|arrow| arrow.from).filter(|from| *from != at);
            let before = causes.map(|from| self.steps[from].depth).chain([last[self.steps[at].column]]).max().unwrap_or(0);
            // How stdio cuts what it writes, and what the loader does, is not the same everywhere.
            let counts = self.steps[at].kind != Kind::Call { own: false } && self.steps[at].output.is_empty();
            self.steps[at].depth = before + usize::from(counts);
            last[self.steps[at].column] = self.steps[at].depth;
        }
    }

    /// The steps in an order that is the same in each run: what does not depend on each other is not in the order
    /// of time, but of the columns.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        order.sort_by_key(|at| (self.steps[*at].round, self.steps[*at].depth, self.steps[*at].column));
        order
    }
}

impl Step {
    fn new(column: usize, kind: Kind, line: Line) -> Step {
        Step { column, kind, line, output: Vec::new(), during: None, blocked: false, until: 0, round: 0, depth: 0 }
    }
}

/// A socket as the traces tell of it.
#[derive(Debug, Clone, Default)]
struct End {
    family: String,
    /// `SOCK_STREAM`, ...
    kind: String,
    local: Option<String>,
    /// That of a datagram socket that has called connect.
    peer: Option<String>,
    /// The connection and which of its sides it is.
    side: Option<(usize, usize)>,
    listens: bool,
    /// Connections that wait to be accepted.
    waiting: VecDeque<(usize, usize)>,
    /// The descriptors that lead to it.
    open: usize,
}

/// For each side what it has sent and the other has not taken, and the step that closed it.
#[derive(Debug, Default)]
struct Connection {
    sent: [VecDeque<(usize, Vec<u8>)>; 2],
    closed: [Option<usize>; 2],
    /// Whether a side has been told that the other is closed.
    told: [bool; 2],
    /// Whether each send is one message.
    whole: bool,
}

/// A datagram that has not been taken.
#[derive(Debug)]
struct Mail {
    step: usize,
    from: usize,
    bytes: Vec<u8>,
    /// The sockets that may take it.
    for_whom: Vec<usize>,
}

/// Follows the sockets through all calls.
#[derive(Debug, Default)]
struct Kernel {
    ends: Vec<End>,
    connections: Vec<Connection>,
    mail: Vec<Mail>,
    /// For each column its descriptors.
    tables: Vec<BTreeMap<i32, usize>>,
    /// For each column those of the processes that it will fork.
    forks: BTreeMap<usize, VecDeque<usize>>,
    arrows: Vec<Arrow>,
}

impl Kernel {
    fn arrows(mut self, steps: &mut [Step]) -> Vec<Arrow> {
        for (at, step) in steps.iter_mut().enumerate() {
            match (step.kind, Call::parse(&step.line)) {
                (Kind::Call { .. }, Some(call)) => {
                    if call.fd().is_some_and(|fd| self.tables[step.column].contains_key(&fd)) || call.name.starts_with("socket") {
                        // What goes to a socket is not on the terminal, whatever its number; a tool's calls on sockets are its own.
                        step.output.clear();
                        step.kind = Kind::Call { own: true };
                    }
                    self.call(at, step.column, &call);
                }
                (Kind::End, _) => {
                    for (_, end) in mem::take(&mut self.tables[step.column]) {
                        self.close(at, end);
                    }
                }
                _ => {}
            }
        }
        let untaken = self.mail.into_iter().map(|mail| (mail.step, mail.bytes));
        let unread = self.connections.into_iter().flat_map(|connection| connection.sent).flatten();
        let never = untaken.chain(unread).map(|(from, bytes)| Arrow { from: Some(from), to: None, what: What::Data, bytes });
        self.arrows.extend(never);
        let waiting = self.ends.iter().flat_map(|end| &end.waiting).map(|(from, _)| Arrow { from: Some(*from), to: None, what: What::Connection, bytes: Vec::new() });
        self.arrows.extend(waiting);
        self.arrows.sort_by_key(|arrow| (arrow.from.or(arrow.to), arrow.to));
        self.arrows
    }

    fn arrow(&mut self, from: Option<usize>, to: usize, what: What, bytes: Vec<u8>) {
        self.arrows.push(Arrow { from, to: Some(to), what, bytes });
    }

    /// A call is told of the refusal of what its socket sent last, if that was a datagram.
    fn refuse(&mut self, at: usize, end: usize) {
        let from = self.mail.iter().rfind(|mail| mail.from == end).map(|mail| mail.step);
        self.arrow(from, at, What::Refusal, Vec::new());
    }

    fn call(&mut self, at: usize, column: usize, call: &Call) {
        let end = call.fd().and_then(|fd| self.tables[column].get(&fd).copied());
        if call.is_injected() {
            return;
        }
        let Some(result) = call.result() else {
            if let Some(end) = end
                && ["ECONNREFUSED", "ECONNRESET", "EPIPE"].iter().any(|error| call.result.contains(error))
            {
                self.refuse(at, end);
            }
            return;
        };
        match (call.name, end) {
            ("socket", _) => {
                let end = self.open(call.args.first().copied().unwrap_or_default(), call.args.get(1).copied().unwrap_or_default());
                self.give(column, result, end);
            }
            ("socketpair", _) => {
                let whole = !call.args.get(1).is_some_and(|kind| kind.starts_with("SOCK_STREAM"));
                self.connections.push(Connection { whole, ..Connection::default() });
                let fds = call.args.get(3).map(|fds| fds.trim_matches(['[', ']']).split(", ").filter_map(|fd| fd.parse().ok()).collect::<Vec<i64>>()).unwrap_or_default();
                for (side, fd) in fds.into_iter().enumerate() {
                    let end = self.open("AF_UNIX", call.args[1]);
                    self.ends[end].side = Some((self.connections.len() - 1, side));
                    self.give(column, fd, end);
                }
            }
            ("fork" | "vfork" | "clone" | "clone3", _) => {
                if let Some(child) = self.forks.get_mut(&column).and_then(VecDeque::pop_front) {
                    self.tables[child] = self.tables[column].clone();
                    self.tables[column].values().for_each(|end| self.ends[*end].open += 1);
                }
            }
            (_, None) => {}
            ("bind" | "getsockname", Some(end)) => self.ends[end].local = call.address().or(self.ends[end].local.take()),
            ("listen", Some(end)) => self.ends[end].listens = true,
            ("connect", Some(end)) => self.connect(at, end, call.address()),
            ("accept" | "accept4", Some(end)) => {
                let (from, connection) = match self.ends[end].waiting.pop_front() {
                    Some((from, connection)) => (Some(from), connection),
                    None => {
                        self.connections.push(Connection::default());
                        (None, self.connections.len() - 1)
                    }
                };
                let new = End { side: Some((connection, 1)), local: self.ends[end].local.clone(), listens: false, waiting: VecDeque::new(), open: 0, ..self.ends[end].clone() };
                self.ends.push(new);
                self.give(column, result, self.ends.len() - 1);
                self.arrow(from, at, What::Connection, Vec::new());
            }
            ("shutdown", Some(end)) => {
                if let Some((connection, side)) = self.ends[end].side
                    && !call.args.get(1).is_some_and(|how| how.contains("SHUT_RD") && !how.contains("SHUT_RDWR"))
                {
                    self.connections[connection].closed[side].get_or_insert(at);
                }
            }
            ("close", Some(end)) => {
                self.tables[column].retain(|fd, _| Some(*fd) != call.fd());
                self.close(at, end);
            }
            (_, Some(end)) => {
                if let Some(bytes) = call.sent() {
                    self.send(at, end, bytes, call.address());
                } else if call.has("MSG_ERRQUEUE") {
                    self.refuse(at, end);
                } else if let Some(bytes) = call.received().filter(|_| !call.has("MSG_PEEK")) {
                    self.receive(at, end, bytes, call.address(), call.has("MSG_TRUNC"));
                }
            }
        }
    }

    fn open(&mut self, family: &str, kind: &str) -> usize {
        let kind = kind.split('|').next().unwrap_or_default().to_owned();
        self.ends.push(End { family: family.to_owned(), kind, ..End::default() });
        self.ends.len() - 1
    }

    fn give(&mut self, column: usize, fd: i64, end: usize) {
        self.ends[end].open += 1;
        self.tables[column].insert(fd as i32, end);
    }

    fn close(&mut self, at: usize, end: usize) {
        self.ends[end].open -= 1;
        if self.ends[end].open == 0
            && let Some((connection, side)) = self.ends[end].side
        {
            self.connections[connection].closed[side].get_or_insert(at);
        }
    }

    /// The open sockets of this one's kind that have this address, the newest first.
    fn at_address(&self, from: usize, address: &str) -> Vec<usize> {
        let like = |end: &End| end.open > 0 && end.side.is_none() && end.family == self.ends[from].family && end.kind == self.ends[from].kind;
        let has = |end: &End| end.local.as_ref().is_some_and(|local| leads_to(address, local));
        let mut found: Vec<usize> = (0..self.ends.len()).rev().filter(|at| like(&self.ends[*at]) && has(&self.ends[*at])).collect();
        if self.ends[from].family == "AF_UNIX" {
            // A path is that of the socket that was bound last.
            found.truncate(1);
        }
        found
    }

    fn connect(&mut self, at: usize, end: usize, address: Option<String>) {
        if self.ends[end].kind == "SOCK_DGRAM" {
            self.ends[end].peer = address;
            return;
        }
        self.connections.push(Connection { whole: self.ends[end].kind == "SOCK_SEQPACKET", ..Connection::default() });
        let connection = self.connections.len() - 1;
        self.ends[end].side = Some((connection, 0));
        let listener = address.and_then(|address| self.at_address(end, &address).into_iter().find(|at| self.ends[*at].listens));
        match listener {
            Some(listener) => self.ends[listener].waiting.push_back((at, connection)),
            None => self.arrows.push(Arrow { from: Some(at), to: None, what: What::Connection, bytes: Vec::new() }),
        }
    }

    fn send(&mut self, at: usize, end: usize, bytes: Vec<u8>, to: Option<String>) {
        if let Some((connection, side)) = self.ends[end].side {
            self.connections[connection].sent[side].push_back((at, bytes));
            return;
        }
        let to = to.or_else(|| self.ends[end].peer.clone()).unwrap_or_default();
        let mut for_whom = self.at_address(end, &to);
        if for_whom.is_empty() && self.ends[end].family != "AF_UNIX" {
            // The kernel may have given it its port, and nobody has seen that yet.
            let like = |other: &End| other.open > 0 && other.family == self.ends[end].family && other.kind == self.ends[end].kind && other.local.is_none();
            for_whom = (0..self.ends.len()).filter(|other| *other != end && like(&self.ends[*other])).collect();
        }
        self.mail.push(Mail { step: at, from: end, bytes, for_whom });
    }

    fn receive(&mut self, at: usize, end: usize, bytes: Vec<u8>, source: Option<String>, cut: bool) {
        let Some((connection, side)) = self.ends[end].side else {
            let fits = |mail: &Mail| {
                let from = &self.ends[mail.from].local;
                let is_from = |address: &Option<String>| from.as_ref().zip(address.as_ref()).is_none_or(|(from, address)| leads_to(address, from));
                mail.for_whom.contains(&end) && (mail.bytes.starts_with(&bytes) || cut) && is_from(&source) && (source.is_some() || is_from(&self.ends[end].peer))
            };
            let found = self.mail.iter().position(fits);
            let mail = found.map(|found| self.mail.remove(found));
            if let (Some(mail), Some(source)) = (&mail, source) {
                self.ends[mail.from].local.get_or_insert(source);
            }
            self.arrow(mail.map(|mail| mail.step), at, What::Data, bytes);
            return;
        };
        if self.connections[connection].whole
            && let Some((from, _)) = self.connections[connection].sent[1 - side].pop_front()
        {
            self.arrow(Some(from), at, What::Data, bytes);
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((from, mut sent)) = self.connections[connection].sent[1 - side].pop_front() else {
                self.arrow(None, at, What::Data, rest);
                return;
            };
            let later = rest.split_off(sent.len().min(rest.len()));
            let left = sent.split_off(rest.len());
            if !left.is_empty() {
                self.connections[connection].sent[1 - side].push_front((from, left));
            }
            let taken = mem::replace(&mut rest, later);
            self.arrow(Some(from), at, What::Data, taken);
        }
        let connection = &mut self.connections[connection];
        if connection.sent[1 - side].is_empty()
            && !connection.told[side]
            && let Some(from) = connection.closed[1 - side]
            && self.arrows.last().is_none_or(|arrow| arrow.to != Some(at))
        {
            connection.told[side] = true;
            self.arrow(Some(from), at, What::End, Vec::new());
        }
    }
}

/// Whether what is sent to this address reaches a socket with this one: `127.0.0.1:1` reaches `0.0.0.0:1`.
fn leads_to(address: &str, local: &str) -> bool {
    let split = |text: &str| text.rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned()));
    match (split(address), split(local)) {
        (Some((host, port)), Some((local_host, local_port))) => port == local_port && (host == local_host || [host, local_host].iter().any(|host| host == "0.0.0.0" || host == "::")),
        _ => address == local,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From and to of the arrows of one process with these calls, and their bytes.
    fn arrows(calls: &[&str]) -> Vec<(Option<usize>, Option<usize>, String)> {
        let line = |call: &&str| Line::from(*call);
        let mut steps: Vec<Step> = calls.iter().map(|call| Step::new(0, Kind::Call { own: true }, line(call))).collect();
        let arrows = Kernel { tables: vec![BTreeMap::new()], ..Kernel::default() }.arrows(&mut steps);
        arrows.into_iter().map(|arrow| (arrow.from, arrow.to, format!("{:?} {}", arrow.what, String::from_utf8_lossy(&arrow.bytes)))).collect()
    }

    #[test]
    fn what_a_stream_splits_and_joins_is_found_in_order() {
        let calls = [
            "socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0",
            r#"write(3, "abc", 3) = 3"#,
            r#"write(3, "de", 2) = 2"#,
            r#"recvfrom(4, "abcd", 4, MSG_PEEK, NULL, NULL) = 4"#,
            r#"read(4, "ab", 2) = 2"#,
            r#"read(4, "cd", 2) = 2"#,
            "close(3) = 0",
            r#"read(4, "e", 9) = 1"#,
            r#"read(4, "", 9) = 0"#,
            r#"write(4, "x", 1) = -1 EPIPE (Broken pipe)"#,
        ];
        let expected = [(1, 4, "Data ab"), (1, 5, "Data c"), (2, 5, "Data d"), (2, 7, "Data e"), (6, 8, "End "), (9, 9, "Refusal ")];
        let found = arrows(&calls);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (arrow, (from, to, what)) in found.iter().zip(expected) {
            assert_eq!(*arrow, (Some(from).filter(|_| to != 9), Some(to), what.to_owned()));
        }
    }

    #[test]
    fn datagrams_that_are_alike_are_taken_in_their_order() {
        let to = r#"{sa_family=AF_INET, sin_port=htons(9501), sin_addr=inet_addr("127.0.0.1")}, 16"#;
        let send = format!(r#"sendto(4, "g1", 2, 0, {to}) = 2"#);
        let calls = [
            "socket(AF_INET, SOCK_DGRAM, 0) = 3",
            &format!("bind(3, {}) = 0", to.replace("127.0.0.1", "0.0.0.0")),
            "socket(AF_INET, SOCK_DGRAM, 0) = 4",
            &send,
            &send,
            r#"recvfrom(3, "g", 1, 0, NULL, NULL) = 1"#,
            "close(3) = 0",
            &send,
            "recvfrom(4, 0x7ffc00000000, 9, 0, NULL, NULL) = -1 ECONNREFUSED (Connection refused)",
        ];
        let data = |from, to, bytes: &str| (Some(from), to, format!("Data {bytes}"));
        assert_eq!(arrows(&calls), [data(3, Some(5), "g"), data(4, None, "g1"), data(7, None, "g1"), (Some(7), Some(8), "Refusal ".into())]);
        assert!(leads_to("0.0.0.0:1", "127.0.0.1:1") && !leads_to("127.0.0.2:1", "127.0.0.1:1") && !leads_to("127.0.0.1:1", "127.0.0.1:2") && leads_to("a b", "a b"));
    }
}
