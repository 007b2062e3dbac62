//! Adversarial input: what no well-behaved client, server or shell would do. A table of inputs times the
//! programs gives scenes in which only the steps of people are written. Their programs are held to
//! invariants: no crash, no hang, no loop, at most one line on standard error, and an honest partner
//! before and after gets what it gets without any of this. With the C programs, a port must also look
//! the same as C, but where the table [`FIXED`] says why not.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::verdict::{self, Kind, Players, Report, Side, Start, Verdict, Watch};
use lab::programs;
use lab::scene::{self, Scene, notation};
use lab::signals;
use lab::trace::Trace;

/// A program, and how to reach it, or whom it reaches.
struct Program {
    name: &'static str,
    arguments: &'static str,
    kind: &'static str,
    address: &'static str,
    /// The size of its buffer.
    room: usize,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A server that serves all who come, until ^C.
    Serves,
    /// A server that serves one client until ^C.
    ServesOne,
    /// A server that ends by itself.
    Ends,
    /// A client that sends the lines it reads, and the server that it may have.
    Reads(&'static str),
    /// A client that sends one message.
    Sends,
    /// It talks to itself.
    Alone,
}

const fn program(name: &'static str, arguments: &'static str, kind: &'static str, address: &'static str, room: usize, role: Role) -> Program {
    Program { name, arguments, kind, address, room, role }
}

const LECTURE: &str = "127.0.0.1:43211";
const NOTES: &str = "127.0.0.1:9501";

const PROGRAMS: [Program; 23] = [
    program("udpserver", "", "udp", LECTURE, 4096, Role::Serves),
    program("udpclient", " 127.0.0.1", "udp", LECTURE, 4096, Role::Reads("udpserver")),
    program("udp10_server", "", "udp", NOTES, 1024, Role::Ends),
    program("udp10_client", "", "udp", NOTES, 1024, Role::Sends),
    program("udp20_server", "", "udp", NOTES, 1024, Role::Serves),
    program("udpconnectserver", "", "udp", LECTURE, 4096, Role::ServesOne),
    program("udpconnectclient", " 127.0.0.1", "udp", LECTURE, 4096, Role::Reads("udpserver")),
    program("udpconnectclient02", " 127.0.0.1", "udp", LECTURE, 4096, Role::Reads("udpserver")),
    program("unixstreamserver", " unixstream.sock", "stream", "unixstream.sock", 4096, Role::Ends),
    program("unixstreamclient", " unixstream.sock", "stream", "unixstream.sock", 4096, Role::Reads("unixstreamserver")),
    program("unix10", "", "", "", 1024, Role::Alone),
    program("unix20_tcp_server", "", "stream", "/tmp/unix_tcp", 1024, Role::Ends),
    program("unix20_tcp_client", "", "stream", "/tmp/unix_tcp", 1024, Role::Sends),
    program("upperserver", "", "stream", "foo.socket", 1024, Role::Ends),
    program("upperclient", "", "stream", "foo.socket", 1024, Role::Reads("upperserver")),
    program("unixdataserver", " unixdata.sock", "dgram", "unixdata.sock", 4096, Role::Serves),
    program("unixdataclient", " unixdata.sock", "dgram", "unixdata.sock", 4096, Role::Reads("unixdataserver")),
    program("unix30_udp_server", "", "dgram", "/tmp/unix_udp_server", 1024, Role::Ends),
    program("unix30_udp_client", "", "dgram", "/tmp/unix_udp_server", 1024, Role::Sends),
    program("tcp10_server", "", "tcp", NOTES, 1024, Role::Ends),
    program("tcp10_client", "", "tcp", NOTES, 1024, Role::Sends),
    program("tcp20_server", "", "tcp", NOTES, 1024, Role::Ends),
    program("tcp30_server", "", "tcp", NOTES, 1024, Role::Serves),
];

/// Messages and lines with unusual bytes.
fn odd() -> [(&'static str, Vec<u8>); 6] {
    let every = (1..=255).filter(|byte| *byte != b'\n').collect();
    [("nul-inside", b"be\0hind".into()), ("nul-first", b"\0behind".into()), ("nul", b"\0".into()), ("every-byte", every), ("newlines", b"\none\ntwo\n".into()), ("percents", b"%s%s%n%100000d".into())]
}

/// What is done to servers that take datagrams. `{S}` makes a socket and connects it.
const TO_DATAGRAM_SERVERS: [(&str, &str); 5] = [
    ("five-at-once", "server ^Z\nother $ lab sock -c '{S}; send one; send {x*1024}; send {NUL}; send two; send five; recv; recv; recv; recv; recv'\nserver $ fg"),
    ("two-by-turns", "server ^Z\nother $ lab sock -c '{S}; send one; send {x*1000}; recv; recv'\nother2 $ lab sock -c '{S}; send uno; send {x*900}; recv; recv'\nserver $ fg"),
    ("sends-and-leaves", "server ^Z\nother $ lab sock -c '{S}; send g1'\nserver $ fg"),
    ("stranger", "other $ lab sock\nother < {S}; send g1; recv\nother2 $ lab sock -c '{S}; send goodbye'\nother < send g2; recv"),
    ("goodbye-first", "other $ lab sock -c '{S}; send goodbyes; recv'"),
];

/// What is done to servers that take connections.
const TO_STREAM_SERVERS: [(&str, &str); 7] = [
    ("connects-and-leaves", "server ^Z\nother $ lab sock -c '{S}; close'\nserver $ fg"),
    ("sends-and-leaves", "server ^Z\nother $ lab sock -c '{S}; send g1; close'\nserver $ fg"),
    ("answer-unread", "other $ lab sock -c '{S}; send g1; poll 5000; close'"),
    ("says-nothing-more", "server ^Z\nother $ lab sock -c '{S}; shutdown SHUT_WR; recv 1000000 MSG_WAITALL'\nserver $ fg"),
    ("three-pieces", "other $ lab sock\nother < {S}\nother < send one\nother < send t\nother < send hree\nother < shutdown SHUT_WR; recv 1000000 MSG_WAITALL"),
    ("three-at-once", "server ^Z\nother $ lab sock -c '{S}; send one; send two; send {z*700}; shutdown SHUT_WR; recv 1000000 MSG_WAITALL'\nserver $ fg"),
    ("breaks-off", "server ^Z\nother $ lab sock -c '{S}; send g1; setsockopt SO_LINGER 1 0; close'\nserver $ fg"),
];

/// Clients of local servers: what they are bound to.
const NAMES: [(&str, &str); 6] = [("anonymous", ""), ("name-of-1", "n"), ("name-of-107", "{c*107}"), ("name-of-108", "{c*108}"), ("name-not-ascii", "\u{e4}\u{1f980}"), ("name-abstract", "{NUL}c")];

/// How clients that send lines are answered. `{B}` makes a server's socket.
const TO_DATAGRAM_CLIENTS: [(&str, &str); 4] = [
    ("answer-of-a-stranger", "other $ lab sock -c '{B}; recvfrom; socket {K}; sendto sender surprise'\nclient $ {C}\nclient < g1"),
    ("two-answers", "other $ lab sock -c '{B}; recvfrom; sendto sender one; sendto sender two; recvfrom'\nclient $ {C}\nclient < g1\nclient < g2"),
    ("server-leaves", "other $ lab sock -c '{B}; recvfrom'\nclient $ {C}\nclient < g1"),
    ("nobody-there", "client $ {C}\nclient < g1"),
];

const TO_STREAM_CLIENTS: [(&str, &str); 6] = [
    ("answer-in-pieces", "other $ lab sock\nother < {B}; read; send one,\nclient $ {C}\nclient < g1\nother < send two{LF}; read\nclient < g2"),
    ("server-leaves-at-once", "other $ lab sock -c '{B}; close'\nclient $ {C}\nclient < g1"),
    ("server-leaves-without-reading", "other $ lab sock\nother < {B}\nclient $ {C}\nclient < g1\nother < close"),
    ("server-leaves-without-answering", "other $ lab sock -c '{B}; read; close'\nclient $ {C}\nclient < g1"),
    ("server-leaves-after-an-answer", "other $ lab sock -c '{B}; read; send Hi{LF}; close'\nclient $ {C}\nclient < g1\nclient < g2"),
    ("nobody-there", "client $ {C}\nclient < g1"),
];

/// Descriptors and arguments for any program.
const REDIRECTIONS: [(&str, &str); 5] = [("stdin-closed", " <&-"), ("stdin-empty", " </dev/null"), ("stdout-closed", " >&-"), ("stdout-full", " >/dev/full"), ("stderr-closed", " 2>&-")];
const ARGUMENTS: &str = " '' {a*100000} 255.255.255.255 /";

/// What a client is told instead of its server's address.
const ADDRESSES: [(&str, &str); 12] = [
    ("address-empty", "''"),
    ("address-short", "127.1"),
    ("address-hexadecimal", "0x7f.0.0.1"),
    ("address-of-five", "127.0.0.1.1"),
    ("address-above-255", "127.0.0.256"),
    ("address-with-space", "'127.0.0.1 '"),
    ("address-ipv6", "::1"),
    ("address-a-name", "localhost"),
    ("address-a-folder", "/tmp"),
    ("address-broadcast", "255.255.255.255"),
    ("address-of-100000", "{1*100000}"),
    ("two-arguments", "127.0.0.1 127.0.0.1"),
];

/// What those who have a path for an argument are told instead.
const PATHS: [(&str, &str); 11] = [
    ("path-empty", "''"),
    ("path-is-a-folder", "trace"),
    ("path-is-a-file", "file"),
    ("path-under-a-file", "file/sock"),
    ("path-in-no-folder", "no/such/folder"),
    ("path-not-ascii", "\u{e4}\u{1f980}"),
    ("path-of-107", "{p*107}"),
    ("path-of-108", "{p*108}"),
    ("path-of-200", "{p*200}"),
    ("path-of-100000", "{p*100000}"),
    ("two-paths", "one two"),
];

/// What a program may do though an invariant forbids it, since C does so and that is defined. The
/// reasons are under "Kept as in C" in the groups' texts.
const KEPT: [(&str, &str, &str, &str); 15] = [
    ("udpclient udpconnectclient* udp10_client unixdataclient unix30_udp_client", "server-leaves", "waits", "it waits for an answer without a time limit"),
    ("udpclient udp10_client", "nobody-there", "waits", "a socket that is not connected is not told of a refusal"),
    ("udpconnectclient*", "answer-of-a-stranger", "waits", "a connected socket does not receive from strangers"),
    ("udpclient udpconnectclient* unixdataclient unixstreamclient upperclient", "stdin-closed", "waits", "its socket is descriptor 0, and it reads lines from that"),
    ("upperclient", "line-nul line-nul-first", "waits", "it sends nothing for a line that begins with NUL"),
    ("unixdataclient", "line-of-0 line-of-4095 line-nul line-nul-first line-newlines", "waits", "its server has ended at an empty message"),
    ("unixdataserver", "message-of-0 line-of-0 line-of-4095 line-nul line-nul-first line-newlines", "ends", "an empty datagram is the end"),
    ("unixdataserver", "sends-and-leaves stranger client-anonymous client-name-of-108", "ends", "an answer that cannot be delivered ends it"),
    ("udpconnectserver", "sends-and-leaves two-by-turns", "ends", "a connected socket is told of the refusal"),
    ("udpconnectserver", "goodbye-first", "ends", "goodbye ends it"),
    ("unixstreamserver upperserver unix20_tcp_server", "sends-and-leaves connects-and-leaves", "SIGPIPE", "its client is gone"),
    ("tcp20_server", "breaks-off", "SIGPIPE", "its client is gone"),
    ("unixstreamclient upperclient unix20_tcp_client", "server-leaves-at-once server-leaves-after-an-answer", "SIGPIPE", "its server is gone"),
    ("tcp10_client", "nobody-there", "SIGPIPE", "it sends without a connection"),
    ("tcp10_server tcp20_server", "stdout-closed", "SIGPIPE", "the socket that listens is descriptor 1"),
];

/// Where the port may differ from C, since it is fixed; everywhere else it may not. What is not defined
/// in C may look right all the same.
const FIXED: [(&str, &str, &str); 16] = [
    ("tcp20_server tcp30_server", "*", "the HTTP status line and length"),
    ("unixdataserver", "*", "client_len before recvfrom"),
    ("unixdataclient", "line-*", "client_len before recvfrom, in its server"),
    ("udpserver udpconnectserver", "*-of-4096 *-of-4097 *-of-65507", "no room for the NUL"),
    ("unixstreamserver unixstreamclient", "line-of-4091 *-of-4092 *-of-4095 *-of-4096 *-of-4097 *-of-65507 *-of-1048576", "no room for the NUL or \"Hi, \""),
    ("udpclient udpconnectclient*", "line-of-409* line-of-65507 line-of-1048576 line-nul*", "no room for \"Hi, \" in its server; index -1"),
    ("udp10_* udp20_server unix20_* unix30_* tcp10_server", "*-of-1024 *-of-1025 *-of-65507", "no room for the NUL"),
    ("unixstreamclient", "answer-of-1", "an answer without a NUL"),
    ("udpconnectserver", "five-at-once two-by-turns three-*", "a message without a NUL keeps the tail of the one before"),
    ("udpconnectserver", "sends-and-leaves two-by-turns", "an error of recv that is stored unsigned"),
    ("udpclient udpconnectclient*", "address-*", "inet_pton or sendto unchecked"),
    ("unixstreamserver unixstreamclient unixdataclient", "path-of-1* path-of-200", "a path past sun_path"),
    ("unixstreamserver upperserver", "answer-unread", "read unchecked"),
    ("unixstreamclient upperclient", "server-leaves-without-reading", "read unchecked"),
    ("unix30_udp_server upperserver", "client-anonymous client-name-*", "an address that the kernel has not filled in, or without a NUL"),
    ("unix30_udp_client", "nobody-there server-is-a-file", "sendto unchecked"),
];

/// A scene, and the program that its input is for.
pub struct Case {
    pub program: &'static str,
    /// PROGRAM/INPUT.
    pub scene: Scene,
    pub text: String,
}

/// The steps of a case in the making.
struct Script<'a> {
    program: &'a Program,
    text: String,
    /// Who has been started and not waited for.
    started: Vec<String>,
    honest: usize,
}

impl Script<'_> {
    fn new(program: &Program) -> Script<'_> {
        Script { program, text: String::new(), started: Vec::new(), honest: 0 }
    }

    /// Appends these steps.
    fn steps(&mut self, steps: &str) {
        let Program { kind, address, .. } = self.program;
        for step in steps.lines() {
            let who = step.split(' ').next().unwrap_or_default();
            if step.contains(" $ ") && !step.contains("$ fg") {
                self.started.push(who.to_owned());
            }
            let command = format!("{}{}", self.program.name, self.program.arguments);
            self.text += &step.replace("{S}", &connect(kind, address, &format!("{who}.sock"))).replace("{B}", &listen(kind, address)).replace("{K}", kind).replace("{C}", &command);
            self.text.push('\n');
        }
    }

    /// Ends who was started: with ^C if need be, which is an error for one that should end by itself.
    fn end(&mut self, who: &str) {
        if self.started.iter().any(|started| started == who) {
            self.started.retain(|started| started != who);
            self.text += &format!("{who} ^C\n{who} = SIGINT\n");
        }
    }

    fn end_others(&mut self) {
        for who in self.started.clone().iter().filter(|who| *who != "server") {
            self.end(who);
        }
    }

    /// A file with these bytes.
    fn file(&mut self, path: &str, bytes: &[u8]) {
        // Runs by length: an argument is limited to 128 KiB.
        let print = |run: &[u8]| match run.len() {
            ..100 => format!("printf \"{}\"", format!("\\\\{:03o}", run[0]).repeat(run.len())),
            len => format!("head -c {len} /dev/zero | tr \"\\\\000\" \"\\\\{:03o}\"", run[0]),
        };
        let prints: Vec<String> = bytes.chunk_by(|one, other| one == other).map(print).collect();
        self.steps(&format!("writer $ sh -c '({}) > {path}'", prints.join("; ")));
        self.end("writer");
    }

    /// An honest client of the server that runs.
    fn honest_client(&mut self) {
        self.honest += 1;
        let receive = if self.program.is_stream() { TO_THE_END } else { "recv" };
        let who = format!("honest{}", self.honest);
        self.steps(&format!("{who} $ lab sock -c '{{S}}; send g1; {receive}'"));
        self.end(&who);
    }

    /// An honest server, and the program as its client.
    fn honest_server(&mut self) {
        self.honest += 1;
        let serve = match (self.program.role, self.program.is_stream()) {
            (Role::Reads(_), false) => "recvfrom; sendto sender Hi, g1; recvfrom; sendto sender Hi, g2",
            (Role::Reads(_), true) => "read; send Hi, g1{LF}; read; send Hi, g2{LF}; read",
            (_, false) => "recvfrom; sendto sender hello",
            (_, true) => "read; send hello",
        };
        let (input, who) = (if matches!(self.program.role, Role::Reads(_)) { " < honest" } else { "" }, format!("honest{}", self.honest));
        self.clear();
        self.steps(&format!("{who} $ lab sock -c '{{B}}; {serve}'\nhonestclient{} $ {{C}}{input}", self.honest));
        self.end(&format!("honestclient{}", self.honest));
        self.end(&who);
    }

    /// Removes the socket of a server that was there before.
    fn clear(&mut self) {
        if matches!(self.program.kind, "dgram" | "stream") {
            self.steps(&format!("writer $ rm -f {}", self.program.address));
            self.end("writer");
        }
    }
}

/// The commands of `lab sock` that say that no more comes, and receive until the other side says so.
const TO_THE_END: &str = "shutdown SHUT_WR; recv 1000000 MSG_WAITALL";

/// Those that make a socket and connect it.
fn connect(kind: &str, address: &str, from: &str) -> String {
    let bind = if matches!(kind, "dgram" | "stream") && !from.is_empty() { format!("bind {from}; ") } else { String::new() };
    format!("socket {kind}; {bind}connect {address}")
}

/// Those that make a server's socket; of a stream with a client.
fn listen(kind: &str, address: &str) -> String {
    match kind {
        "stream" | "tcp" => format!("socket {kind}; {}bind {address}; listen; accept", if kind == "tcp" { "setsockopt SO_REUSEADDR 1; " } else { "" }),
        _ => format!("socket {kind}; bind {address}"),
    }
}

/// Bytes as a word of `lab sock`'s, in its notation.
fn word(bytes: &[u8]) -> String {
    let special = |c: char| if matches!(c, '\'' | '"' | '\\' | ';' | ' ' | '#' | '{') { format!("{{x{:02x}}}", u32::from(c)) } else { c.to_string() };
    match bytes {
        [] => "\"\"".to_owned(),
        // In notation, braces are its own.
        _ if bytes.contains(&b'{') => bytes.chunk_by(|one, other| (*one == b'{') == (*other == b'{')).map(|part| if part[0] == b'{' { special('{').repeat(part.len()) } else { word(part) }).collect(),
        _ => notation(bytes).chars().map(|c| if c == '{' { c.to_string() } else { special(c) }).collect(),
    }
}

/// Takes a case: its name, and what writes its steps.
type Add<'a> = dyn FnMut(&str, &dyn Fn(&mut Script)) + 'a;

impl Program {
    /// How many bytes messages and lines have: none, one, around its buffer, with "Hi, " before them, and many.
    fn sizes(&self) -> [usize; 8] {
        [0, 1, self.room - 5, self.room - 4, self.room - 1, self.room, self.room + 1, 65507]
    }

    fn is_stream(&self) -> bool {
        matches!(self.kind, "stream" | "tcp")
    }

    /// Its cases: what each is called, and its steps.
    fn cases(&self) -> Vec<(String, String)> {
        let mut cases = Vec::new();
        let mut add = |name: &str, make: &dyn Fn(&mut Script)| {
            let mut script = Script::new(self);
            make(&mut script);
            script.end_others();
            script.end("server");
            cases.push((name.to_owned(), script.text));
        };
        match self.role {
            Role::Serves | Role::ServesOne | Role::Ends => self.server_cases(&mut add),
            Role::Reads(server) => {
                self.client_cases(&mut add);
                self.reader_cases(server, &mut add);
            }
            Role::Sends => self.client_cases(&mut add),
            Role::Alone => self.lone_cases(&mut add),
        }
        cases
    }

    fn server_cases(&self, add: &mut Add) {
        // Someone honest before, if the server serves others, too; and after, in it and in a new one.
        let around = |script: &mut Script, arguments: &str, rest: &str, steps: &str| {
            let serves = self.role == Role::Serves;
            // One that serves a single client, and has none, waits for it.
            if serves || !steps.is_empty() {
                script.steps(&format!("server $ {}{arguments}{rest}", self.name));
            }
            if serves {
                script.honest_client();
            }
            script.steps(steps);
            script.end_others();
            if serves {
                script.honest_client();
            }
            script.end("server");
            script.steps("server $ {C}");
            script.honest_client();
        };
        let usual = |script: &mut Script, steps: &str| around(script, self.arguments, "", steps);
        add("nothing", &|script| usual(script, ""));
        let held = |send: &str| if self.is_stream() { format!("server ^Z\nother $ lab sock -c '{{S}}; {send}{TO_THE_END}'\nserver $ fg") } else { format!("other $ lab sock -c '{{S}}; {send}recv'") };
        for size in self.sizes().into_iter().filter(|size| *size > 0 || !self.is_stream()) {
            add(&format!("message-of-{size}"), &|script| usual(script, &held(&format!("send {}; ", word(&vec![b'x'; size])))));
        }
        for (name, bytes) in odd() {
            add(&format!("message-{name}"), &|script| usual(script, &held(&format!("send {}; ", word(&bytes)))));
        }
        for (name, steps) in if self.is_stream() { &TO_STREAM_SERVERS as &[_] } else { &TO_DATAGRAM_SERVERS } {
            // tcp10_server gives no answer, and if it is the first to close, its port is taken for a minute.
            let leaves_out = (*name == "breaks-off" && self.kind != "tcp") || (*name == "answer-unread" && self.name == "tcp10_server");
            if !leaves_out {
                add(name, &|script| usual(script, steps));
            }
        }
        for (name, from) in NAMES.iter().filter(|_| matches!(self.kind, "dgram" | "stream")) {
            let connect = connect(self.kind, self.address, from);
            add(&format!("client-{name}"), &|script| usual(script, &held("send g1; ").replace("{S}", &connect)));
        }
        for (name, rest) in REDIRECTIONS {
            add(name, &|script| around(script, self.arguments, rest, &held("send g1; ")));
        }
        if self.arguments.is_empty() {
            add("arguments", &|script| around(script, ARGUMENTS, "", &held("send g1; ")));
        } else {
            for (name, path) in PATHS {
                add(name, &|script| {
                    script.file("file", b"precious");
                    script.steps(&format!("refused $ {} {path}", self.name));
                    script.end_others();
                    around(script, self.arguments, "", "");
                });
            }
        }
    }

    fn client_cases(&self, add: &mut Add) {
        let after = |script: &mut Script, steps: &str| {
            script.honest = 1;
            script.file("honest", b"g1\ng2\n");
            script.clear();
            script.steps(steps);
            if matches!(self.role, Role::Reads(_)) && steps.contains("client <") {
                script.steps("client ^D");
            }
            // Who answers from a socket that was bound stays until the client has ended.
            script.end("client");
            script.end_others();
            script.honest_server();
        };
        add("nothing", &|script| {
            script.file("honest", b"g1\ng2\n");
            script.honest_server();
            script.honest_server();
        });
        let answers = self.sizes().map(|size| (format!("of-{size}"), vec![b'x'; size])).into_iter().chain(odd().map(|(name, bytes)| (name.to_owned(), bytes)));
        for (name, answer) in answers.filter(|(_, answer)| !answer.is_empty() || !self.is_stream()) {
            let answer = word(&answer);
            let (serve, input) = match (self.role, self.is_stream()) {
                (Role::Reads(_), false) => (format!("recvfrom; sendto sender Hi, g1; recvfrom; sendto sender {answer}; recvfrom"), " < honest"),
                (Role::Reads(_), true) => (format!("read; send Hi, g1{{LF}}; read; send {answer}; read"), " < honest"),
                (_, false) => (format!("recvfrom; sendto sender {answer}"), ""),
                (_, true) => (format!("read; send {answer}; read"), ""),
            };
            add(&format!("answer-{name}"), &|script| after(script, &format!("other $ lab sock -c '{{B}}; {serve}'\nclient $ {{C}}{input}")));
        }
        for (name, steps) in if self.is_stream() { &TO_STREAM_CLIENTS as &[_] } else { &TO_DATAGRAM_CLIENTS } {
            // A client that reads no lines is not typed at.
            let steps: Vec<&str> = steps.lines().filter(|step| self.role != Role::Sends || !step.starts_with("client <")).collect();
            // Whether it has sent by then is a matter of time.
            if self.role != Role::Sends || *name != "server-leaves-at-once" {
                add(name, &|script| after(script, &steps.join("\n")));
            }
        }
        let input = if matches!(self.role, Role::Reads(_)) { " < honest" } else { "" };
        let arguments = if self.arguments.is_empty() { ARGUMENTS } else { "" };
        for (name, rest) in REDIRECTIONS.into_iter().chain([("stdin-a-folder", " < ."), ("arguments", arguments)]).filter(|(_, rest)| !rest.is_empty()) {
            let rest = if rest.contains('<') {
                rest.to_owned()
            } else if rest.contains('>') {
                format!("{input}{rest}")
            } else {
                format!("{rest}{input}")
            };
            let serve = if self.is_stream() { "read; send Hi{LF}; read; send Hi{LF}; recv 1000000 MSG_WAITALL" } else { "recvfrom; sendto sender Hi; recvfrom; sendto sender Hi; recvfrom" };
            add(name, &|script| after(script, &format!("other $ lab sock -c '{{B}}; {serve}'\nclient $ {{C}}{rest}")));
        }
        let arguments = match (self.arguments.is_empty(), self.kind) {
            (true, _) => &[] as &[_],
            (false, "udp") => &ADDRESSES,
            (false, _) => &PATHS,
        };
        for (name, argument) in arguments {
            add(name, &|script| {
                script.file("file", b"precious");
                after(script, &format!("client $ {} {argument}\nclient < g1", self.name));
            });
        }
        if matches!(self.kind, "dgram" | "stream") {
            add("server-is-a-file", &|script| {
                script.file(self.address, b"no socket");
                script.file("honest", b"g1\ng2\n");
                script.honest = 1;
                script.steps(&format!("client $ {{C}}{input}"));
                script.end("client");
                script.honest_server();
            });
        }
    }

    /// The lines that a client reads from a file, with its real server.
    fn reader_cases(&self, server: &str, add: &mut Add) {
        let arguments = PROGRAMS.iter().find(|program| program.name == server).map_or("", |program| program.arguments);
        let lines = self.sizes().into_iter().chain([1 << 20]).map(|size| (format!("of-{size}"), [vec![b'x'; size], b"\n".to_vec()].concat()));
        let odd_lines = odd().map(|(name, bytes)| (name.to_owned(), [bytes, b"\n".to_vec()].concat()));
        let plain = [("none".to_owned(), Vec::new())];
        let unfinished = [("no-newline-at-end".to_owned(), b"end".to_vec()), ("nul-at-end".to_owned(), b"end\0".to_vec())];
        for (name, line) in plain.into_iter().chain(lines).chain(odd_lines).chain(unfinished) {
            add(&format!("line-{name}"), &|script| {
                let ends_line = line.is_empty() || line.ends_with(b"\n");
                script.file("lines", &[b"g1\n" as &[u8], &line[..], if ends_line { b"g2\n" as &[u8] } else { b"" }].concat());
                script.file("honest", b"g1\ng2\n");
                script.honest = 1;
                script.steps(&format!("server $ {server}{arguments}\nclient $ {{C}} < lines"));
                script.end("client");
                script.end("server");
                script.honest_server();
            });
        }
    }

    /// strace holds the child of unix10 back, so that its lines have one order.
    fn lone_cases(&self, add: &mut Add) {
        let traced = |script: &mut Script, rest: &str| {
            script.steps(&format!("pair $ strace -qqq -f -o pair.strace -e trace=recvfrom -e inject=recvfrom:delay_enter=1000000:when=1 {}{rest}", self.name));
            script.end("pair");
        };
        add("nothing", &|script| traced(script, ""));
        for (name, rest) in REDIRECTIONS.into_iter().chain([("arguments", ARGUMENTS)]) {
            add(name, &|script| traced(script, rest));
        }
    }
}

/// The cases of the programs of these names.
pub fn cases(names: &[&str]) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for program in PROGRAMS.iter().filter(|program| names.contains(&program.name)) {
        let group = programs::find(program.name).map_or("", |program| program.group);
        for (input, steps) in program.cases() {
            let name = format!("{}/{input}", program.name);
            let text = format!("```scene {name}\n{steps}```\n");
            let scene = scene::parse(group, Path::new(&name), &text)?.pop().with_context(|| format!("{name} is no scene"))?;
            cases.push(Case { program: program.name, scene, text });
        }
    }
    Ok(cases)
}

/// Plays the cases of one program: the first is the one in which nothing happens.
pub fn run(cases: &[&Case], players: &Players) -> Result<Report> {
    let mut report = Report::default();
    let mut honest = [Honest::default(), Honest::default()];
    for case in cases {
        signals::check()?;
        report.tried += 1;
        let here = players.play(&case.scene, Side::Ports, Watch::Strace(None))?;
        honest[0].learn(case, &here);
        let verdicts = judge(case, &here, &honest[0], false);
        report.wrong.extend(verdicts.iter().map(|verdict| format!("{}: {verdict}", case.scene.name)));
        if players.builds.c.is_none() {
            continue;
        }
        let in_c = players.play(&case.scene, Side::C, Watch::Strace(None))?;
        honest[1].learn(case, &in_c);
        let of_programs = |starts: &[Start]| starts.iter().filter(|start| start.program.is_some()).map(seen).collect::<Vec<_>>();
        let (c, port) = (of_programs(&in_c), of_programs(&here));
        if c == port {
            report.c.count(None);
            continue;
        }
        let verdict = judge(case, &in_c, &honest[1], true).into_iter().min_by_key(|verdict| verdict.kind);
        report.c.count(Some(verdict.as_ref().map_or(Kind::Wrong, |verdict| verdict.kind)));
        let (kind, at) = (verdict.map_or("differs".to_owned(), |verdict| verdict.kind.to_string()), c.iter().flatten().zip(port.iter().flatten()).find(|(c, port)| c != port));
        let difference = format!("{}: {kind}: in C {:.200}, here {:.200}", case.scene.name, at.map_or("", |at| at.0), at.map_or("", |at| at.1));
        match FIXED.iter().find(|(programs, inputs, _)| is_among(case.program, programs) && is_among(case.input(), inputs)) {
            Some((.., why)) => report.in_c.push(format!("{difference} ({why})")),
            None => report.wrong.push(difference),
        }
    }
    Ok(report)
}

/// What honest partners, and clients with plain lines, have on their terminals when nothing happens.
#[derive(Default)]
struct Honest(BTreeMap<String, Vec<String>>);

impl Honest {
    /// The cases in which nothing happens come first.
    fn learn(&mut self, case: &Case, starts: &[Start]) {
        for start in starts.iter().filter(|start| start.who.starts_with("honest") || (start.who == "client" && case.input() == "line-none")) {
            self.0.entry(start.who.clone()).or_insert_with(|| verdict::terminal(start));
        }
    }
}

/// What is compared between C and port: who, terminal, end, and each process's own calls.
fn seen(start: &Start) -> Vec<String> {
    [start.who.clone()].into_iter().chain(verdict::terminal(start)).chain(start.traces.iter().flat_map(Trace::own).map(|line| line.text)).collect()
}

impl Case {
    fn input(&self) -> &str {
        self.scene.name.split('/').nth(1).unwrap_or_default()
    }
}

/// Whether a list of names, in which one `*` stands for any text, has this one.
fn is_among(name: &str, list: &str) -> bool {
    list.split(' ').any(|one| one.split_once('*').map_or(one == name, |(start, end)| name.starts_with(start) && name.ends_with(end)))
}

/// What is wrong with the starts of a case.
fn judge(case: &Case, starts: &[Start], honest: &Honest, is_c: bool) -> Vec<Verdict> {
    let kept = |program: &str, what: &str| !is_c && KEPT.iter().any(|(programs, inputs, kept, _)| is_among(program, programs) && is_among(case.input(), inputs) && *kept == what);
    let stays = |start: &Start| PROGRAMS.iter().any(|row| Some(row.name) == start.program && matches!(row.role, Role::Serves | Role::ServesOne));
    let is_served = !starts.iter().any(|start| stays(start) && start.interrupted.is_none());
    let mut verdicts = Vec::new();
    for start in starts {
        let Start { who, program, .. } = start;
        let (end, lines) = (verdict::end(start), verdict::terminal(start));
        // If descriptor 2 is its socket, what it writes there is no complaint.
        let stderr = if case.input() == "stderr-closed" { String::new() } else { verdict::stderr_of(start) };
        let mut wrong = |kind, why: String| verdicts.push(Verdict::new(kind, format!("{who}: {why}")));
        if let Some(program) = program {
            // Another path is taken or refused.
            let is_refused = who == "refused";
            if let Some(verdict) = verdict::judge(start, &stderr).filter(|_| !kept(program, &end)) {
                wrong(verdict.kind, verdict.why);
            } else if !is_refused && !stays(start) && start.interrupted.is_some() && !kept(program, "waits") {
                wrong(Kind::Hangs, format!("it waits until its ^C: {lines:?}"));
            } else if !is_refused && stays(start) && start.interrupted.is_none() && !kept(program, "ends") {
                wrong(Kind::Wrong, format!("it ended: {lines:?}"));
            }
        }
        let is_as_alone = |alone: &Vec<String>| match who.as_str() {
            // Its first line and, where there is one, its last are plain.
            "client" if case.input().starts_with("line-") && start.interrupted.is_none() => {
                let (first, last) = alone.split_at(alone.len() / 2);
                lines.starts_with(first) && (case.input().ends_with("-at-end") || lines.join("\n").ends_with(&last.join("\n")))
            }
            "client" => true,
            _ => lines == *alone || (who == "honest2" && !is_served),
        };
        if let Some(alone) = honest.0.get(who).filter(|alone| !is_as_alone(alone)) {
            wrong(Kind::Wrong, format!("{lines:?}, and otherwise {alone:?}"));
        }
    }
    verdicts
}
