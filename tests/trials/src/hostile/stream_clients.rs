//! What the clients that connect are given to read, are called with, and are answered; and unix10.

use super::Cases;
use super::messages::{c_str, counted, first, line_of, lines, odd, odd_lines, of};
use crate::script::{Script, word};

/// A client that sends each line it reads.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    /// With the path of its server.
    command: &'static str,
    path: &'static str,
    /// How many bytes it has for a line, and for an answer.
    room: usize,
    /// What it sends for a line and leaves in its buffer.
    sends: fn(&[u8], &mut Vec<u8>) -> Vec<u8>,
    /// What it prints of an answer.
    prints: fn(&[u8]) -> &[u8],
}

const CLIENTS: [Client; 2] = [
    Client {
        name: "unixstreamclient",
        command: "unixstreamclient unixstream.sock",
        path: "unixstream.sock",
        room: 4096,
        // The whole buffer, with what longer lines before it have left there.
        sends: |line, buffer| {
            buffer.resize(4096, 0);
            buffer[..line.len()].copy_from_slice(line);
            buffer[line.len()] = 0;
            buffer.clone()
        },
        prints: |answer| c_str(first(4096, answer)),
    },
    Client { name: "upperclient", command: "upperclient", path: "foo.socket", room: 1024, sends: |line, _| c_str(line).to_vec(), prints: |answer| first(1024, answer) },
];

impl Client {
    fn serve(&self, script: &mut Script, who: &str, manner: &str, answers: &[&[u8]]) {
        let texts: Vec<String> = answers.iter().map(|text| word(text)).collect();
        script.start(who, format!("lab peer answer{manner} stream {} {}", self.path, texts.join(" ")).trim_end());
    }

    /// Lets the client read this file, with these answers in turn.
    fn exchange(&self, script: &mut Script, rest: &str, file: &[u8], answers: &[&[u8]]) {
        let (server, client) = (script.actor("server"), script.actor("client"));
        let lines = lines(file, self.room);
        script.file("lines", file);
        let times = if lines.len() > answers.len() { format!(" --times {}", lines.len()) } else { String::new() };
        self.serve(script, &server, &format!(" --count{times}"), answers);
        script.start(&client, &format!("{} < lines{rest}", self.command));
        let mut buffer = Vec::new();
        for (line, answer) in lines.iter().zip(answers.iter().cycle()) {
            script.says(&server, counted(&(self.sends)(line, &mut buffer)));
            script.says(&client, (self.prints)(answer));
        }
        script.ends(&server, "0");
        script.ends(&client, "0");
    }

    fn close(&self, mut script: Script) -> Script {
        self.exchange(&mut script, "", b"g1\ng2\n", &[b"Hi, g1\n", b"Hi, g2\n"]);
        script
    }

    /// The client is started with another command, complains, and ends.
    fn refused(&self, mut script: Script, command: &str, complaint: &str, status: &str) -> Script {
        script.start("client", command);
        script.complains("client", complaint);
        script.ends("client", status);
        self.close(script)
    }

    /// Someone types a line; the client writes and reads until the server has left.
    fn left(&self, manner: &str, answers: &[&[u8]], complaint: Option<&str>) -> Script {
        let mut script = Script::default();
        self.serve(&mut script, "server", manner, answers);
        script.start("client", self.command);
        // One who complains does so at the first line without an answer; another goes on.
        for answer in answers.iter().filter(|answer| complaint.is_none() || !answer.is_empty()) {
            script.step("client", "< g1");
            script.says("client", answer);
        }
        if complaint.is_none() {
            script.ends("server", "0");
        }
        script.step("client", "< g2");
        match complaint {
            Some(complaint) => {
                script.complains("client", complaint);
                script.ends("client", "1");
                script.ends("server", "0");
            }
            None => script.ends("client", "SIGPIPE"),
        }
        self.close(script)
    }
}

pub fn add(cases: &mut Cases) {
    for client in &CLIENTS {
        if cases.want(client.name) {
            add_lines(cases, client);
            add_answers(cases, client);
            add_descriptors(cases, client);
            add_paths(cases, client);
        }
    }
    unix20_tcp_client(cases);
    tcp10_client(cases);
    unix10(cases);
}

fn add_lines(cases: &mut Cases, client: &Client) {
    let mut files = odd_lines();
    files.extend([1023, 1024, 4094, 4095, 4096, 65536, 1 << 20].map(|n| (format!("line-of-{n}"), line_of(n))));
    for (what, line) in files {
        let mut script = Script::default();
        if client.name == "upperclient" && line[0] == 0 {
            // Nothing is sent for it, and the client waits for the answer to that.
            script.file("lines", &line);
            client.serve(&mut script, "server", "", &[b""]);
            script.start("client", &format!("{} < lines", client.command));
            script.step("client", "@ read");
            script.step("client", "^C");
            script.ends("client", "SIGINT");
            script.ends("server", "0");
            cases.add(client.name, what, client.close(script));
            continue;
        }
        // A line of 1 MiB comes in many parts: one answer for all of them.
        client.exchange(&mut script, "", &[b"g1\n", &line[..], b"g2\n"].concat(), &[b"Hi\n"]);
        cases.add(client.name, what, script);
    }
    for (what, file) in [("no-newline-at-end", &b"g1\ng2"[..]), ("nul-at-end", b"g1\ng2\0")] {
        let mut script = Script::default();
        client.exchange(&mut script, "", file, &[b"Hi, g1\n", b"Hi, g2\n"]);
        cases.add(client.name, what, client.close(script));
    }
}

fn add_answers(cases: &mut Cases, client: &Client) {
    let mut answers: Vec<(String, Vec<u8>)> = [1, 1023, 1024, 1025, 4095, 4096, 4097, 65507].map(|n| (format!("answer-of-{n}"), of(n))).into();
    answers.extend(odd().into_iter().map(|(what, text)| (format!("answer-{what}"), text)));
    for (what, answer) in answers {
        let mut script = Script::default();
        client.exchange(&mut script, "", b"g1\ng2\n", &[b"Hi, g1\n", &answer]);
        cases.add(client.name, what, client.close(script));
    }

    // The second piece of the answer to the first line is taken for the answer to the second.
    let mut script = Script::default();
    client.serve(&mut script, "server", " --all --step --stay", &[b"one,", b"two\n"]);
    script.start("client", client.command);
    for (line, piece) in [("g1", "one,"), ("g2", "two\n")] {
        script.step("server", "<");
        script.step("client", &format!("< {line}"));
        script.says("client", piece);
    }
    script.step("client", "^D");
    script.ends("client", "0");
    script.step("server", "^D");
    script.ends("server", "0");
    cases.add(client.name, "answer-in-pieces", client.close(script));

    let gone = (client.name != "upperclient").then_some("server terminated prematurely");
    let reset = "read failed: Connection reset by peer (104)";
    cases.add(client.name, "server-leaves-at-once", client.left(" --leave", &[], None));
    cases.add(client.name, "server-leaves-without-reading", client.left("", &[], Some(reset)));
    cases.add(client.name, "server-leaves-without-answering", client.left("", &[b""], gone));
    cases.add(client.name, "server-leaves-after-an-answer", client.left("", &[b"Hi\n"], None));
}

fn add_descriptors(cases: &mut Cases, client: &Client) {
    for (what, rest) in [("stdin-empty", "</dev/null"), ("stdin-a-folder", "< .")] {
        let mut script = Script::default();
        client.serve(&mut script, "server", "", &[b""]);
        script.start("client", &format!("{} {rest}", client.command));
        script.ends("client", "0");
        script.ends("server", "0");
        cases.add(client.name, what, client.close(script));
    }
    // The socket is descriptor 0, and fgets reads from it.
    let mut script = Script::default();
    client.serve(&mut script, "server", "", &[b""]);
    script.start("client", &format!("{} <&-", client.command));
    script.step("client", "@ read");
    script.step("client", "^C");
    script.ends("client", "SIGINT");
    script.ends("server", "0");
    cases.add(client.name, "stdin-closed", client.close(script));

    let mut script = Script::default();
    client.exchange(&mut script, " >/dev/full", b"g1\ng2\n", &[b"Hi, g1\n", b"Hi, g2\n"]);
    cases.add(client.name, "stdout-full", client.close(script));

    // The socket is descriptor 2, and there is nothing to complain of.
    let mut script = Script::default();
    client.exchange(&mut script, " 2>&-", b"g1\ng2\n", &[b"Hi, g1\n", b"Hi, g2\n"]);
    cases.add(client.name, "stderr-closed", client.close(script));

    // The socket is descriptor 1, and what is printed goes to the server.
    let mut script = Script::default();
    script.file("lines", b"g1\n");
    client.serve(&mut script, "server", " --count", &[b"Hi\n", b""]);
    script.start("client", &format!("{} < lines >&-", client.command));
    script.says("server", counted(&(client.sends)(b"g1\n", &mut Vec::new())));
    script.says("server", counted(b"Hi\n"));
    script.ends("client", "0");
    script.ends("server", "0");
    cases.add(client.name, "stdout-closed", client.close(script));
}

fn add_paths(cases: &mut Cases, client: &Client) {
    let file = |path: &str| {
        let mut script = Script::default();
        script.file(path, b"no socket");
        script
    };
    if client.name == "upperclient" {
        cases.add(client.name, "path-is-a-file", client.refused(file("foo.socket"), "upperclient", "connect: Connection refused", "255"));
        let mut script = Script::default();
        script.start("client", "upperclient '' {a*100000} 255.255.255.255 /");
        script.complains("client", "connect: No such file or directory");
        script.ends("client", "255");
        cases.add(client.name, "arguments", client.close(script));
        return;
    }
    for (what, argument) in [("path-of-108", "{p*108}"), ("path-of-200", "{p*200}"), ("path-of-100000", "{p*100000}")] {
        let command = format!("unixstreamclient {argument}");
        cases.add(client.name, what, client.refused(Script::default(), &command, "local_path too long: File name too long (36)", "1"));
    }
    for (what, argument, error) in [
        ("path-empty", "''", "connect failed: Connection refused (111)"),
        ("path-is-a-folder", "trace", "connect failed: Connection refused (111)"),
        ("path-is-a-file", "file", "connect failed: Connection refused (111)"),
        ("path-under-a-file", "file/sock", "connect failed: Not a directory (20)"),
        ("path-in-no-folder", "no/such/folder", "connect failed: No such file or directory (2)"),
        ("path-of-107", "{p*107}", "connect failed: No such file or directory (2)"),
        ("two-arguments", "one two", "usage: unixstreamclient <local_path>"),
    ] {
        cases.add(client.name, what, client.refused(file("file"), &format!("unixstreamclient {argument}"), error, "1"));
    }
}

/// Behind a command: descriptors, and arguments that nobody looks at.
const RESTS: [(&str, &str); 5] =
    [("stdin-closed", " <&-"), ("stdin-empty", " </dev/null"), ("stdout-full", " >/dev/full"), ("stderr-closed", " 2>&-"), ("arguments", " '' {a*100000} 255.255.255.255 /")];

fn unix20_tcp_client(cases: &mut Cases) {
    const NAME: &str = "unix20_tcp_client";
    let exchange = |script: &mut Script, rest: &str, texts: &[&[u8]], received: &str| {
        let (server, client) = (script.actor("server"), script.actor("client"));
        let words: Vec<String> = texts.iter().map(|text| word(text)).collect();
        script.start(&server, format!("lab peer answer --count stream /tmp/unix_tcp {}", words.join(" ")).trim_end());
        script.start(&client, &format!("{NAME}{rest}"));
        if !texts.is_empty() {
            script.says(&server, counted(b"server"));
        }
        let answer = first(1024, texts.first().copied().unwrap_or_default());
        script.says(&client, "connect returnValue=0\r\nerrno=0,Success\r\nclient send bytes=6");
        script.says(&client, [format!("client recv bytes={received},msg=").as_bytes(), c_str(answer), b"\r\n"].concat());
        script.ends(&server, "0");
        script.ends(&client, "0");
    };
    let case = |rest: &str, texts: &[&[u8]], received: &str| {
        let mut script = Script::default();
        exchange(&mut script, rest, texts, received);
        exchange(&mut script, "", &[b"server"], "6");
        script
    };
    for size in [1, 1023, 1024, 1025, 65507] {
        cases.add(NAME, format!("answer-of-{size}"), case("", &[&of(size)], &size.min(1024).to_string()));
    }
    for (what, answer) in odd() {
        cases.add(NAME, format!("answer-{what}"), case("", &[&answer], &answer.len().to_string()));
    }
    cases.add(NAME, "server-leaves-without-reading", case("", &[], "-1"));
    cases.add(NAME, "server-leaves-without-answering", case("", &[b""], "0"));
    for (what, rest) in RESTS.into_iter().chain([("stdout-closed", " >&-")]) {
        cases.add(NAME, what, case(rest, &[b"server"], "6"));
    }
    let mut script = Script::default();
    script.file("/tmp/unix_tcp", b"no socket");
    script.start("client", NAME);
    script.says("client", "connect returnValue=-1\r\nerrno=111,Connection refused\r\nclient send bytes=-1client recv bytes=-1,msg=\r\n");
    script.ends("client", "0");
    exchange(&mut script, "", &[b"server"], "6");
    cases.add(NAME, "path-is-a-file", script);
}

fn tcp10_client(cases: &mut Cases) {
    const NAME: &str = "tcp10_client";
    const SAYS: &str = "tcp client start,pid={pid}\r\nconnect returnValue=0\r\nerrno=0,Success\r\nsend bytes=5\r\nerrno=0,Success\r\n";
    let exchange = |script: &mut Script, rest: &str, manner: &str, texts: &str| {
        let (server, client) = (script.actor("server"), script.actor("client"));
        script.start(&server, format!("lab peer answer --count{manner} tcp 127.0.0.1:9501 {texts}").trim_end());
        script.start(&client, &format!("{NAME}{rest}"));
        if !texts.is_empty() {
            script.says(&server, counted(b"hello"));
        }
        script.says(&client, SAYS);
        script.ends(&server, "0");
        script.ends(&client, "0");
    };
    let case = |rest: &str, manner: &str, texts: &str| {
        let mut script = Script::default();
        exchange(&mut script, rest, manner, texts);
        exchange(&mut script, "", "", "''");
        script
    };
    cases.add(NAME, "answer-unread", case("", "", "{x*1000}"));
    cases.add(NAME, "server-leaves-at-once", case("", " --leave", ""));
    cases.add(NAME, "server-leaves-without-reading", case("", "", ""));
    for (what, rest) in RESTS {
        cases.add(NAME, what, case(rest, "", "''"));
    }
    // The socket is descriptor 1, and what is printed goes to the server at the end. (The first printf
    // has found no descriptor 1.)
    let mut script = Script::default();
    script.start("server", "lab peer answer --count tcp 127.0.0.1:9501 ''");
    script.step("server", "^Z");
    script.start("client", &format!("{NAME} >&-"));
    script.ends("client", "0");
    script.step("server", "$ fg");
    script.says("server", format!("{{pid}} bytes: hello{}\n", SAYS.replace("0,Success", "9,Bad file descriptor")));
    script.ends("server", "0");
    exchange(&mut script, "", "", "''");
    cases.add(NAME, "stdout-closed", script);
}

/// unix10 has nobody to talk to but itself; strace holds its child, or its parent, back.
fn unix10(cases: &mut Cases) {
    const PARENT_FIRST: &str = "strace -qqq -f -o pair.strace -e trace=recvfrom -e inject=recvfrom:delay_enter=1000000:when=1 unix10";
    const CHILD_FIRST: &str = "strace -qqq -f -o pair.strace -e trace=close,recvfrom -e inject=close:delay_enter=1000000:when=3 -e inject=recvfrom:delay_enter=300000 unix10";
    for (what, rest) in RESTS.into_iter().chain([("stdout-closed", " >&-")]) {
        let mut script = Script::default();
        script.start("pair", &format!("{PARENT_FIRST}{rest}"));
        script.says("pair", "socketpair returnValue=0\r\nerrno=0,Success\r\nparent send bytes=6\r\n");
        script.says("pair", "child recv bytes=6,msg=parent\r\nchild recv bytes=0,msg=\r\nparent close\r\n");
        script.ends("pair", "0");
        cases.add("unix10", what, script);
    }
    let mut script = Script::default();
    script.start("pair", &format!("{CHILD_FIRST} <&-"));
    script.says("pair", "socketpair returnValue=0\r\nerrno=0,Success\r\nchild recv bytes=-1,msg=\r\nparent close\r\n");
    script.ends("pair", "SIGPIPE");
    cases.add("unix10", "child-first-stdin-closed", script);
}
