//! Exchanges: what people might do at several terminals, in any order, and what the programs must
//! print then. An exchange becomes a scene, which plays like those of the READMEs.
//!
//! The rules of what a program prints are written here a second time, apart from the ports: a port
//! and a rule that are wrong in the same way would go unnoticed, one alone does not.

use std::collections::VecDeque;
use std::fmt::{self, Display, Write as _};

use crate::script::Script;
use lab::scene::notation;

/// How many clients' terminals an exchange has.
pub const CLIENTS: usize = 3;

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

impl Family {
    pub const ALL: [Family; 6] = [Family::Udp, Family::Connected, Family::Stream, Family::Dgram, Family::Upper, Family::Hello];

    pub fn server(self) -> &'static str {
        match self {
            Family::Udp => "udpserver",
            Family::Connected => "udpconnectserver",
            Family::Stream => "unixstreamserver",
            Family::Dgram => "unixdataserver",
            Family::Upper => "upperserver",
            Family::Hello => "udp20_server",
        }
    }

    /// The programs that may be its clients.
    pub fn clients(self) -> &'static [&'static str] {
        match self {
            Family::Udp | Family::Connected => &["udpclient", "udpconnectclient", "udpconnectclient02"],
            Family::Stream => &["unixstreamclient"],
            Family::Dgram => &["unixdataclient"],
            Family::Upper => &["upperclient"],
            Family::Hello => &["udp10_client"],
        }
    }

    /// The longest line for which the C programs' behaviour is defined; the terminal's own limit is
    /// 4095.
    pub fn defined_len(self) -> usize {
        match self {
            Family::Udp | Family::Connected | Family::Dgram => 4091,
            // The newline is sent, too.
            Family::Stream => 4090,
            Family::Upper | Family::Hello => 1023,
        }
    }

    /// The server's command line.
    fn start(self) -> String {
        match self {
            Family::Stream => format!("{} unixstream.sock", self.server()),
            Family::Dgram => format!("{} unixdata.sock", self.server()),
            _ => self.server().to_owned(),
        }
    }

    /// What a client is told on its command line.
    fn address(self) -> &'static str {
        match self {
            Family::Udp | Family::Connected => " 127.0.0.1",
            Family::Stream => " unixstream.sock",
            Family::Dgram => " unixdata.sock",
            Family::Upper | Family::Hello => "",
        }
    }

    /// The call in which the server waits for a client.
    fn waits_in(self) -> &'static str {
        match self {
            Family::Stream | Family::Upper => "accept",
            _ => "recvfrom",
        }
    }
}

/// What happens next, at a client's terminal or at the server's. What is impossible then (to type
/// at a program that is not there) does not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Starts the client's program, the nth of those of the family.
    Start {
        client: usize,
        program: usize,
    },
    /// Types a line.
    Line {
        client: usize,
        line: Line,
    },
    EndOfInput {
        client: usize,
    },
    Interrupt {
        client: usize,
    },
    /// Ctrl-Z and fg.
    Pause {
        client: usize,
    },
    StartServer,
    InterruptServer,
    /// Ctrl-Z: clients write to a server that does not read.
    Hold,
    /// fg, after that.
    Go,
}

/// A line that is typed: runs of equal characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(pub Vec<(char, usize)>);

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|(c, times)| (0..*times).try_for_each(|_| f.write_char(*c)))
    }
}

/// A family's server and clients, and what is done with them after both have been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub family: Family,
    pub moves: Vec<Move>,
}

impl Exchange {
    /// The exchange as a scene of this name, in a README's notation.
    pub fn scene(&self, name: &str) -> String {
        let mut play = Play { family: self.family, ..Play::default() };
        play.start_server();
        play.start(0, 0);
        self.moves.iter().for_each(|next| play.act(next));
        play.finish();
        play.script.scene(name)
    }
}

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    /// Not started, or ended.
    #[default]
    Nowhere,
    /// At its terminal, waiting for a line.
    Input,
    /// Waiting for an answer, for ever if need be.
    Answer,
}

#[derive(Debug, Default)]
struct Client {
    at: At,
    program: &'static str,
    /// What it has read and not sent yet: fgets takes a long line in parts.
    parts: VecDeque<String>,
}

/// The state of the programs while the scene is written.
struct Play {
    family: Family,
    script: Script,
    clients: [Client; CLIENTS],
    runs: bool,
    held: bool,
    count: usize,
    /// The client that is connected, or to which the server is, if there has been one.
    peer: Option<usize>,
    /// The messages that the server has not read.
    queue: VecDeque<(usize, String)>,
}

impl Default for Play {
    fn default() -> Play {
        Play { family: Family::Udp, script: Script::default(), clients: Default::default(), runs: false, held: false, count: 0, peer: None, queue: VecDeque::new() }
    }
}

const SERVER: usize = CLIENTS;

/// A client that has ended: another start of it has another port.
const GONE: usize = CLIENTS + 1;

/// "client1", ..., "server".
fn name(who: usize) -> String {
    if who == SERVER { "server".to_owned() } else { format!("client{}", who + 1) }
}

/// The part of a line that C's string functions see.
fn up_to_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// At most `len` bytes of `text`, in which no character of several bytes lies across that place.
fn cut(text: &str, len: usize) -> &str {
    text.get(..len).unwrap_or(text)
}

impl Play {
    fn step(&mut self, who: usize, step: &str) {
        self.script.step(&name(who), step);
    }

    fn prints(&mut self, who: usize, text: &str) {
        self.script.says(&name(who), text);
    }

    fn ends(&mut self, who: usize, end: &str) {
        self.script.ends(&name(who), end);
        // What it has sent is answered to nobody, also if its program is started again.
        for (of, _) in self.queue.iter_mut().filter(|(of, _)| *of == who) {
            *of = GONE;
        }
        if who != SERVER {
            self.clients[who] = Client::default();
            return;
        }
        (self.runs, self.held, self.peer) = (false, false, None);
        self.queue.clear();
    }

    fn act(&mut self, next: &Move) {
        match *next {
            Move::Start { client, program } if self.clients[client].at == At::Nowhere => self.start(client, program),
            Move::Line { client, ref line } if self.clients[client].at == At::Input => self.types(client, &line.to_string()),
            Move::EndOfInput { client } if self.clients[client].at == At::Input => {
                self.step(client, "^D");
                self.ends(client, "0");
                self.left(client);
            }
            Move::Interrupt { client } if self.clients[client].at != At::Nowhere && self.may_leave(client) => {
                self.step(client, "^C");
                if self.clients[client].at == At::Input {
                    self.script.shows(&name(client));
                }
                self.ends(client, "SIGINT");
                self.left(client);
            }
            Move::Pause { client } if self.clients[client].at != At::Nowhere => {
                self.step(client, "^Z");
                self.step(client, "$ fg");
            }
            Move::StartServer if !self.runs => self.start_server(),
            Move::InterruptServer if self.runs && !self.held => self.interrupt_server(),
            Move::Hold if self.runs && !self.held && self.may_hold() => {
                self.step(SERVER, "^Z");
                self.held = true;
            }
            Move::Go if self.held => self.go(),
            _ => {}
        }
    }

    fn start_server(&mut self) {
        self.script.start(&name(SERVER), &self.family.start());
        if self.family == Family::Hello {
            self.prints(SERVER, "udp server start,pid={pid}\nbind returnValue=0\nerrno=0,Success\n");
        }
        self.step(SERVER, &format!("@ {}", self.family.waits_in()));
        (self.runs, self.count) = (true, 0);
    }

    fn interrupt_server(&mut self) {
        self.step(SERVER, "^C");
        if matches!(self.family, Family::Udp | Family::Connected) {
            let count = self.count;
            self.prints(SERVER, &format!("received {count} datagrams\n"));
            self.ends(SERVER, "0");
        } else {
            self.ends(SERVER, "SIGINT");
        }
    }

    fn start(&mut self, client: usize, program: usize) {
        let programs = self.family.clients();
        let program = programs[program % programs.len()];
        // A local stream server has one client; another would wait in connect or for its answer.
        if matches!(self.family, Family::Stream | Family::Upper) && (self.peer.is_some() || self.clients.iter().any(|client| client.at != At::Nowhere)) {
            return;
        }
        // Its datagram would wait with those of others, and who is first then is open.
        if self.family == Family::Hello && self.held {
            return;
        }
        self.script.start(&name(client), &format!("{program}{}", self.family.address()));
        self.clients[client] = Client { at: At::Input, program, parts: VecDeque::new() };
        match self.family {
            Family::Stream | Family::Upper if self.runs => {
                self.peer = Some(client);
                self.step(SERVER, "@ read");
            }
            Family::Stream => {
                self.prints(client, "connect failed: Connection refused (111)\n");
                return self.ends(client, "1");
            }
            Family::Upper => {
                self.prints(client, "connect: Connection refused\n");
                return self.ends(client, "255");
            }
            Family::Hello => return self.says_hello(client),
            _ => {}
        }
        self.step(client, "@ read");
    }

    /// udp10_client types nothing: one message, one answer, the end.
    fn says_hello(&mut self, client: usize) {
        self.prints(client, "udp server start,pid={pid}\nsend bytes=5\n");
        if !self.runs {
            self.step(client, "@ recvfrom");
            self.clients[client].at = At::Answer;
            return;
        }
        // {pid} is any number, here the client's port.
        self.prints(SERVER, "receive bytes=5,msg=hello,ip=127.0.0.1,port={pid}\nsend bytes=5\n");
        self.prints(client, "receive bytes=5,msg=hello,ip=127.0.0.1,port=9501\n");
        self.ends(client, "0");
    }

    fn types(&mut self, client: usize, line: &str) {
        let size = if self.family == Family::Upper { 1023 } else { 4095 };
        let mut rest = format!("{line}\n");
        let mut parts = VecDeque::new();
        while !rest.is_empty() {
            let part = cut(&rest, size).to_owned();
            rest.drain(..part.len());
            parts.push_back(part);
        }
        // Who of two clients comes next in a queue with parts of both is open.
        if self.held && parts.len() > 1 {
            return;
        }
        self.step(client, &format!("< {}", notation(line.as_bytes())));
        self.clients[client].parts = parts;
        self.sends(client);
    }

    /// Lets a client send the next part of its line, if it has one.
    fn sends(&mut self, client: usize) {
        let Some(part) = self.clients[client].parts.pop_front() else {
            self.clients[client].at = At::Input;
            return;
        };
        let text = up_to_nul(&part);
        match self.family {
            Family::Stream | Family::Upper if self.peer != Some(client) => {
                self.script.shows(&name(client));
                return self.ends(client, "SIGPIPE");
            }
            Family::Stream | Family::Upper => return self.deliver(client, text.to_owned()),
            _ => {}
        }
        let text = text.strip_suffix('\n').unwrap_or(text).to_owned();
        if self.family == Family::Dgram {
            self.prints(client, &format!("now sending {text} \n"));
            if !self.runs {
                self.prints(client, "sendto error: Connection refused (111)\n");
                return self.ends(client, "1");
            }
        } else {
            self.prints(client, &format!("now sending {text}\nsend bytes: {} \n", text.len()));
        }
        self.clients[client].at = At::Answer;
        let is_heard = self.runs && (self.family != Family::Connected || self.peer.is_none_or(|peer| peer == client));
        if is_heard && self.held {
            self.queue.push_back((client, text));
        } else if is_heard {
            self.deliver(client, text);
        } else {
            // The kernel refuses the datagram, and tells a connected socket.
            match self.clients[client].program {
                "udpconnectclient" => self.prints(client, "recvfrom failed: Connection refused (111)\n"),
                "udpconnectclient02" => self.prints(client, "recv failed: Connection refused (111)\n"),
                _ => return self.step(client, "@ recvfrom"),
            }
            self.ends(client, "1");
        }
    }

    /// The server gets a message; its answer; what the client does with that.
    fn deliver(&mut self, client: usize, text: String) {
        let answer = format!("Hi, {text}");
        let is_there = client != GONE;
        let shown = match self.family {
            Family::Udp => {
                self.prints(SERVER, &format!("received {} bytes: {text}\n", text.len()));
                self.count += 1;
                format!("{}\n", cut(&answer, 4096))
            }
            Family::Connected => {
                if self.peer.is_none() {
                    self.prints(SERVER, &format!("received {} bytes: {text}\n", text.len()));
                } else {
                    self.count += 1;
                }
                self.peer = Some(client);
                if text.starts_with("goodbye") {
                    self.ends(SERVER, "0");
                    return self.step(client, "@ recvfrom");
                }
                self.prints(SERVER, &format!("send bytes: {} \n", answer.len()));
                format!("{}\n", cut(&answer, 4096))
            }
            Family::Dgram => {
                if text.is_empty() {
                    self.prints(SERVER, "client quit");
                    self.ends(SERVER, "0");
                    return self.step_if(is_there, client, "@ recvfrom");
                }
                self.prints(SERVER, &format!("Receive: {text} \nnow sending: {answer} \n"));
                if !is_there {
                    self.prints(SERVER, "sendto error: Connection refused (111)\n");
                    return self.ends(SERVER, "1");
                }
                format!("{}\n", cut(&answer, 4096))
            }
            Family::Stream => {
                self.prints(SERVER, &format!("Receive: {text}"));
                cut(&answer, 4095).to_owned()
            }
            Family::Upper => text.to_ascii_uppercase(),
            Family::Hello => return,
        };
        if is_there {
            self.prints(client, &shown);
            self.sends(client);
        }
    }

    fn step_if(&mut self, is_so: bool, who: usize, step: &str) {
        if is_so {
            self.step(who, step);
        }
    }

    /// What the server of a connection does when its client has left.
    fn left(&mut self, client: usize) {
        if self.peer != Some(client) {
            return;
        }
        self.peer = Some(GONE);
        match self.family {
            Family::Stream => self.prints(SERVER, "client quit"),
            Family::Upper => self.prints(SERVER, "the other side has been closed.\n"),
            _ => return,
        }
        self.ends(SERVER, "0");
    }

    /// Whether a client may be ended while its message waits: a local server that is held would end
    /// at its answer, with the others' messages unread.
    fn may_leave(&self, client: usize) -> bool {
        !(self.family == Family::Dgram && self.queue.iter().any(|(of, _)| *of == client))
    }

    /// Whether the server may be stopped: where it has a connection, the client's end of it ends
    /// the server, and both would be waited for at once.
    fn may_hold(&self) -> bool {
        matches!(self.family, Family::Udp | Family::Dgram)
    }

    fn go(&mut self) {
        self.step(SERVER, "$ fg");
        self.held = false;
        while let Some((client, text)) = self.queue.pop_front() {
            self.deliver(client, text);
        }
        if self.runs {
            self.step(SERVER, "@ recvfrom");
        }
    }

    /// Everyone goes home.
    fn finish(&mut self) {
        if self.held {
            self.go();
        }
        for client in 0..CLIENTS {
            match self.clients[client].at {
                At::Nowhere => {}
                At::Input => self.act(&Move::EndOfInput { client }),
                At::Answer => self.act(&Move::Interrupt { client }),
            }
        }
        if self.runs {
            self.interrupt_server();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: usize, text: &str) -> Move {
        Move::Line { client, line: Line(text.chars().map(|c| (c, 1)).collect()) }
    }

    #[test]
    fn an_exchange_becomes_a_scene() {
        let exchange = Exchange { family: Family::Udp, moves: vec![line(0, "g1"), line(1, "not started"), Move::InterruptServer, line(0, "g2")] };
        let scene = "\
```scene s
server  $ udpserver
server  @ recvfrom
client1 $ udpclient 127.0.0.1
client1 @ read
client1 < g1
client1 > now sending g1
client1 > send bytes: 2
server  > received 2 bytes: g1
client1 > Hi, g1
server  ^C
server  > received 1 datagrams
server  = 0
client1 < g2
client1 > now sending g2
client1 > send bytes: 2
client1 @ recvfrom
client1 ^C
client1 = SIGINT
```
";
        assert_eq!(exchange.scene("s"), scene);
    }

    #[test]
    fn a_line_longer_than_fgets_takes_is_sent_in_parts() {
        let long = Move::Line { client: 0, line: Line(vec![('x', 4095)]) };
        let scene = Exchange { family: Family::Udp, moves: vec![long] }.scene("s");
        assert!(scene.contains("client1 > send bytes: 4095\n") && scene.contains("client1 > Hi, {x*4092}\n"), "{scene}");
        assert!(scene.contains("client1 > now sending\nclient1 > send bytes: 0\n"), "{scene}");
        assert!(scene.contains("> received 2 datagrams\n"), "{scene}");
    }
}
