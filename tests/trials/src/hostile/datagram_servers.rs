//! What is sent to the servers that take datagrams.

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
    /// How many bytes of a message it takes.
    room: usize,
    /// The sizes of messages that are near to something that matters.
    sizes: &'static [usize],
    /// Whether it goes on to serve others.
    serves_all: bool,
    /// What it says at its first start, and at a later one in the same place.
    banner: [&'static str; 2],
    /// What it says and answers to a message that it has taken, the how manieth, from which port.
    react: fn(&[u8], usize, &str) -> Reaction,
    /// What it says at a Ctrl-C after so many messages, and how it ends.
    interrupted: fn(usize) -> (String, &'static str),
}

#[derive(Default)]
struct Reaction {
    says: Vec<u8>,
    answer: Option<Vec<u8>>,
    /// The status, if it ends.
    end: Option<&'static str>,
}

const COURSE: &[usize] = &[0, 1, 4091, 4092, 4093, 4094, 4095, 4096, 4097, 65507];
const NOTES: &[usize] = &[0, 1, 1023, 1024, 1025, 4096, 65507];

const UDP10_BANNER: &str = "udp server start,pid={pid}\r\nbind returnValue=0\r\nerrno=0,Success\r\n";

const SERVERS: [Server; 6] = [
    Server {
        name: "udpserver",
        command: "udpserver",
        kind: "udp",
        address: "127.0.0.1:43211",
        room: 4096,
        sizes: COURSE,
        serves_all: true,
        banner: ["", ""],
        react: |message, _, _| Reaction { says: received(message), answer: Some(hi(message)), end: None },
        interrupted: |served| (format!("received {served} datagrams\n"), "0"),
    },
    Server {
        name: "udp10_server",
        command: "udp10_server",
        kind: "udp",
        address: "127.0.0.1:9501",
        room: 1024,
        sizes: NOTES,
        serves_all: false,
        banner: [UDP10_BANNER, UDP10_BANNER],
        react: |message, _, port| Reaction { end: Some("0"), ..notes(message, port) },
        interrupted: |_| (String::new(), "SIGINT"),
    },
    Server {
        name: "udp20_server",
        command: "udp20_server",
        kind: "udp",
        address: "127.0.0.1:9501",
        room: 1024,
        sizes: NOTES,
        serves_all: true,
        banner: [UDP10_BANNER, UDP10_BANNER],
        react: |message, _, port| notes(message, port),
        interrupted: |_| (String::new(), "SIGINT"),
    },
    Server {
        name: "udpconnectserver",
        command: "udpconnectserver",
        kind: "udp",
        address: "127.0.0.1:43211",
        room: 4096,
        sizes: COURSE,
        serves_all: false,
        banner: ["", ""],
        react: |message, nth, _| {
            let mut says = if nth == 0 { received(message) } else { Vec::new() };
            if message.starts_with(b"goodbye") {
                return Reaction { says, answer: None, end: Some("0") };
            }
            let answer = hi(message);
            says.extend(format!("send bytes: {} \n", answer.len()).bytes());
            Reaction { says, answer: Some(answer), end: None }
        },
        // The first is not counted, and the count ends the line of what was said last.
        interrupted: |served| (format!("received {} datagrams\n", served.saturating_sub(1)), "0"),
    },
    Server {
        name: "unixdataserver",
        command: "unixdataserver unixdata.sock",
        kind: "dgram",
        address: "unixdata.sock",
        room: 4096,
        sizes: COURSE,
        serves_all: true,
        banner: ["", ""],
        react: |message, _, _| {
            if message.is_empty() {
                return Reaction { says: b"client quit".to_vec(), answer: None, end: Some("0") };
            }
            let says = [b"Receive: ", c_str(message), b" \nnow sending: Hi, ", c_str(message), b" \n"].concat();
            Reaction { says, answer: Some(hi(message)), end: None }
        },
        interrupted: |_| (String::new(), "SIGINT"),
    },
    Server {
        name: "unix30_udp_server",
        command: "unix30_udp_server",
        kind: "dgram",
        address: "/tmp/unix_udp_server",
        room: 1024,
        sizes: NOTES,
        serves_all: false,
        banner: ["bind returnValue=0\r\nerrno=2,No such file or directory\r\n", "bind returnValue=0\r\nerrno=0,Success\r\n"],
        react: |message, _, _| {
            let says = [format!("recv bytes={},msg=", message.len()).as_bytes(), c_str(message), b"\r\nsend bytes=6\r\n"].concat();
            Reaction { says, answer: Some(b"server".to_vec()), end: Some("0") }
        },
        interrupted: |_| (String::new(), "SIGINT"),
    },
];

/// "received 2 bytes: g1"
fn received(message: &[u8]) -> Vec<u8> {
    [format!("received {} bytes: ", message.len()).as_bytes(), c_str(message), b"\n"].concat()
}

/// "Hi, g1"
fn hi(message: &[u8]) -> Vec<u8> {
    [b"Hi, ", c_str(message)].concat()
}

fn notes(message: &[u8], port: &str) -> Reaction {
    let (start, end) = (format!("receive bytes={},msg=", message.len()), format!(",ip=127.0.0.1,port={{{port}}}\r\nsend bytes=5\r\n"));
    Reaction { says: [start.as_bytes(), c_str(message), end.as_bytes()].concat(), answer: Some(b"hello".to_vec()), end: None }
}

/// A scene with one server, which runs or has ended, and those who come to it.
struct Stage {
    script: Script,
    server: Server,
    starts: usize,
    runs: bool,
    served: usize,
    ports: usize,
}

impl Stage {
    fn new(server: &Server) -> Stage {
        let mut stage = Stage::empty(server);
        stage.start("");
        stage
    }

    fn empty(server: &Server) -> Stage {
        Stage { script: Script::default(), server: *server, starts: 0, runs: false, served: 0, ports: 0 }
    }

    /// Starts the server, with this behind its command.
    fn start(&mut self, rest: &str) {
        self.script.start("server", &format!("{}{rest}", self.server.command));
        self.script.says("server", self.server.banner[self.starts.min(1)]);
        (self.starts, self.runs, self.served) = (self.starts + 1, true, 0);
    }

    fn interrupt(&mut self) {
        let (says, end) = (self.server.interrupted)(self.served);
        self.script.step("server", "^C");
        self.script.says("server", says);
        self.ends(end);
    }

    fn ends(&mut self, end: &str) {
        self.script.ends("server", end);
        self.runs = false;
    }

    /// The command of a peer that sends these texts in that manner.
    fn send(&self, who: &str, manner: &str, texts: &[&[u8]]) -> String {
        let from = if self.server.kind == "dgram" { format!(" --from {who}.sock") } else { String::new() };
        self.send_as(&from, manner, texts)
    }

    fn send_as(&self, from: &str, manner: &str, texts: &[&[u8]]) -> String {
        let texts: Vec<String> = texts.iter().map(|text| word(text)).collect();
        format!("lab peer send{from}{manner} {} {} {}", self.server.kind, self.server.address, texts.join(" ")).trim_end().to_owned()
    }

    /// What the server does for a message; the answer to it.
    fn serve(&mut self, message: &[u8], port: &str) -> Option<Vec<u8>> {
        let reaction = (self.server.react)(first(self.server.room, message), self.served, port);
        self.script.says("server", reaction.says);
        self.served += 1;
        if let Some(end) = reaction.end {
            self.ends(end);
        }
        reaction.answer
    }

    fn port(&mut self) -> String {
        self.ports += 1;
        format!("port{}", self.ports)
    }

    /// One peer sends these messages and takes the answers.
    fn exchange(&mut self, name: &str, manner: &str, messages: &[&[u8]]) {
        let (who, port) = (self.script.actor(name), self.port());
        // A message that is not answered is the last.
        let waits = |stage: &Stage| messages.iter().enumerate().all(|(nth, message)| (stage.server.react)(first(stage.server.room, message), stage.served + nth, "port").answer.is_some());
        let manner = if waits(self) { format!(" --count{manner}") } else { " --leave".to_owned() };
        self.script.start(&who, &self.send(&who, &manner, messages));
        for message in messages {
            if let Some(answer) = self.serve(message, &port) {
                self.script.says(&who, counted(&answer));
            }
        }
        self.script.ends(&who, "0");
    }

    /// Someone who means well, with a server that runs.
    fn honest(&mut self) {
        if !self.runs {
            self.start("");
        }
        self.exchange("honest", "", &[b"g1"]);
    }

    /// The end of a scene: someone who means well comes once more.
    fn close(mut self) -> Script {
        if self.runs && !self.server.serves_all {
            self.interrupt();
        }
        self.honest();
        if self.runs {
            self.interrupt();
        }
        self.script
    }
}

pub fn add(cases: &mut Cases) {
    for server in &SERVERS {
        if !cases.want(server.name) {
            continue;
        }
        let name = server.name;
        for size in server.sizes {
            cases.add(name, format!("datagram-of-{size}"), message(server, &of(*size)));
        }
        for (what, text) in odd() {
            cases.add(name, what, message(server, &text));
        }
        cases.add(name, "five-at-once", five_at_once(server));
        cases.add(name, "sends-and-leaves", sends_and_leaves(server));
        for (what, rest) in [("stdin-closed", " <&-"), ("stdin-empty", " </dev/null"), ("stdout-closed", " >&-"), ("stdout-full", " >/dev/full"), ("stderr-closed", " 2>&-")] {
            cases.add(name, what, redirected(server, rest));
        }
        if server.kind == "udp" || name == "unix30_udp_server" {
            cases.add(name, "arguments", redirected(server, " '' {a*100000} 255.255.255.255 /"));
        }
    }
    let [udpserver, _, udp20_server, udpconnectserver, unixdataserver, unix30_udp_server] = &SERVERS;
    for server in [udpserver, udp20_server, unixdataserver] {
        cases.add(server.name, "two-by-turns", two_by_turns(server));
    }
    cases.add(udpconnectserver.name, "stranger", stranger(udpconnectserver));
    cases.add(udpconnectserver.name, "goodbye-first", goodbye_first(udpconnectserver));
    cases.add(udpconnectserver.name, "two-before-connect", two_before_connect(udpconnectserver));
    for server in [unixdataserver, unix30_udp_server] {
        cases.add(server.name, "names-in-turn", names_in_turn(server));
        cases.add(server.name, "client-anonymous", nobody(server, ""));
        cases.add(server.name, "client-abstract", abstract_name(server));
        cases.add(server.name, "client-of-108", name_of_108(server));
    }
    paths(cases, unixdataserver);
}

/// One hostile message between honest ones.
fn message(server: &Server, text: &[u8]) -> Script {
    let mut stage = Stage::new(server);
    if server.serves_all {
        stage.honest();
    }
    stage.exchange("hostile", "", &[text]);
    stage.close()
}

/// Five messages before the server looks at the first; one that serves a single message leaves the
/// others.
fn five_at_once(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    let texts: [&[u8]; 5] = [b"one", &of(1024), b"\0", b"two\nlines", b"five"];
    if (server.react)(texts[0], 0, "port").end.is_none() {
        stage.exchange("hostile", " --at-once", &texts);
        return stage.close();
    }
    stage.script.step("server", "^Z");
    stage.script.start("first", &stage.send("first", " --count", &texts[..1]));
    stage.script.start("hostile", &stage.send("hostile", " --leave", &texts[1..]));
    stage.script.ends("hostile", "0");
    stage.script.step("server", "$ fg");
    let answer = stage.serve(texts[0], "pid").unwrap_or_default();
    stage.script.says("first", counted(&answer));
    stage.script.ends("first", "0");
    stage.close()
}

/// Someone who has left before the server looks at the message.
fn sends_and_leaves(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    if server.serves_all {
        stage.honest();
    }
    stage.script.step("server", "^Z");
    stage.script.start("hostile", &stage.send("hostile", " --leave", &[b"g1"]));
    stage.script.ends("hostile", "0");
    stage.script.step("server", "$ fg");
    match server.name {
        // The answer cannot be delivered, and that ends it.
        "unixdataserver" => {
            stage.script.says("server", "Receive: g1 \nnow sending: Hi, g1 \n");
            stage.script.complains("server", "sendto error: Connection refused (111)");
            stage.ends("1");
        }
        "unix30_udp_server" => {
            stage.script.says("server", "recv bytes=2,msg=g1\r\nsend bytes=-1\r\n");
            stage.ends("0");
        }
        "udpconnectserver" => {
            stage.serve(b"g1", "pid");
            stage.script.complains("server", "recv failed: Connection refused (111)");
            stage.ends("1");
        }
        _ => _ = stage.serve(b"g1", "pid"),
    }
    stage.close()
}

/// A server with other descriptors, or with arguments that it does not look at.
fn redirected(server: &Server, rest: &str) -> Script {
    let mut stage = Stage::empty(server);
    stage.start(rest);
    stage.exchange("honest", "", &[b"g1"]);
    if stage.runs {
        stage.interrupt();
    }
    stage.close()
}

/// Two who have sent two messages each before the server looks at any.
fn two_by_turns(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.step("server", "^Z");
    let texts: [[&[u8]; 2]; 2] = [[b"one", &of(1000)], [b"uno", &of(900)]];
    for (who, texts) in ["one", "other"].iter().zip(texts) {
        stage.script.start(who, &stage.send(who, " --count --at-once", &texts));
    }
    stage.script.step("server", "$ fg");
    for (who, texts) in ["one", "other"].iter().zip(texts) {
        let port = stage.port();
        for text in texts {
            let answer = stage.serve(text, &port).unwrap_or_default();
            stage.script.says(who, counted(&answer));
        }
        stage.script.ends(who, "0");
    }
    stage.close()
}

/// While the server is connected to one, someone else writes, too.
fn stranger(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.start("client", "lab peer talk udp 127.0.0.1:43211");
    for text in ["g1", "g2"] {
        stage.script.step("client", &format!("< {text}"));
        let answer = stage.serve(text.as_bytes(), "pid").unwrap_or_default();
        stage.script.says("client", [&answer[..], b"\n"].concat());
        let stranger = stage.script.actor("other");
        stage.script.start(&stranger, &stage.send("", " --leave", &[b"goodbye"]));
        stage.script.ends(&stranger, "0");
    }
    stage.script.step("client", "^D");
    stage.script.ends("client", "0");
    stage.close()
}

/// The first message is the last.
fn goodbye_first(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.exchange("hostile", "", &[b"goodbyes"]);
    stage.close()
}

/// What someone else sent before the server's `connect` is answered to its client.
fn two_before_connect(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    stage.script.step("server", "^Z");
    stage.script.start("client", &stage.send("", " --count --at-once --step --stay", &[b"one", b"two"]));
    stage.script.step("client", "<");
    stage.script.start("other", &stage.send("", " --leave", &[b"not yours"]));
    stage.script.ends("other", "0");
    stage.script.step("client", "<");
    stage.script.step("server", "$ fg");
    let texts: [&[u8]; 3] = [b"one", b"not yours", b"two"];
    let answers: Vec<Vec<u8>> = texts.iter().filter_map(|text| stage.serve(text, "pid")).collect();
    for answer in &answers[..2] {
        stage.script.says("client", counted(answer));
    }
    stage.script.step("client", "^D");
    stage.script.ends("client", "0");
    stage.close()
}

/// Names of one byte, of 107, of one again.
fn names_in_turn(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    for (who, from, text) in [("short", "s", "g1"), ("long", "{l*107}", "g2"), ("again", "t", "g3"), ("longer", "{m*107}", "g4")] {
        if !stage.runs {
            stage.start("");
        }
        stage.script.start(who, &stage.send_as(&format!(" --from {from}"), " --count", &[text.as_bytes()]));
        let answer = stage.serve(text.as_bytes(), "pid").unwrap_or_default();
        stage.script.says(who, counted(&answer));
        stage.script.ends(who, "0");
    }
    stage.close()
}

/// Someone with an address, if any, that no answer goes to.
fn nobody(server: &Server, from: &str) -> Script {
    let mut stage = Stage::new(server);
    if server.serves_all {
        stage.honest();
    }
    stage.script.start("hostile", &stage.send_as(from, " --leave", &[b"g1"]));
    stage.script.ends("hostile", "0");
    if server.name == "unixdataserver" {
        stage.script.says("server", "Receive: g1 \nnow sending: Hi, g1 \n");
        stage.script.complains("server", "sendto error: Transport endpoint is not connected (107)");
        stage.ends("1");
    } else {
        stage.script.says("server", "recv bytes=2,msg=g1\r\nsend bytes=-1\r\n");
        stage.ends("0");
    }
    stage.close()
}

/// A name that is no path: unixdataserver knows its length, unix30_udp_server does not.
fn abstract_name(server: &Server) -> Script {
    if server.name == "unix30_udp_server" {
        return nobody(server, " --from {NUL}hostile");
    }
    let mut stage = Stage::new(server);
    stage.script.start("hostile", &stage.send_as(" --from {NUL}hostile", " --count", &[b"g1"]));
    let answer = stage.serve(b"g1", "pid").unwrap_or_default();
    stage.script.says("hostile", counted(&answer));
    stage.script.ends("hostile", "0");
    stage.close()
}

/// A path that leaves no room for a NUL.
fn name_of_108(server: &Server) -> Script {
    let mut stage = Stage::new(server);
    if server.name == "unixdataserver" {
        // It gives sendto the length that it has from recvfrom, which is one too many.
        stage.script.start("hostile", &stage.send_as(" --from {h*108}", " --leave", &[b"g1"]));
        stage.script.ends("hostile", "0");
        stage.script.says("server", "Receive: g1 \nnow sending: Hi, g1 \n");
        stage.script.complains("server", "sendto error: Invalid argument (22)");
        stage.ends("1");
        return stage.close();
    }
    stage.script.start("hostile", &stage.send_as(" --from {h*108}", " --count", &[b"g1"]));
    let answer = stage.serve(b"g1", "pid").unwrap_or_default();
    stage.script.says("hostile", counted(&answer));
    stage.script.ends("hostile", "0");
    stage.close()
}

/// What stands in the place of the path.
fn paths(cases: &mut Cases, server: &Server) {
    for (what, argument, complaint) in REFUSED_PATHS {
        let mut stage = Stage::empty(server);
        stage.script.file("file", b"not a folder");
        stage.script.start("refused", &format!("unixdataserver {argument}"));
        stage.script.complains("refused", &complaint.replace("PROGRAM", server.name));
        stage.script.ends("refused", "1");
        cases.add(server.name, what, stage.close());
    }
    for (what, path) in [("path-of-107", "{p*107}"), ("path-not-ascii", "\u{e4}\u{1f980}"), ("path-empty", "''")] {
        let mut stage = Stage::empty(server);
        // An empty path is that of an abstract socket: 107 NUL bytes behind the first.
        let address = if path == "''" { "{NUL*108}" } else { path };
        stage.script.start("server", &format!("unixdataserver {path}"));
        stage.script.start("client", &format!("lab peer send --count --from client.sock dgram {address} g1"));
        (stage.starts, stage.runs) = (1, true);
        let answer = stage.serve(b"g1", "pid").unwrap_or_default();
        stage.script.says("client", counted(&answer));
        stage.script.ends("client", "0");
        stage.interrupt();
        cases.add(server.name, what, stage.close());
    }
    // It is removed, whatever is in it.
    let mut stage = Stage::empty(server);
    stage.script.file("unixdata.sock", b"precious");
    stage.start("");
    cases.add(server.name, "path-is-a-file", stage.close());
}
