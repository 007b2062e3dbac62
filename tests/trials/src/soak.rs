//! Soak: thousands of messages to each server, as a scene. It says each answer to the byte, what the server
//! prints, that no descriptor is left behind, and the count at the end.

use std::path::Path;

use anyhow::{Context, Result};

use lab::scene::{self, Scene};

pub const SERVERS: [&str; 6] = ["udpserver", "udp20_server", "udpconnectserver", "unixstreamserver", "unixdataserver", "tcp30_server"];

/// What `tests/trials/soak.tsv` says of this server, or else of udpserver.
fn says(server: &str, what: &str) -> &'static str {
    let of = |server: &str| include_str!("../soak.tsv").lines().find_map(|row| row.strip_prefix(&format!("{server}\t{what}\t")));
    of(server).or_else(|| of(SERVERS[0])).unwrap_or_default()
}

/// The scene of a server with so many messages.
pub fn scene(server: &str, messages: usize) -> Result<Scene> {
    let says = |what| says(server, what);
    let (clients, under_way): (usize, usize) = (says("clients").parse()?, says("under way").parse()?);
    let mut text = format!("```scene soak\n{}client $ lab sock\n", steps(says("start"), "server "));
    for number in 1..=clients {
        text += &format!("client < {}\nclient > = {}; {}\n", says("client").replace("[I]", &number.to_string()), number + 2, says("made"));
    }
    // A command begins with its descriptor if clients take turns.
    let turn = |number: usize| if clients > 1 { format!("{} ", 3 + number % clients) } else { String::new() };
    let exchange = [("send", "sent"), ("receive", "received")].map(|(command, answer)| (says(command), says(answer)));
    let prints = says("prints");
    let numbers: Vec<usize> = (0..messages).collect();
    // A terminal takes lines of 4095 characters.
    for line in numbers.chunks(40) {
        if line[0] == 0 || clients == 0 {
            text += &steps(says("between"), "");
        }
        let (mut commands, mut answers, mut printed) = (Vec::new(), Vec::new(), String::new());
        for round in line.chunks(under_way) {
            for (command, answer) in exchange {
                commands.extend(round.iter().map(|number| turn(*number) + &fill(command, *number, clients)));
                answers.extend(round.iter().map(|number| fill(answer, *number, clients)));
            }
            printed.extend(round.iter().map(|number| steps(&fill(prints, *number, clients), "server > ")));
        }
        text += &format!("client < {}\n{printed}client > {}\n", commands.join("; "), answers.join("; "));
    }
    let end = says("end").replace("[COUNT]", &messages.to_string());
    text += &steps(&format!("server % {} - | client ^D | client = 0 | {end}", says("free")), "");
    text += "```\n";
    scene::parse("soak", Path::new(server), &text)?.pop().context("a soak is a scene")
}

/// Each message is longer or shorter than the one before, and none is like another.
fn fill(text: &str, number: usize, clients: usize) -> String {
    let (dots, name) = (number % 61, format!("<{number}>"));
    let len = name.len() + dots;
    let text = text.replace("[M]", &format!("{name}{{.*{dots}}}")).replace("[N]", &len.to_string()).replace("[N+4]", &(len + 4).to_string());
    text.replace("[REST]", &(4092 - len).to_string()).replace("[I]", &(number % clients.max(1) + 1).to_string())
}

/// Lines that begin so.
fn steps(text: &str, start: &str) -> String {
    text.split(" | ").filter(|step| !["", "-"].contains(step)).map(|step| format!("{start}{step}\n")).collect()
}
