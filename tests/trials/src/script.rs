//! Writes a scene: what is done to the programs, and what each of them says to it.

use std::collections::BTreeMap;

use lab::scene::notation;

/// A scene in the making.
#[derive(Default)]
pub struct Script {
    text: String,
    /// What each program has written behind its last newline; nothing of what one writes that cannot
    /// be seen.
    unfinished: BTreeMap<String, Option<Vec<u8>>>,
    actors: usize,
}

impl Script {
    /// The scene of this name, as it stands in a README.
    pub fn scene(&self, name: &str) -> String {
        format!("```scene {name}\n{}```\n", self.text)
    }

    /// A name for one actor more.
    pub fn actor(&mut self, name: &str) -> String {
        self.actors += 1;
        format!("{name}{}", self.actors)
    }

    /// Any step: `server`, `$ udpserver`.
    pub fn step(&mut self, who: &str, what: &str) {
        self.text += &format!("{who:<7} {what}\n");
    }

    /// Puts a file there.
    pub fn file(&mut self, path: &str, text: &[u8]) {
        self.start("writer", &format!("lab peer write {path} {}", word(text)));
        self.ends("writer", "0");
    }

    pub fn start(&mut self, who: &str, command: &str) {
        let is_seen = !command.contains(" >");
        self.unfinished.insert(who.to_owned(), is_seen.then(Vec::new));
        self.step(who, &format!("$ {command}"));
    }

    /// The bytes that the program writes on its terminal next.
    pub fn says(&mut self, who: &str, bytes: impl AsRef<[u8]>) {
        if let Some(unfinished) = self.unfinished.get_mut(who).and_then(Option::as_mut) {
            unfinished.extend(bytes.as_ref());
            if let Some(end) = unfinished.iter().rposition(|byte| *byte == b'\n') {
                let lines: Vec<u8> = unfinished.drain(..=end).collect();
                self.lines(who, &lines[..end]);
            }
        }
    }

    /// A line on standard error, which is not held back and cannot be redirected.
    pub fn complains(&mut self, who: &str, line: &str) {
        self.step(who, &format!("> {line}"));
    }

    /// What the program has written of a line is on its terminal when it ends: stdio writes that out
    /// before it reads there.
    pub fn shows(&mut self, who: &str) {
        if let Some(unfinished) = self.unfinished.get_mut(who).and_then(Option::as_mut)
            && !unfinished.is_empty()
        {
            let line = std::mem::take(unfinished);
            self.lines(who, &line);
        }
    }

    /// The end of the program: a status or a signal. One that a signal ends loses what it has not
    /// written yet.
    pub fn ends(&mut self, who: &str, how: &str) {
        if let Some(unfinished) = self.unfinished.remove(who).flatten()
            && !unfinished.is_empty()
            && !how.starts_with("SIG")
        {
            self.lines(who, &unfinished);
        }
        self.step(who, &format!("= {how}"));
    }

    fn lines(&mut self, who: &str, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n') {
            self.step(who, &format!("> {}", notation(line.trim_ascii_end())));
        }
    }
}

/// A text as a word of a command for `lab peer`.
pub fn word(text: &[u8]) -> String {
    let text = notation(text);
    let is_plain = !text.is_empty() && !text.starts_with(['-', '#', '<', '>']) && !text.contains([' ', '\'', '"', '\\']);
    if is_plain { text } else { format!("'{}'", text.replace('\'', "{x27}")) }
}
