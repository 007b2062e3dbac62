//! Soak: thousands of messages to each server, as a scene. It says each answer to the byte, what the server
//! prints, that no descriptor is left behind, and the count at the end.

use std::path::Path;

use anyhow::{Context, Result};

use lab::scene::{self, Scene};

/// How many messages a line typed at `lab sock` has: a terminal takes 4095 characters.
const LINE: usize = 40;

/// A server under load. In its texts `[M]` is a message, `[N]` how many bytes that has and `[N+4]` how many
/// its answer, `[REST]` how many are missing to 4096, `[I]` a number of the client's, `[COUNT]` the number of
/// messages. A bar ends a step or line.
pub struct Load {
    pub program: &'static str,
    /// How the server starts.
    start: &'static str,
    /// What makes a client's socket and what that answers, and how many there are.
    client: (&'static str, &'static str),
    clients: usize,
    /// How many messages are under way: a local datagram socket holds 10.
    under_way: usize,
    /// What sends a message and what receives its answer, with what that answers.
    send: (&'static str, &'static str),
    receive: (&'static str, &'static str),
    prints: &'static str,
    /// What other clients do between two lines.
    between: &'static str,
    /// The first descriptor that must be free at the end.
    free: usize,
    end: &'static str,
}

const UDP: Load = Load {
    program: "udpserver",
    start: "$ udpserver",
    client: ("socket udp; connect 127.0.0.1:43211", "= 0"),
    clients: 6,
    under_way: 8,
    send: ("send [M]", "= [N]"),
    receive: ("recv", "= [N+4] \"Hi, [M]\""),
    prints: "received [N] bytes: [M]",
    between: "",
    free: 4,
    end: "server ^C | server > received [COUNT] datagrams | server = 0",
};

pub const LOADS: [Load; 6] = [
    UDP,
    Load {
        program: "udp20_server",
        start: "$ udp20_server | > udp server start,pid={n} | > bind returnValue=0 | > errno=0,Success",
        client: ("socket udp; connect 127.0.0.1:9501", "= 0"),
        receive: ("recv", "= 5 \"hello\""),
        prints: "receive bytes=[N],msg=[M],ip=127.0.0.1,port={port[I]} | send bytes=5",
        end: "server ^C | server = SIGINT",
        ..UDP
    },
    Load {
        program: "udpconnectserver",
        start: "$ udpconnectserver",
        clients: 1,
        prints: "send bytes: [N+4]",
        // It does not count the first one.
        between: "client < send g1; recv | client > = 2; = 6 \"Hi, g1\" | server > received 2 bytes: g1 | server > send bytes: 6",
        ..UDP
    },
    Load {
        program: "unixstreamserver",
        // It ends no line.
        start: "$ unixstreamserver server.sock > printed",
        client: ("socket stream; connect server.sock", "= 0"),
        clients: 1,
        under_way: 1,
        receive: ("recv 4096 MSG_WAITALL", "= 4096 \"Hi, [M]{NUL*[REST]}\""),
        prints: "",
        free: 5,
        end: "server = 0",
        ..UDP
    },
    Load {
        program: "unixdataserver",
        start: "$ unixdataserver server.sock",
        client: ("socket dgram; bind {c*[I]0}; connect server.sock", "= 0; = 0"),
        prints: "Receive: [M] | now sending: Hi, [M]",
        end: "server ^C | server = SIGINT",
        ..UDP
    },
    Load {
        program: "tcp30_server",
        start: "$ tcp30_server | > tcp server start,pid={n} | > bind returnValue=0listen returnValue=0",
        clients: 0,
        under_way: 1,
        send: ("socket tcp; connect 127.0.0.1:9501; send [M]", "= 3; = 0; = [N]"),
        receive: ("recv; close", "= 76 \"HTTP/1.1 200 OK{CR}{LF}Content-Type: text/html{CR}{LF}Content-Length: 12{CR}{LF}{CR}{LF}hello, world\"; = 0"),
        prints: "client linked,connfd=4 | receive bytes=[N],msg=[M] | send bytes=76",
        between: "client < socket tcp; connect 127.0.0.1:9501; close | client > = 3; = 0; = 0 | server > client linked,connfd=4 | server > client close,connfd=4 | \
                  client < socket tcp; connect 127.0.0.1:9501; send {x*5000}; close | client > = 3; = 0; = 5000; = 0 | server > client linked,connfd=4 | \
                  server > receive bytes=1024,msg={x*1024} | server > send bytes=76",
        end: "server ^C | server = SIGINT",
        ..UDP
    },
];

impl Load {
    /// The scene with so many messages.
    pub fn scene(&self, messages: usize) -> Result<Scene> {
        let mut text = format!("```scene soak\n{}client $ lab sock\n", steps(self.start, "server "));
        for number in 1..=self.clients {
            text += &format!("client < {}\nclient > = {}; {}\n", self.client.0.replace("[I]", &number.to_string()), number + 2, self.client.1);
        }
        let numbers: Vec<usize> = (0..messages).collect();
        for line in numbers.chunks(LINE) {
            if line[0] == 0 || self.clients == 0 {
                text += &steps(self.between, "");
            }
            // A command begins with its descriptor if clients take turns.
            let turn = |number: usize| if self.clients > 1 { format!("{} ", 3 + number % self.clients) } else { String::new() };
            let (mut commands, mut answers, mut printed) = (Vec::new(), Vec::new(), String::new());
            for round in line.chunks(self.under_way) {
                for (command, answer) in [self.send, self.receive] {
                    commands.extend(round.iter().map(|number| self.fill(&format!("{}{command}", turn(*number)), *number)));
                    answers.extend(round.iter().map(|number| self.fill(answer, *number)));
                }
                printed.extend(round.iter().map(|number| steps(&self.fill(self.prints, *number), "server > ")));
            }
            text += &format!("client < {}\n{printed}client > {}\n", commands.join("; "), answers.join("; "));
        }
        text += &steps(&format!("server % {} - | client ^D | client = 0 | {}", self.free, self.end.replace("[COUNT]", &messages.to_string())), "");
        text += "```\n";
        scene::parse("soak", Path::new(self.program), &text)?.pop().context("a soak is a scene")
    }

    /// Each message is longer or shorter than the one before, and none is like another.
    fn fill(&self, text: &str, number: usize) -> String {
        let (dots, name) = (number % 61, format!("<{number}>"));
        let len = name.len() + dots;
        let text = text.replace("[M]", &format!("{name}{{.*{dots}}}")).replace("[N]", &len.to_string()).replace("[N+4]", &(len + 4).to_string());
        text.replace("[REST]", &(4092 - len).to_string()).replace("[I]", &(number % self.clients.max(1) + 1).to_string())
    }
}

/// Lines that begin so.
fn steps(text: &str, start: &str) -> String {
    text.split(" | ").filter(|step| !step.is_empty()).map(|step| format!("{start}{step}\n")).collect()
}
