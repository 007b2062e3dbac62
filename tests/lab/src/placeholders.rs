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
    fn a_name_stands_for_any_number_or_for_the_one_that_it_met() {
        let mut numbers = Placeholders::default();
        for (pattern, text, is_so) in [
            ("start,pid={n}", "start,pid=4711", true),
            ("{n}.{n}", "1.1", true),
            ("pid={n}", "pid=", false),
            ("pid={n}", "pid=-1", false),
            ("pid={n}", "pid=12 ", false),
            ("port={port}, here", "port=40003, there", false),
            // What does not match is not kept.
            ("127.0.0.1:{port} 127.0.0.1:9501", "127.0.0.1:40001 127.0.0.1:9501", true),
            ("127.0.0.1:9501 127.0.0.1:{port}", "127.0.0.1:9501 127.0.0.1:40001", true),
            ("port={port}", "port=40002", false),
            ("port={port2}", "port=40001", false),
            ("port={port2}", "port=40002", true),
            // Other braces are themselves.
            ("{} {x} {port0} {port", "{} {x} {port0} {port", true),
            ("{port10}", "40001", false),
        ] {
            assert_eq!(numbers.matches(pattern.as_bytes(), text.as_bytes()), is_so, "{pattern}: {text}");
        }
        assert_eq!(numbers.fill("{port} {port2} {port3} {n}"), "40001 40002 {port3} {n}");
    }
}
