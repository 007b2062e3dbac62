//! The numbers that a scene leaves open, since the kernel picks them: `{pid}` and `{port}`.
//!
//! `{pid}` is any number, another each time. `{port}` is a number, too: the first one that is met in
//! its place, and from then on that one. `{port1}` to `{port9}` are more of them, all different.

use std::collections::BTreeMap;

/// What the names of one scene have been found to stand for.
#[derive(Debug, Clone, Default)]
pub struct Numbers(BTreeMap<String, String>);

impl Numbers {
    /// Whether `text` is what `pattern` says. If so, the names that were new stand for what they met.
    pub fn matches(&mut self, pattern: &str, text: &str) -> bool {
        let mut met = self.clone();
        let (mut pattern, mut text) = (pattern, text);
        while let Some((before, name, after)) = next_name(pattern) {
            let Some(rest) = text.strip_prefix(before) else { return false };
            let (number, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            if number.is_empty() || !met.meet(name, number) {
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
            _ if name == "pid" => true,
            Some(known) => known == number,
            None if self.0.values().any(|other| other == number) => false,
            None => {
                self.0.insert(name.to_owned(), number.to_owned());
                true
            }
        }
    }
}

/// The first `{pid}` or `{port}` of `text`: what stands before it, its name, what stands behind it.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('{').find_map(|(open, _)| {
        let (name, after) = text[open + 1..].split_once('}')?;
        let is_name = name == "pid" || name.strip_prefix("port").is_some_and(|rest| rest.is_empty() || matches!(rest.as_bytes(), [b'1'..=b'9']));
        is_name.then_some((&text[..open], name, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_any_number() {
        let mut numbers = Numbers::default();
        assert!(numbers.matches("start,pid={pid}", "start,pid=4711"));
        assert!(numbers.matches("start,pid={pid}", "start,pid=12"));
        assert!(numbers.matches("{pid}.{pid}", "1.1"));
        for text in ["start,pid=", "start,pid=x", "start,pid=12 ", "start,pid=-1", "pid=12"] {
            assert!(!numbers.matches("start,pid={pid}", text), "{text}");
        }
    }

    #[test]
    fn a_port_stays_the_same() {
        let mut numbers = Numbers::default();
        assert!(numbers.matches("127.0.0.1:{port} 127.0.0.1:9501", "127.0.0.1:40001 127.0.0.1:9501"));
        assert!(numbers.matches("127.0.0.1:9501 127.0.0.1:{port}", "127.0.0.1:9501 127.0.0.1:40001"));
        assert!(!numbers.matches("port={port}", "port=40002"));
        assert!(!numbers.matches("port={port2}", "port=40001"));
        assert!(numbers.matches("port={port2}", "port=40002"));
        assert_eq!(numbers.fill("{port} {port2} {port3} {pid}"), "40001 40002 {port3} {pid}");
    }

    #[test]
    fn what_does_not_match_is_not_kept() {
        let mut numbers = Numbers::default();
        assert!(!numbers.matches("port={port}, here", "port=40001, there"));
        assert!(numbers.matches("port={port}, here", "port=40002, here"));
    }

    #[test]
    fn other_braces_are_themselves() {
        let mut numbers = Numbers::default();
        assert!(numbers.matches("{} {x} {port0} {port", "{} {x} {port0} {port"));
        assert!(!numbers.matches("{port10}", "40001"));
    }
}
