//! What is sent to the servers that take connections.

use super::Cases;
use super::messages::{REFUSED_PATHS, c_str, counted, first, odd, of};
use crate::script::{Script, word};

/// A server, and what it must do.
#[derive(Clone, Copy)]
struct Server {
    name: &'static str,
    command: &'static str,
    kind: &'static str,
    address: &'static str,
    /// How many bytes it takes at a time.
    room: usize,
    sizes: &'static [usize],
    /// Whether a client must have a path of its own.
    asks_for_path: bool,
    /// Whether it takes one message of a connection, and not all that come.
    takes_one: bool,
    /// Whether it goes on with the next connection.
    runs_on: bool,
    /// What it says at its first start, and at a later one in the same place.
    banner: [&'static str; 2],
    /// What it says when someone connects, with the number of the connection's descriptor.
    linked: fn(&str, bool) -> String,
    /// What it says and answers to what it has read.
    react: fn(&[u8]) -> Reaction,
    /// What it says at the end of a connection, from which it need not have read anything.
    quits: &'static str,
}

struct Reaction {
    says: Vec<u8>,
    answer: Vec<u8>,
}

const COURSE: &[usize] = &[1, 4091, 4092, 4095, 4096, 4097, 8192, 65507];
const NOTES: &[usize] = &[1, 1023, 1024, 1025, 4096, 65507];

const HTTP: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\nhello, world";

const SERVERS: [Server; 6] = [
    Server {
        name: "unixstreamserver",
        command: "unixstreamserver unixstream.sock",
        kind: "stream",
        address: "unixstream.sock",
        room: 4096,
        sizes: COURSE,
        asks_for_path: false,
        takes_one: false,
        runs_on: false,
        banner: [""; 2],
        linked: |_, _| String::new(),
        react: |message| {
            let mut answer = [b"Hi, ", c_str(message)].concat();
            answer.truncate(4095);
            answer.resize(4096, 0);
            Reaction { says: [b"Receive: ", c_str(message)].concat(), answer }
        },
        quits: "client quit",
    },
    Server {
        name: "upperserver",
        command: "upperserver",
        kind: "stream",
        address: "foo.socket",
        room: 1024,
        sizes: NOTES,
        asks_for_path: true,
        takes_one: false,
        runs_on: false,
        banner: [""; 2],
        linked: |_, _| String::new(),
        react: |message| Reaction { says: Vec::new(), answer: message.to_ascii_uppercase() },
        quits: "the other side has been closed.\n",
    },
    Server {
        name: "unix20_tcp_server",
        command: "unix20_tcp_server",
        kind: "stream",
        address: "/tmp/unix_tcp",
        room: 1024,
        sizes: NOTES,
        asks_for_path: false,
        takes_one: true,
        runs_on: false,
        banner: [
            "bind returnValue=0\r\nerrno=2,No such file or directory\r\nlisten returnValue=0\r\nerrno=2,No such file or directory\r\n",
            "bind returnValue=0\r\nerrno=0,Success\r\nlisten returnValue=0\r\nerrno=0,Success\r\n",
        ],
        linked: |fd, is_first| format!("connfd={fd}\r\nerrno={}\r\n", if is_first { "2,No such file or directory" } else { "0,Success" }),
        react: |message| Reaction { says: [format!("server recv bytes={},msg=", message.len()).as_bytes(), c_str(message), b"\r\nserver send bytes=6\r\n"].concat(), answer: b"server".to_vec() },
        quits: "",
    },
    Server {
        name: "tcp10_server",
        command: "tcp10_server",
        kind: "tcp",
        address: "127.0.0.1:9501",
        room: 1024,
        sizes: NOTES,
        asks_for_path: false,
        takes_one: true,
        runs_on: false,
        banner: ["tcp server start,pid={pid}\r\nerrno=0,Success\r\nbind returnValue=0\r\nerrno=0,Success\r\nlisten returnValue=0\r\nerrno=0,Success\r\n"; 2],
        linked: |fd, _| format!("client linked,connfd={fd}\r\nerrno=0,Success\r\n"),
        react: |message| Reaction { says: [format!("receive bytes={},msg=", message.len()).as_bytes(), c_str(message), b"\r\nerrno=0,Success\r\n"].concat(), answer: Vec::new() },
        quits: "",
    },
    Server {
        name: "tcp20_server",
        command: "tcp20_server",
        kind: "tcp",
        address: "127.0.0.1:9501",
        room: 1024,
        sizes: NOTES,
        asks_for_path: false,
        takes_one: true,
        runs_on: false,
        banner: ["tcp server start,pid={pid}\r\nbind returnValue=0\r\nlisten returnValue=0\r\n"; 2],
        linked: |fd, _| format!("client linked,connfd={fd}\r\n"),
        react: http,
        quits: "",
    },
    Server {
        name: "tcp30_server",
        command: "tcp30_server",
        kind: "tcp",
        address: "127.0.0.1:9501",
        room: 1024,
        sizes: NOTES,
        asks_for_path: false,
        takes_one: true,
        runs_on: true,
        banner: ["tcp server start,pid={pid}\r\nbind returnValue=0listen returnValue=0\r\n"; 2],
        linked: |fd, _| format!("client linked,connfd={fd}\r\n"),
        react: http,
        quits: "",
    },
];

fn http(message: &[u8]) -> Reaction {
    let says = [format!("receive bytes={},msg=", message.len()).as_bytes(), c_str(message), b"\r\nsend bytes=76\r\n"].concat();
    Reaction { says, answer: HTTP.into() }
}

/// What ends a server that cannot write, or read.
enum Loss {
    SigPipe,
    Reset,
}

/// A scene with one server and those who connect to it.
struct Stage {
    script: Script,
    server: Server,
    starts: usize,
    runs: bool,
    /// The descriptor that the next connection has.
    fd: &'static str,
}

impl Stage {
    fn empty(server: &Server) -> Stage {
        Stage { script: Script::default(), server: *server, starts: 0, runs: false, fd: "4" }
    }

    fn new(server: &Server) -> Stage {
        let mut stage = Stage::empty(server);
        stage.start("");
        stage
    }

    fn start(&mut self, rest: &str) {
        self.script.start("server", &format!("{}{rest}", self.server.command));
        self.script.says("server", self.server.banner[self.starts.min(1)]);
        // The socket that listens takes the place of what is closed.
        self.fd = if rest.contains("&-") { "3" } else { "4" };
        (self.starts, self.runs) = (self.starts + 1, true);
    }

    fn ends(&mut self, how: &str) {
        self.script.ends("server", how);
        self.runs = false;
    }

    /// The command of a peer that sends these texts in that manner.
    fn send(&mut self, who: &str, manner: &str, texts: &[&[u8]]) {
        let from = if self.server.asks_for_path { format!(" --from {who}.sock") } else { String::new() };
        let texts: Vec<String> = texts.iter().map(|text| word(text)).collect();
        let command = format!("lab peer send{from}{manner} {} {} {}", self.server.kind, self.server.address, texts.join(" "));
        self.script.start(who, command.trim_end());
    }

    fn links(&mut self) {
        let says = (self.server.linked)(self.fd, self.starts == 1);
        self.script.says("server", says);
    }

    /// What the server does for these texts, each of which comes by itself; its answers.
    fn serve(&mut self, texts: &[&[u8]]) -> Vec<u8> {
        let room = self.server.room;
        let mut answers = Vec::new();
        let reads: Vec<&[u8]> = match self.server.takes_one {
            true => texts.first().map(|text| first(room, text)).into_iter().collect(),
            false => texts.iter().flat_map(|text| text.chunks(room)).collect(),
        };
        for read in reads {
            let reaction = (self.server.react)(read);
            self.script.says("server", reaction.says);
            answers.extend(reaction.answer);
        }
        answers
    }

    fn quits(&mut self) {
        self.script.says("server", self.server.quits);
        if !self.server.runs_on {
            self.ends("0");
        }
    }

    /// Someone sends these texts, says that no more comes, and takes all answers. The server looks
    /// when all that has happened: so it is not the first to close, and a part is not a message.
    fn exchange(&mut self, name: &str, texts: &[&[u8]]) {
        let who = self.script.actor(name);
        self.script.step("server", "^Z");
        self.send(&who, " --count --shut --to-end", texts);
        self.script.step("server", "$ fg");
        self.links();
        let all = texts.concat();
        let answers = self.serve(&[&all]);
        self.quits();
        self.script.says(&who, counted(&answers));
        // Whoever closes with bytes unread breaks the connection off; tcp30_server reads them.
        if self.server.takes_one && !self.server.runs_on && all.len() > self.server.room {
            self.script.complains(&who, "lab: Connection reset by peer (os error 104)");
            self.script.ends(&who, "1");
        } else {
            self.script.ends(&who, "0");
        }
    }

    fn honest(&mut self) {
        if !self.runs {
            self.start("");
        }
        self.exchange("honest", &[b"g1"]);
    }

    /// The end of a scene: someone who means well comes once more.
    fn close(mut self) -> Script {
        self.honest();
        if self.runs {
            self.script.step("server", "^C");
            self.ends("SIGINT");
        }
        self.script
    }

    /// The server ends by what a client has done to it.
    fn is_lost(&mut self, loss: &Loss) {
        match loss {
            Loss::SigPipe => self.ends("SIGPIPE"),
            Loss::Reset => {
                self.script.complains("server", "read failed: Connection reset by peer (104)");
                self.ends("1");
            }
        }
    }
}

pub fn add(cases: &mut Cases) {
    for server in &SERVERS {
        if !cases.want(server.name) {
            continue;
        }
        let name = server.name;
        for size in server.sizes {
            cases.add(name, format!("message-of-{size}"), message(server, &of(*size)));
        }
        for (what, text) in odd() {
            cases.add(name, what, message(server, &text));
        }
        cases.add(name, "connects-and-leaves", connects_and_leaves(server));
        cases.add(name, "sends-and-leaves", sends_and_leaves(server));
        cases.add(name, "answer-unread", answer_unread(server));
        cases.add(name, "says-nothing-more", says_nothing_more(server));
        cases.add(name, "three-pieces", three_pieces(server));
        cases.add(name, "three-at-once", three_at_once(server));
        for (what, rest) in [("stdin-closed", " <&-"), ("stdin-empty", " </dev/null"), ("stdout-full", " >/dev/full"), ("stdout-closed", " >&-"), ("stderr-closed", " 2>&-")] {
            cases.add(name, what, redirected(server, rest));
        }
        if server.kind == "tcp" {
            cases.add(name, "breaks-off", breaks_off(server));
        }
        if name != "unixstreamserver" {
            cases.add(name, "arguments", redirected(server, " '' {a*100000} 255.255.255.255 /"));
        }
    }
    let [unixstreamserver, upperserver, unix20_tcp_server, ..] = &SERVERS;
    names(cases, upperserver);
    for server in [unixstreamserver, unix20_tcp_server] {
        cases.add(server.name, "names-in-turn", names_in_turn(server));
    }
    paths(cases, unixstreamserver);
    for server in [upperserver, unix20_tcp_server] {
        // It is removed, whatever is in it.
        let mut stage = Stage::empty(server);
        stage.script.file(server.address, b"precious");
        stage.starts = 1;
        cases.add(server.name, "path-is-a-file", stage.close());
    }
}

/// One hostile message, then an honest one, of someone else.
fn message(server: &Server, text: &[u8]) -> Script {
    let mut stage = Stage::new(server);
    if server.runs_on {
        stage.honest();
    }
    stage.exchange("hostile", &[text]);
    stage.close()
}

fn connects_and_leaves(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.step("server", "^Z");
    stage.send("hostile", "", &[]);
    stage.script.ends("hostile", "0");
    stage.script.step("server", "$ fg");
    stage.links();
    match server.name {
        "unix20_tcp_server" => {
            stage.script.says("server", "server recv bytes=0,msg=\r\n");
            stage.is_lost(&Loss::SigPipe);
        }
        "tcp30_server" => stage.script.says("server", "client close,connfd=4\r\n"),
        _ if server.takes_one => {
            stage.serve(&[b""]);
            stage.quits();
        }
        _ => stage.quits(),
    }
    stage.close()
}

/// Someone who has left before the server reads.
fn sends_and_leaves(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.step("server", "^Z");
    stage.send("hostile", " --leave", &[b"g1"]);
    stage.script.ends("hostile", "0");
    stage.script.step("server", "$ fg");
    stage.links();
    match server.name {
        "unix20_tcp_server" => {
            stage.script.says("server", "server recv bytes=2,msg=g1\r\n");
            stage.is_lost(&Loss::SigPipe);
        }
        _ if server.kind == "stream" => {
            if server.name == "unixstreamserver" {
                stage.script.says("server", "Receive: g1");
            }
            stage.is_lost(&Loss::SigPipe);
        }
        _ => {
            stage.serve(&[b"g1"]);
            stage.quits();
        }
    }
    stage.close()
}

/// Someone who leaves when the answer is there.
fn answer_unread(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    if server.name == "tcp10_server" {
        // There is no answer: someone leaves when nothing comes any more.
        stage.exchange("hostile", &[b"g1"]);
        return stage.close();
    }
    if server.takes_one {
        // That the server ends is seen as an answer, too; so it is held until the client has left.
        stage.script.step("server", "^Z");
        stage.send("hostile", " --at-once --unread --shut", &[b"g1"]);
        stage.script.step("server", "$ fg");
        stage.links();
        stage.serve(&[b"g1"]);
        stage.quits();
        stage.script.ends("hostile", "0");
        return stage.close();
    }
    stage.send("hostile", " --unread", &[b"g1"]);
    stage.script.ends("hostile", "0");
    stage.serve(&[b"g1"]);
    stage.is_lost(&Loss::Reset);
    stage.close()
}

/// Someone who keeps the connection and sends nothing but an end of input.
fn says_nothing_more(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.step("server", "^Z");
    stage.send("hostile", " --count --shut --to-end", &[]);
    stage.script.step("server", "$ fg");
    stage.links();
    let answers = match server.name {
        "tcp30_server" => {
            stage.script.says("server", "client close,connfd=4\r\n");
            Vec::new()
        }
        _ if server.takes_one => {
            let answers = stage.serve(&[b""]);
            stage.quits();
            answers
        }
        _ => {
            stage.quits();
            Vec::new()
        }
    };
    stage.script.says("hostile", counted(&answers));
    stage.script.ends("hostile", "0");
    stage.close()
}

/// A message in three pieces: each that the server reads by itself is a message to it.
fn three_pieces(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    let texts: [&[u8]; 3] = [b"one", b"t", b"hree\n"];
    if server.takes_one {
        // The client has one piece to send and, when that is answered, no one to send the next to.
        stage.send("hostile", " --step --leave --stay", &texts[..1]);
        stage.script.step("hostile", "<");
        stage.links();
        stage.serve(&texts);
        stage.quits();
        stage.script.step("hostile", "^D");
        stage.script.ends("hostile", "0");
        if server.kind == "tcp" && !server.runs_on {
            // It was the first to close, and its port is kept for a minute.
            return stage.script;
        }
        return stage.close();
    }
    stage.send("hostile", " --count --step", &texts);
    for text in texts {
        stage.script.step("hostile", "<");
        let answer = stage.serve(&[text]);
        stage.script.says("hostile", counted(&answer));
    }
    stage.quits();
    stage.script.ends("hostile", "0");
    stage.close()
}

/// Three messages at once are one to a stream.
fn three_at_once(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.exchange("hostile", &[b"one", b"two\n", &[b'z'; 700]]);
    stage.close()
}

/// Someone who breaks the connection off before the server reads.
fn breaks_off(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.step("server", "^Z");
    stage.send("hostile", " --reset", &[b"g1"]);
    stage.script.ends("hostile", "0");
    stage.script.step("server", "$ fg");
    stage.links();
    match server.name {
        // What came before the break is read all the same.
        "tcp10_server" => {
            stage.serve(&[b"g1"]);
            stage.quits();
        }
        "tcp20_server" => {
            stage.script.says("server", "receive bytes=2,msg=g1\r\n");
            stage.is_lost(&Loss::SigPipe);
        }
        _ => stage.script.says("server", "receive bytes=2,msg=g1\r\nsend bytes=-1\r\n"),
    }
    stage.close()
}

/// A server with other descriptors, or with arguments that it does not look at.
fn redirected(server: &Server, rest: &str) -> Script {
    let mut stage = Stage::empty(server);
    stage.start(rest);
    stage.script.step("server", "^Z");
    stage.send("client", " --count --shut --to-end", &[b"g1"]);
    stage.script.step("server", "$ fg");
    stage.links();
    let answers = stage.serve(&[b"g1"]);
    if server.runs_on {
        stage.script.says("client", counted(&answers));
        stage.script.ends("client", "0");
        stage.script.step("server", "^C");
        stage.ends("SIGINT");
        return stage.close();
    }
    stage.script.says("server", server.quits);
    stage.script.says("client", counted(&answers));
    stage.script.ends("client", "0");
    // What is printed goes to the socket that listens, which nobody can write to.
    let is_lost = rest == " >&-" && server.takes_one;
    stage.ends(if is_lost && server.kind == "tcp" { "SIGPIPE" } else { "0" });
    stage.close()
}

/// Whom upperserver takes for a client: a path that it finds.
fn names(cases: &mut Cases, server: &Server) {
    for (what, from, is_served) in [
        ("client-of-1", " --from n", true),
        ("client-of-107", " --from {c*107}", true),
        ("client-of-108", " --from {c*108}", true),
        ("client-not-ascii", " --from \u{e4}\u{1f980}", true),
        ("client-abstract", " --from {NUL}c", false),
        ("client-anonymous", "", false),
    ] {
        let mut stage = Stage::new(server);
        stage.script.step("server", "^Z");
        stage.script.start("hostile", &format!("lab peer send{from} --count --shut --to-end stream foo.socket g1"));
        stage.script.step("server", "$ fg");
        if is_served {
            let answers = stage.serve(&[b"g1"]);
            stage.script.says("hostile", counted(&answers));
            stage.quits();
            stage.script.ends("hostile", "0");
        } else {
            stage.script.complains("server", "a bad filename: No such file or directory");
            stage.ends("255");
            stage.script.says("hostile", counted(b""));
            stage.script.complains("hostile", "lab: Connection reset by peer (os error 104)");
            stage.script.ends("hostile", "1");
        }
        cases.add(server.name, what, stage.close());
    }
}

/// Clients without a name, with one of 107 bytes, of one, of 108, each on a server of its own.
fn names_in_turn(server: &Server) -> Script {
    let mut stage = Stage::empty(server);
    for (who, from) in [("nobody", ""), ("long", " --from {c*107}"), ("short", " --from n"), ("longer", " --from {c*108}"), ("name", " --from {NUL}c")] {
        stage.start("");
        stage.script.step("server", "^Z");
        stage.script.start(who, &format!("lab peer send{from} --count --shut --to-end stream {} g1", server.address));
        stage.script.step("server", "$ fg");
        stage.links();
        let answers = stage.serve(&[b"g1"]);
        stage.quits();
        stage.script.says(who, counted(&answers));
        stage.script.ends(who, "0");
    }
    stage.script
}

/// What stands in the place of unixstreamserver's path.
fn paths(cases: &mut Cases, server: &Server) {
    for (what, argument, complaint) in REFUSED_PATHS {
        let mut stage = Stage::empty(server);
        stage.script.file("file", b"not a folder");
        stage.script.start("refused", &format!("unixstreamserver {argument}"));
        stage.script.complains("refused", &complaint.replace("PROGRAM", server.name));
        stage.script.ends("refused", "1");
        cases.add(server.name, what, stage.close());
    }
    for (what, path) in [("path-of-107", "{p*107}"), ("path-not-ascii", "\u{e4}\u{1f980}"), ("path-empty", "''")] {
        let mut stage = Stage::empty(server);
        // An empty path is that of an abstract socket: 107 NUL bytes behind the first.
        let address = if path == "''" { "{NUL*108}" } else { path };
        stage.script.start("server", &format!("unixstreamserver {path}"));
        stage.script.start("client", &format!("lab peer send --count stream {address} g1"));
        let answers = stage.serve(&[b"g1"]);
        stage.script.says("client", counted(&answers));
        stage.script.ends("client", "0");
        stage.quits();
        cases.add(server.name, what, stage.close());
    }
    let mut stage = Stage::empty(server);
    stage.script.file(server.address, b"precious");
    cases.add(server.name, "path-is-a-file", stage.close());
}
