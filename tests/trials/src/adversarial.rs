//! Adversarial input: what no well-behaved client, server or shell sends. The inputs in
//! `tests/trials/adversarial.tsv` times the programs give scenes in which only the steps of people are
//! written. Their programs are held to invariants: no crash, no hang, no loop, at most one line on
//! standard error, and an honest partner before and after gets what it gets without any of this. With the
//! C programs, a port must also look the same as C. The table has the exceptions, with their reasons.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::verdict::{self, Kind, Players, Report, Side, Start, Verdict, Watch};
use lab::programs;
use lab::scene::{self, Scene, notation};
use lab::signals;
use lab::trace::Trace;

/// A row of the programs' table.
#[derive(Clone, Copy)]
struct Program {
    /// How it is started.
    command: &'static str,
    kind: &'static str,
    /// Its own, or its server's.
    address: &'static str,
    /// The size of its buffer.
    room: usize,
    role: &'static str,
}

fn all_programs() -> impl Iterator<Item = Program> {
    table("program").map(|[command, kind, address, room, role]| Program { command, kind, address, room: room.parse().expect("a size"), role })
}

/// Messages and lines with unusual bytes.
fn odd() -> [(&'static str, Vec<u8>); 6] {
    let every = (1..=255).filter(|byte| *byte != b'\n').collect();
    [("nul-inside", b"be\0hind".into()), ("nul-first", b"\0behind".into()), ("nul", b"\0".into()), ("every-byte", every), ("newlines", b"\none\ntwo\n".into()), ("percents", b"%s%s%n%100000d".into())]
}

/// The rows of one table of `adversarial.tsv`, each with as many cells as the longest has.
fn table(name: &str) -> impl Iterator<Item = [&'static str; 5]> {
    let rows = include_str!("../adversarial.tsv").lines().filter_map(move |line| line.split_once('\t').filter(|(table, _)| *table == name));
    rows.map(|(_, row)| {
        let mut cells = row.split('\t');
        [(); 5].map(|()| cells.next().unwrap_or_default())
    })
}

/// Whether a list of names, in which one `*` stands for any text, has this one.
fn is_among(name: &str, list: &str) -> bool {
    list.split(' ').any(|one| one.split_once('*').map_or(one == name, |(start, end)| name.starts_with(start) && name.ends_with(end)))
}

/// A scene, and the program that its input is for.
pub struct Case {
    pub program: &'static str,
    /// PROGRAM/INPUT.
    pub scene: Scene,
    pub text: String,
}

impl Case {
    fn input(&self) -> &str {
        self.scene.name.split('/').nth(1).unwrap_or_default()
    }

    /// The third cells of the rows of a table that are for this case and this program.
    fn exceptions(&self, list: &str, program: &str) -> impl Iterator<Item = &'static str> {
        table(list).filter(move |row| is_among(program, row[0]) && is_among(self.input(), row[1])).map(|row| row[2])
    }

    /// Whether nothing happens in it: it says what honest partners look like in the others.
    pub fn is_plain(&self) -> bool {
        matches!(self.input(), "nothing" | "line-none")
    }
}

/// The steps of a case in the making.
struct Script {
    program: Program,
    text: String,
}

impl Script {
    fn new(program: Program) -> Script {
        Script { program, text: String::new() }
    }

    /// Appends these steps, and ends who was started in them, but not the server. Who was started last ends first:
    /// who answers from a socket that was bound stays until the client has ended.
    fn steps(&mut self, steps: &str) {
        let Program { command, kind, address, .. } = self.program;
        let [_, connect, listen, ..] = table("kind").find(|[name, ..]| *name == kind).unwrap_or_default();
        let mut started = Vec::new();
        for step in steps.lines() {
            let who = step.split(' ').next().unwrap_or_default();
            if step.contains(" $ ") && who != "server" {
                started.push(who);
            }
            let sockets = step.replace("{S}", connect).replace("{B}", listen);
            self.text += &sockets.replace("{K}", kind).replace("{A}", address).replace("{W}", who).replace("{C}", command);
            self.text.push('\n');
        }
        started.iter().rev().for_each(|who| self.end(who));
    }

    /// Ends someone: with ^C if need be, which is an error for one that should end by itself.
    fn end(&mut self, who: &str) {
        self.text += &format!("{who} ^C\n{who} = SIGINT\n");
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
    }

    /// Removes the socket of a server that was there before.
    fn clear(&mut self) {
        if self.program.is_local() {
            self.steps("writer $ rm -f {A}");
        }
    }

    /// An honest client of the server that runs.
    fn honest_client(&mut self, number: usize) {
        let receive = if self.program.is_stream() { TO_THE_END } else { "recv" };
        self.steps(&format!("honest{number} $ lab sock -c '{{S}}; send g1; {receive}'"));
    }

    /// An honest server, and the program as its client.
    fn honest_server(&mut self, number: usize) {
        let [_, serve, ..] = self.program.serve();
        self.clear();
        self.steps(&format!("honest{number} $ lab sock -c '{{B}}; {serve}'\nhonestclient{number} $ {{C}}{}", self.program.input()));
    }
}

/// The commands of `lab sock` that say that no more comes, and receive until the other side says so.
const TO_THE_END: &str = "shutdown SHUT_WR; recv 1000000 MSG_WAITALL";

/// Bytes as a word of `lab sock`'s, in its notation.
fn word(bytes: &[u8]) -> String {
    let escape = |c: char| if matches!(c, '\'' | '"' | '\\' | ';' | ' ' | '#') { format!("{{x{:02x}}}", u32::from(c)) } else { c.to_string() };
    if bytes.is_empty() { "\"\"".to_owned() } else { notation(bytes).chars().map(escape).collect() }
}

/// What cases are called, and their steps.
type Scripts = Vec<(String, Script)>;

impl Program {
    /// How many bytes messages and lines have: none, one, around its buffer, with "Hi, " before them, and many.
    fn sizes(self) -> [usize; 8] {
        [0, 1, self.room - 5, self.room - 4, self.room - 1, self.room, self.room + 1, 65507]
    }

    fn name(self) -> &'static str {
        self.command.split(' ').next().unwrap_or_default()
    }

    fn has_arguments(self) -> bool {
        self.command.contains(' ')
    }

    /// The rows of this table that are for it.
    fn rows(self, name: &str) -> impl Iterator<Item = [&'static str; 5]> {
        table(name).filter(move |[_, _, only, ..]| only.is_empty() || is_among(self.name(), only))
    }

    /// How it is answered if it is a client.
    fn serve(self) -> [&'static str; 5] {
        let name = format!("{}{}", if self.is_stream() { "stream" } else { "datagram" }, if self.reads() { " lines" } else { "" });
        table("serve").find(|row| row[0] == name).unwrap_or_default()
    }

    fn is_stream(self) -> bool {
        matches!(self.kind, "stream" | "tcp")
    }

    fn is_local(self) -> bool {
        matches!(self.kind, "dgram" | "stream")
    }

    fn reads(self) -> bool {
        self.role.starts_with("reads ")
    }

    /// Plain lines for a client that reads some.
    fn input(self) -> &'static str {
        if self.reads() { " < honest" } else { "" }
    }

    /// The messages that it gets: of each size and with unusual bytes, as words of `lab sock`'s. A stream carries no empty one.
    fn messages(self) -> impl Iterator<Item = (String, String)> {
        let sizes = self.sizes().map(|size| (format!("of-{size}"), vec![b'x'; size]));
        let all = sizes.into_iter().chain(odd().map(|(name, bytes)| (name.to_owned(), bytes)));
        all.filter(move |(_, bytes)| !bytes.is_empty() || !self.is_stream()).map(|(name, bytes)| (name, word(&bytes)))
    }

    fn scripts(self) -> Scripts {
        match self.role.split_once(' ').unwrap_or((self.role, "")) {
            ("serves" | "ends", _) => self.server_scripts(),
            ("reads", server) => self.client_scripts().into_iter().chain(self.reader_scripts(server)).collect(),
            ("sends", _) => self.client_scripts(),
            _ => self.lone_scripts(),
        }
    }

    fn server_scripts(self) -> Scripts {
        let ask = |send: &str| match self.is_stream() {
            true => format!("server ^Z\nother $ lab sock -c '{{S}}; {send}{TO_THE_END}'\nserver $ fg"),
            false => format!("other $ lab sock -c '{{S}}; {send}recv'"),
        };
        let hello = ask("send g1; ");
        let mut inputs = vec![("nothing".to_owned(), String::new())];
        inputs.extend(self.messages().map(|(name, message)| (format!("message-{name}"), ask(&format!("send {message}; ")))));
        let clients = self.rows(if self.is_stream() { "stream server" } else { "datagram server" });
        inputs.extend(clients.map(|[name, steps, ..]| (name.to_owned(), steps.replace(" | ", "\n"))));
        let names = table("client name").filter(|_| self.is_local());
        inputs.extend(names.map(|[name, connect, ..]| (format!("client-{name}"), hello.replace("{S}", connect))));

        let mut scripts: Scripts = inputs.into_iter().map(|(name, steps)| (name, self.around(Script::new(self), "", &steps))).collect();
        scripts.extend(self.rows("rest").map(|[name, rest, ..]| (name.to_owned(), self.around(Script::new(self), rest, &hello))));
        scripts.extend(table("path").filter(|_| self.has_arguments()).map(|[name, path, ..]| {
            let mut script = Script::new(self);
            script.file("file", b"precious");
            script.steps(&format!("refused $ {} {path}", self.name()));
            (name.to_owned(), self.around(script, "", ""))
        }));
        scripts
    }

    /// These steps with the server started so; before and after them someone honest, if it serves others, too; and one in a new server.
    fn around(self, mut script: Script, rest: &str, steps: &str) -> Script {
        let serves = self.role == "serves";
        // One that serves a single client, and has none, waits for it.
        if serves || !steps.is_empty() {
            script.steps(&format!("server $ {{C}}{rest}"));
            if serves {
                script.honest_client(1);
            }
            script.steps(steps);
            if serves {
                script.honest_client(2);
            }
            script.end("server");
        }
        script.steps("server $ {C}");
        script.honest_client(3);
        script.end("server");
        script
    }

    fn client_scripts(self) -> Scripts {
        let served = |serve: &str, rest: &str| format!("other $ lab sock -c '{{B}}; {serve}'\nclient $ {{C}}{rest}");
        let [_, _, answer, to_rest, _] = self.serve();
        let mut inputs: Vec<(String, String)> = Vec::new();
        let answers = self.messages().map(|(name, message)| (format!("answer-{name}"), answer.replace("{M}", &message)));
        inputs.extend(answers.map(|(name, answer)| (name, served(&answer, self.input()))));
        let servers = self.rows(if self.is_stream() { "stream client" } else { "datagram client" });
        inputs.extend(servers.map(|[name, steps, ..]| {
            let steps: Vec<&str> = steps.split(" | ").filter(|step| self.reads() || !step.starts_with("client <")).collect();
            (name.to_owned(), steps.join("\n"))
        }));
        for [name, rest, ..] in self.rows("rest") {
            inputs.push((name.to_owned(), served(to_rest, &format!("{rest}{}", if rest.contains('<') { "" } else { self.input() }))));
        }
        inputs.push(("stdin-a-folder".to_owned(), served(to_rest, " < .")));

        let mut nothing = Script::new(self);
        nothing.file("honest", b"g1\ng2\n");
        nothing.honest_server(1);
        nothing.honest_server(2);
        let mut scripts = vec![("nothing".to_owned(), nothing)];
        scripts.extend(inputs.into_iter().map(|(name, steps)| (name, self.before_honest(None, &steps))));
        let arguments = table(if self.kind == "udp" { "address" } else { "path" }).filter(|_| self.has_arguments());
        scripts.extend(arguments.map(|[name, argument, ..]| (name.to_owned(), self.before_honest(Some("file"), &format!("client $ {} {argument}\nclient < g1", self.name())))));
        if self.is_local() {
            scripts.push(("server-is-a-file".to_owned(), self.before_honest(Some(self.address), &format!("client $ {{C}}{}", self.input()))));
        }
        scripts
    }

    /// These steps of a client where this file stands, and then an honest server.
    fn before_honest(self, file: Option<&str>, steps: &str) -> Script {
        let mut script = Script::new(self);
        script.clear();
        file.iter().for_each(|path| script.file(path, b"precious"));
        script.file("honest", b"g1\ng2\n");
        let ends_input = if self.reads() && steps.contains("client <") { "\nclient ^D" } else { "" };
        script.steps(&format!("{steps}{ends_input}"));
        script.honest_server(2);
        script
    }

    /// The lines that a client reads from a file, with its real server.
    fn reader_scripts(self, server: &str) -> Scripts {
        let server = all_programs().find(|program| program.name() == server).map_or("", |program| program.command);
        let line = |bytes: &[u8]| [bytes, b"\n"].concat();
        let mut lines = vec![("none".to_owned(), Vec::new())];
        lines.extend(self.sizes().into_iter().chain([1 << 20]).map(|size| (format!("of-{size}"), line(&vec![b'x'; size]))));
        lines.extend(odd().map(|(name, bytes)| (name.to_owned(), line(&bytes))));
        lines.extend([("no-newline-at-end", b"end" as &[u8]), ("nul-at-end", b"end\0")].map(|(name, bytes)| (name.to_owned(), bytes.to_owned())));
        let script = |(name, line): (String, Vec<u8>)| {
            let ends_line = line.is_empty() || line.ends_with(b"\n");
            let mut script = Script::new(self);
            script.file("lines", &[b"g1\n" as &[u8], &line, if ends_line { b"g2\n" } else { b"" }].concat());
            script.file("honest", b"g1\ng2\n");
            script.steps(&format!("server $ {server}\nclient $ {{C}} < lines"));
            script.end("server");
            script.honest_server(2);
            (format!("line-{name}"), script)
        };
        lines.into_iter().map(script).collect()
    }

    /// strace holds the child of unix10 back, so that its lines have one order.
    fn lone_scripts(self) -> Scripts {
        let script = |[name, rest]: [&str; 2]| {
            let mut script = Script::new(self);
            script.steps(&format!("pair $ strace -qqq -f -o pair.strace -e trace=recvfrom -e inject=recvfrom:delay_enter=1000000:when=1 {}{rest}", self.name()));
            (name.to_owned(), script)
        };
        [["nothing", ""]].into_iter().chain(self.rows("rest").map(|[name, rest, ..]| [name, rest])).map(script).collect()
    }
}

/// The cases of the programs of these names.
pub fn cases(names: &[&str]) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for program in all_programs().filter(|program| names.contains(&program.name())) {
        let group = programs::find(program.name()).map_or("", |program| program.group);
        for (input, script) in program.scripts() {
            let name = format!("{}/{input}", program.name());
            let text = format!("```scene {name}\n{}```\n", script.text);
            let scene = scene::parse(group, Path::new(&name), &text)?.pop().with_context(|| format!("{name} is no scene"))?;
            cases.push(Case { program: program.name(), scene, text });
        }
    }
    Ok(cases)
}

/// Plays the cases of one program: the first is the one in which nothing happens.
pub fn run(cases: &[&Case], players: &Players) -> Result<Report> {
    let mut report = Report::default();
    let (mut honest, mut honest_in_c) = (BTreeMap::new(), BTreeMap::new());
    for case in cases {
        signals::check()?;
        report.tried += 1;
        let here = players.play(&case.scene, Side::Ports, Watch::Strace(None))?;
        let verdicts = judge(case, &here, &mut honest, false);
        report.wrong.extend(verdicts.iter().map(|verdict| format!("{}: {verdict}", case.scene.name)));
        if players.builds.c.is_none() {
            continue;
        }
        let in_c = players.play(&case.scene, Side::C, Watch::Strace(None))?;
        let kind = judge(case, &in_c, &mut honest_in_c, true).iter().map(|verdict| verdict.kind).min();
        let of_programs = |starts: &[Start]| starts.iter().filter(|start| start.program.is_some()).flat_map(seen).collect::<Vec<_>>();
        let (c, port) = (of_programs(&in_c), of_programs(&here));
        if c == port {
            report.c.push(None);
            continue;
        }
        report.c.push(Some(kind.unwrap_or(Kind::Wrong)));
        let kind = kind.map_or("differs".to_owned(), |kind| kind.to_string());
        let (in_c, here) = c.iter().zip(&port).find(|(c, port)| c != port).map_or(("", ""), |(c, port)| (c, port));
        let difference = format!("{}: {kind}: in C {in_c:.200}, here {here:.200}", case.scene.name);
        match case.exceptions("fixed", case.program).next() {
            Some(why) => report.in_c.push(format!("{difference} ({why})")),
            None => report.wrong.push(difference),
        }
    }
    Ok(report)
}

/// What is compared between C and port: who, terminal, end, and each process's own calls.
fn seen(start: &Start) -> Vec<String> {
    [start.who.clone()].into_iter().chain(verdict::terminal(start)).chain(start.traces.iter().flat_map(Trace::own).map(|line| line.text)).collect()
}

/// What is wrong with the starts of a case. Cases in which nothing happens come first: `honest` is what terminals show there.
fn judge(case: &Case, starts: &[Start], honest: &mut BTreeMap<String, Vec<String>>, is_c: bool) -> Vec<Verdict> {
    let kept = |program: &str, what: &str| !is_c && case.exceptions("kept", program).any(|kept| kept == what);
    let stays = |start: &Start| all_programs().any(|program| Some(program.name()) == start.program && program.role.starts_with("serves"));
    let is_served = !starts.iter().any(|start| stays(start) && start.interrupted.is_none());
    let mut verdicts = Vec::new();
    for start in starts {
        let Start { who, program, .. } = start;
        let (end, lines) = (verdict::end(start), verdict::terminal(start));
        // If descriptor 2 is its socket, what it writes there is no complaint.
        let stderr = if case.input() == "stderr-closed" { String::new() } else { verdict::stderr(start) };
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
        if who.starts_with("honest") || (who == "client" && case.input() == "line-none") {
            honest.entry(who.clone()).or_insert_with(|| lines.clone());
        }
        if let Some(alone) = honest.get(who).filter(|alone| !is_as_alone(alone)) {
            wrong(Kind::Wrong, format!("{lines:?}, and otherwise {alone:?}"));
        }
    }
    verdicts
}
