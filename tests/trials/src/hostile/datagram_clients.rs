//! What the clients that send datagrams are given to read, are called with, and are answered.

use super::Cases;
use super::messages::{c_str, counted, first, line_of, lines, odd, odd_lines, of};
use crate::script::{Script, word};

/// A client that sends each line it reads.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    /// With the address of its server.
    command: &'static str,
    kind: &'static str,
    /// Where its server is.
    address: &'static str,
    /// What it says when it sends a text.
    sending: fn(&[u8]) -> Vec<u8>,
    /// Whether it hears of a refusal, and not of strangers.
    is_connected: bool,
}

const CLIENTS: [Client; 4] = [
    Client { name: "udpclient", command: "udpclient 127.0.0.1", kind: "udp", address: "127.0.0.1:43211", sending: sending_udp, is_connected: false },
    Client { name: "udpconnectclient", command: "udpconnectclient 127.0.0.1", kind: "udp", address: "127.0.0.1:43211", sending: sending_udp, is_connected: true },
    Client { name: "udpconnectclient02", command: "udpconnectclient02 127.0.0.1", kind: "udp", address: "127.0.0.1:43211", sending: sending_udp, is_connected: true },
    Client { name: "unixdataclient", command: "unixdataclient unixdata.sock", kind: "dgram", address: "unixdata.sock", sending: |text| [b"now sending ", text, b" \n"].concat(), is_connected: false },
];

fn sending_udp(text: &[u8]) -> Vec<u8> {
    [b"now sending ", text, format!("\nsend bytes: {} \n", text.len()).as_bytes()].concat()
}

/// The text that a client sends for what `fgets` gave it.
fn text(line: &[u8]) -> &[u8] {
    let text = c_str(line);
    text.strip_suffix(b"\n").unwrap_or(text)
}

/// What the course's clients print of an answer.
fn printed(answer: &[u8]) -> Vec<u8> {
    [c_str(first(4096, answer)), b"\n"].concat()
}

impl Client {
    /// Starts a server that answers messages with these texts in turn, in that manner.
    fn serve(&self, script: &mut Script, who: &str, manner: &str, answers: &[&[u8]]) {
        let texts: Vec<String> = answers.iter().map(|text| word(text)).collect();
        script.start(who, &format!("lab peer answer --count{manner} {} {} {}", self.kind, self.address, texts.join(" ")));
    }

    /// Lets the client read this file, with these answers in turn.
    fn exchange(&self, script: &mut Script, rest: &str, file: &[u8], answers: &[&[u8]]) {
        let (server, client) = (script.actor("server"), script.actor("client"));
        let lines = lines(file, 4096);
        script.file("lines", file);
        let times = if lines.len() > answers.len() { format!(" --times {}", lines.len()) } else { String::new() };
        self.serve(script, &server, &times, answers);
        script.start(&client, &format!("{} < lines{rest}", self.command));
        for (line, answer) in lines.iter().zip(answers.iter().cycle()) {
            script.says(&server, counted(text(line)));
            script.says(&client, [(self.sending)(text(line)), printed(answer)].concat());
        }
        script.ends(&server, "0");
        script.ends(&client, "0");
    }

    fn honest(&self, script: &mut Script) {
        self.exchange(script, "", b"g1\ng2\n", &[b"Hi, g1", b"Hi, g2"]);
    }

    /// An honest exchange behind all that.
    fn close(&self, mut script: Script) -> Script {
        self.honest(&mut script);
        script
    }

    /// The client is started with another command, complains, and ends.
    fn refused(&self, command: &str, complaint: &str) -> Script {
        let mut script = Script::default();
        script.start("client", command);
        script.complains("client", complaint);
        script.ends("client", "1");
        self.close(script)
    }

    /// Someone types at the client until it waits for what does not come.
    fn interrupted(&self, script: &mut Script, call: &str) {
        script.step("client", &format!("@ {call}"));
        script.step("client", "^C");
        script.ends("client", "SIGINT");
    }
}

pub fn add(cases: &mut Cases) {
    for client in &CLIENTS {
        if !cases.want(client.name) {
            continue;
        }
        add_lines(cases, client);
        add_answers(cases, client);
        add_descriptors(cases, client);
        let usage = match client.name {
            "udpconnectclient" => "usage: udpclient1 <IPaddress>",
            "udpconnectclient02" => "usage: udpclient2 <IPaddress>",
            "unixdataclient" => "usage: unixdataclient <local_path>",
            _ => "usage: udpclient <IPaddress>",
        };
        cases.add(client.name, "two-arguments", client.refused(&format!("{} {0}", client.command), usage));
        match client.kind {
            "udp" => add_addresses(cases, client),
            _ => add_paths(cases, client),
        }
    }
    for client in &NOTES {
        if cases.want(client.name) {
            client.add(cases);
        }
    }
}

fn add_lines(cases: &mut Cases, client: &Client) {
    let mut files = odd_lines();
    files.extend([4094, 4095, 4096, 65536, 1 << 20].map(|n| (format!("line-of-{n}"), line_of(n))));
    for (what, line) in files {
        let mut script = Script::default();
        // A line of 1 MiB comes in 257 parts: one answer for all of them.
        client.exchange(&mut script, "", &[b"g1\n", &line[..], b"g2\n"].concat(), &[b"Hi"]);
        cases.add(client.name, what, script);
    }
    for (what, file) in [("no-newline-at-end", &b"g1\ng2"[..]), ("nul-at-end", b"g1\ng2\0")] {
        let mut script = Script::default();
        client.exchange(&mut script, "", file, &[b"Hi, g1", b"Hi, g2"]);
        cases.add(client.name, what, client.close(script));
    }
}

fn add_answers(cases: &mut Cases, client: &Client) {
    let mut answers: Vec<(String, Vec<u8>)> = [0, 1, 4095, 4096, 4097, 65507].map(|n| (format!("answer-of-{n}"), of(n))).into();
    answers.extend(odd().into_iter().map(|(what, text)| (format!("answer-{what}"), text)));
    for (what, answer) in answers {
        let mut script = Script::default();
        client.exchange(&mut script, "", b"g1\ng2\ng3\n", &[b"Hi, g1", &answer, b"Hi, g3"]);
        cases.add(client.name, what, script);
    }

    let mut script = Script::default();
    client.serve(&mut script, "other", " --stranger", &[b"surprise"]);
    script.start("client", client.command);
    script.step("client", "< g1");
    script.says("other", counted(b"g1"));
    script.ends("other", "0");
    script.says("client", (client.sending)(b"g1"));
    if client.is_connected {
        client.interrupted(&mut script, "recvfrom");
    } else {
        script.says("client", "surprise\n");
        script.step("client", "^D");
        script.ends("client", "0");
    }
    cases.add(client.name, "answer-of-a-stranger", client.close(script));

    // The second answer to the first line is taken for that to the second.
    let mut script = Script::default();
    client.serve(&mut script, "server", " --all --stay", &[b"one", b"two"]);
    script.start("client", client.command);
    for (line, answer) in [("g1", "one\n"), ("g2", "two\n")] {
        script.step("client", &format!("< {line}"));
        script.says("client", [&(client.sending)(line.as_bytes()), answer.as_bytes()].concat());
    }
    script.says("server", counted(b"g1"));
    script.step("client", "^D");
    script.ends("client", "0");
    script.step("server", "^D");
    script.ends("server", "0");
    cases.add(client.name, "two-answers", client.close(script));

    let mut script = Script::default();
    script.start("server", &format!("lab peer answer {} {}", client.kind, client.address));
    script.start("client", client.command);
    script.step("client", "< g1");
    script.ends("server", "0");
    script.says("client", (client.sending)(b"g1"));
    client.interrupted(&mut script, "recvfrom");
    cases.add(client.name, "server-leaves", client.close(script));

    let mut script = Script::default();
    script.start("client", client.command);
    script.step("client", "< g1");
    match client.name {
        "udpclient" => {
            script.says("client", (client.sending)(b"g1"));
            client.interrupted(&mut script, "recvfrom");
        }
        "unixdataclient" => {
            script.says("client", "now sending g1 \n");
            script.complains("client", "sendto error: No such file or directory (2)");
            script.ends("client", "1");
        }
        name => {
            let call = if name.ends_with("02") { "recv" } else { "recvfrom" };
            script.says("client", (client.sending)(b"g1"));
            script.complains("client", &format!("{call} failed: Connection refused (111)"));
            script.ends("client", "1");
        }
    }
    cases.add(client.name, "nobody-there", client.close(script));
}

fn add_descriptors(cases: &mut Cases, client: &Client) {
    for (what, rest) in [("stdin-empty", "</dev/null"), ("stdin-a-folder", "< .")] {
        let mut script = Script::default();
        script.start("client", &format!("{} {rest}", client.command));
        script.ends("client", "0");
        cases.add(client.name, what, client.close(script));
    }
    // The socket is descriptor 0, and fgets reads from it.
    let mut script = Script::default();
    script.start("client", &format!("{} <&-", client.command));
    client.interrupted(&mut script, "read");
    cases.add(client.name, "stdin-closed", client.close(script));

    let mut script = Script::default();
    client.exchange(&mut script, " >/dev/full", b"g1\ng2\n", &[b"Hi, g1", b"Hi, g2"]);
    cases.add(client.name, "stdout-full", client.close(script));

    // The socket is descriptor 2, and there is nothing to complain of.
    let mut script = Script::default();
    client.exchange(&mut script, " 2>&-", b"g1\ng2\n", &[b"Hi, g1", b"Hi, g2"]);
    cases.add(client.name, "stderr-closed", client.close(script));

    // The socket is descriptor 1, and what is printed goes there at the end: to the server, if the
    // socket is connected.
    let mut script = Script::default();
    script.file("lines", b"g1\n");
    client.serve(&mut script, "server", if client.is_connected { " --times 2" } else { "" }, &[b"Hi, g1"]);
    script.start("client", &format!("{} < lines >&-", client.command));
    script.says("server", counted(b"g1"));
    if client.is_connected {
        script.says("server", counted(&[(client.sending)(b"g1"), b"Hi, g1\n".to_vec()].concat()));
    }
    script.ends("client", "0");
    script.ends("server", "0");
    cases.add(client.name, "stdout-closed", client.close(script));
}

fn add_addresses(cases: &mut Cases, client: &Client) {
    for (what, argument) in [
        ("address-empty", "''"),
        ("address-short", "127.1"),
        ("address-hexadecimal", "0x7f.0.0.1"),
        ("address-of-five", "127.0.0.1.1"),
        ("address-above-255", "127.0.0.256"),
        ("address-with-space", "'127.0.0.1 '"),
        ("address-ipv6", "::1"),
        ("address-a-name", "localhost"),
        ("address-a-folder", "/tmp"),
        ("address-of-100000", "{1*100000}"),
    ] {
        cases.add(client.name, what, client.refused(&format!("{} {argument}", client.name), "inet_pton failed: Invalid argument (22)"));
    }
    if client.is_connected {
        cases.add(client.name, "address-broadcast", client.refused(&format!("{} 255.255.255.255", client.name), "connect failed: Permission denied (13)"));
    }
}

fn add_paths(cases: &mut Cases, client: &Client) {
    for (what, argument) in [("path-of-108", "{p*108}"), ("path-of-200", "{p*200}"), ("path-of-100000", "{p*100000}")] {
        cases.add(client.name, what, client.refused(&format!("unixdataclient {argument}"), "local_path too long: File name too long (36)"));
    }
    for (what, argument, error) in [
        ("path-empty", "''", "Connection refused (111)"),
        ("path-is-a-folder", "trace", "Connection refused (111)"),
        ("path-is-a-file", "file", "Connection refused (111)"),
        ("path-under-a-file", "file/sock", "Not a directory (20)"),
        ("path-in-no-folder", "no/such/folder", "No such file or directory (2)"),
        ("path-of-107", "{p*107}", "No such file or directory (2)"),
    ] {
        let mut script = Script::default();
        script.file("file", b"no socket");
        script.start("client", &format!("unixdataclient {argument}"));
        script.step("client", "< g1");
        script.says("client", "now sending g1 \n");
        script.complains("client", &format!("sendto error: {error}"));
        script.ends("client", "1");
        cases.add(client.name, what, client.close(script));
    }
}

/// A client of the notes: it sends one message, and prints what the answer is.
struct Note {
    name: &'static str,
    kind: &'static str,
    address: &'static str,
    message: &'static [u8],
    /// What it says before the answer, at its first start and at a later one.
    banner: [&'static str; 2],
    says: fn(&[u8], &str) -> Vec<u8>,
}

const NOTES: [Note; 2] = [
    Note {
        name: "udp10_client",
        kind: "udp",
        address: "127.0.0.1:9501",
        message: b"hello",
        banner: ["udp server start,pid={pid}\r\nsend bytes=5\r\n"; 2],
        says: |answer, port| [format!("receive bytes={},msg=", answer.len()).as_bytes(), c_str(answer), format!(",ip=127.0.0.1,port={port}\r\n").as_bytes()].concat(),
    },
    Note {
        name: "unix30_udp_client",
        kind: "dgram",
        address: "/tmp/unix_udp_server",
        message: b"client",
        banner: ["bind returnValue=0\r\nerrno=2,No such file or directory\r\nsend bytes=6\r\n", "bind returnValue=0\r\nerrno=0,Success\r\nsend bytes=6\r\n"],
        says: |answer, _| [format!("recv bytes={},msg=", answer.len()).as_bytes(), c_str(answer), b"\r\n"].concat(),
    },
];

impl Note {
    fn exchange(&self, script: &mut Script, nth: usize, rest: &str, manner: &str, answer: &[u8]) {
        let (server, client) = (script.actor("server"), script.actor("client"));
        script.start(&server, &format!("lab peer answer --count{manner} {} {} {}", self.kind, self.address, word(answer)));
        script.start(&client, &format!("{}{rest}", self.name));
        script.says(&server, counted(self.message));
        let port = if manner.contains("stranger") { "{pid}" } else { "9501" };
        script.says(&client, [self.banner[nth.min(1)].as_bytes(), &(self.says)(first(1024, answer), port)].concat());
        script.ends(&server, "0");
        script.ends(&client, "0");
    }

    fn case(&self, rest: &str, manner: &str, answer: &[u8]) -> Script {
        let mut script = Script::default();
        self.exchange(&mut script, 0, rest, manner, answer);
        self.exchange(&mut script, 1, "", "", b"hello");
        script
    }

    fn add(&self, cases: &mut Cases) {
        for size in [0, 1, 1023, 1024, 1025, 4096, 65507] {
            cases.add(self.name, format!("answer-of-{size}"), self.case("", "", &of(size)));
        }
        for (what, answer) in odd() {
            cases.add(self.name, format!("answer-{what}"), self.case("", "", &answer));
        }
        cases.add(self.name, "answer-of-a-stranger", self.case("", " --stranger", b"surprise"));
        for (what, rest) in [
            ("stdin-closed", " <&-"),
            ("stdin-empty", " </dev/null"),
            ("stdout-closed", " >&-"),
            ("stdout-full", " >/dev/full"),
            ("stderr-closed", " 2>&-"),
            ("arguments", " '' {a*100000} 255.255.255.255 /"),
        ] {
            cases.add(self.name, what, self.case(rest, "", b"hello"));
        }
        if self.kind == "dgram" {
            // What is in the way of its own path is removed, whatever is in it.
            let mut script = Script::default();
            script.file("/tmp/unix_udp_client", b"precious");
            self.exchange(&mut script, 1, "", "", b"server");
            self.exchange(&mut script, 2, "", "", b"server");
            cases.add(self.name, "path-is-a-file", script);
            // What is in the place of the server's path takes no datagram.
            let mut script = Script::default();
            script.file(self.address, b"no socket");
            script.start("client", self.name);
            script.says("client", "bind returnValue=0\r\nerrno=2,No such file or directory\r\nsend bytes=-1\r\n");
            script.complains("client", "sendto failed: Connection refused (111)");
            script.ends("client", "1");
            self.exchange(&mut script, 1, "", "", b"server");
            cases.add(self.name, "server-is-a-file", script);
        }
    }
}
