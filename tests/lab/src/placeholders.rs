//! The numbers that a scene leaves open, since the kernel picks them: `{n}` and `{port}`.
//!
//! `{n}` is any number, another each time. `{port}` is a number, too: the first one that is met in
//! its place, and from then on that one. `{port1}` to `{port9}` are more of them, all different.

use std::collections::BTreeMap;

/// What the names of one scene have been found to stand for.
#[derive(Debug, Clone, Default)]
pub struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    /// Whether `text` is what `pattern` says. If so, the names that were new stand for what they met.
    pub fn matches(&mut self, pattern: &[u8], text: &[u8]) -> bool {
        let mut met = self.clone();
        let (mut pattern, mut text) = (pattern, text);
        while let Some((before, name, after)) = next_name(pattern) {
            let Some(rest) = text.strip_prefix(before) else { return false };
            let (number, rest) = rest.split_at(rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len()));
            if number.is_empty() || !met.meet(name, &String::from_utf8_lossy(number)) {
                return false;
            }
            (pattern, text) = (after, rest);
        }
        let is_all = pattern == text;
        if is_all {
            *self = met;
        }
        is_all
    }

    /// `text` with each name that stands for a number replaced by it.
    pub fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, number)| text.replace(&format!("{{{name}}}"), number))
    }

    /// Whether `name` can stand for `number`, as it does from now on.
    fn meet(&mut self, name: &str, number: &str) -> bool {
        match self.0.get(name) {
            _ if name == "n" => true,
            Some(known) => known == number,
            None if self.0.values().any(|other| other == number) => false,
            None => {
                self.0.insert(name.to_owned(), number.to_owned());
                true
            }
        }
    }
}

/// The first `{n}` or `{port}` of `text`: the text before it, its name, the text after it.
fn next_name(text: &[u8]) -> Option<(&[u8], &str, &[u8])> {
    let opens = text.iter().enumerate().filter(|(_, byte)| **byte == b'{').map(|(open, _)| open);
    opens.into_iter().find_map(|open| {
        let rest = &text[open + 1..];
        // The longest name is that of a `{port1}`.
        let close = rest.iter().take("port1}".len()).position(|byte| *byte == b'}')?;
        let name = str::from_utf8(&rest[..close]).ok()?;
        let is_name = name == "n" || name.strip_prefix("port").is_some_and(|rest| rest.is_empty() || matches!(rest.as_bytes(), [b'1'..=b'9']));
        is_name.then_some((&text[..open], name, &rest[close + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_n_is_any_number() {
        let mut numbers = Placeholders::default();
        assert!(numbers.matches(b"start,pid={n}", b"start,pid=4711"));
        assert!(numbers.matches(b"start,pid={n}", b"start,pid=12"));
        assert!(numbers.matches(b"{n}.{n}", b"1.1"));
        for text in ["start,pid=", "start,pid=x", "start,pid=12 ", "start,pid=-1", "pid=12"] {
            assert!(!numbers.matches(b"start,pid={n}", text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_port_stays_the_same() {
        let mut numbers = Placeholders::default();
        assert!(numbers.matches(b"127.0.0.1:{port} 127.0.0.1:9501", b"127.0.0.1:40001 127.0.0.1:9501"));
        assert!(numbers.matches(b"127.0.0.1:9501 127.0.0.1:{port}", b"127.0.0.1:9501 127.0.0.1:40001"));
        assert!(!numbers.matches(b"port={port}", b"port=40002"));
        assert!(!numbers.matches(b"port={port2}", b"port=40001"));
        assert!(numbers.matches(b"port={port2}", b"port=40002"));
        assert_eq!(numbers.fill("{port} {port2} {port3} {n}"), "40001 40002 {port3} {n}");
    }

    #[test]
    fn what_does_not_match_is_not_kept() {
        let mut numbers = Placeholders::default();
        assert!(!numbers.matches(b"port={port}, here", b"port=40001, there"));
        assert!(numbers.matches(b"port={port}, here", b"port=40002, here"));
    }

    #[test]
    fn other_braces_are_themselves() {
        let mut numbers = Placeholders::default();
        assert!(numbers.matches(b"{} {x} {port0} {port", b"{} {x} {port0} {port"));
        assert!(!numbers.matches(b"{port10}", b"40001"));
    }
}
