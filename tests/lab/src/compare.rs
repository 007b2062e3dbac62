//! Two traces of one process, the C program's and the port's, line by line.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::scene::Divergence;
use crate::trace::{Trace, is_call, name};

/// A line of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Same(String),
    /// What C has there and what the port has; one of them may have nothing.
    Differ(Option<String>, Option<String>),
}

/// The rows of the comparison of two lists of lines.
pub fn rows(c: &[String], port: &[String]) -> Vec<Row> {
    let mut rows = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, c, port) {
        let (old, new) = (&c[op.old_range()], &port[op.new_range()]);
        if let DiffOp::Equal { .. } = op {
            rows.extend(old.iter().cloned().map(Row::Same));
        } else {
            for at in 0..old.len().max(new.len()) {
                rows.push(Row::Differ(old.get(at).cloned(), new.get(at).cloned()));
            }
        }
    }
    rows
}

/// How many of the rows are calls, and how many of those are the same.
pub fn count(rows: &[Row]) -> (usize, usize) {
    let calls = rows.iter().filter(|row| match row {
        Row::Same(line) => is_call(line),
        Row::Differ(c, port) => c.iter().chain(port).any(|line| is_call(line)),
    });
    let same = rows.iter().filter(|row| matches!(row, Row::Same(line) if is_call(line)));
    (calls.count(), same.count())
}

/// The parts of a call, to mark those that differ: its name, each argument, its result.
pub fn parts(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quoted, mut escaped) = (0, 0, false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '{' | '[' => {
                depth += 1;
                if depth == 1 {
                    parts.push(&line[start..=at]);
                    start = at + 1;
                }
            }
            ')' | '}' | ']' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&line[start..at]);
                    start = at;
                }
            }
            ',' if depth == 1 => {
                parts.push(&line[start..=at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[start..]);
    parts
}

/// Says how the traces' own calls differ if they do so otherwise than the scene says: one line.
pub fn judge(c: &[String], port: &[String], divergence: Option<&Divergence>) -> Option<String> {
    if c == port {
        return match divergence {
            None | Some(Divergence::Undefined) => None,
            Some(divergence) => Some(format!("the scene says '{divergence}', and the traces are the same")),
        };
    }
    let (differs, then) = match divergence {
        None => (&[][..], None),
        Some(Divergence::Undefined) => return None,
        Some(Divergence::Defined { differs, then }) => (differs.as_slice(), then.as_ref()),
    };
    let said = divergence.map(|divergence| format!(", where the scene says '{divergence}'")).unwrap_or_default();
    let (at_c, at_port) = match (first_other(c, port, differs), then) {
        (None, None) => return None,
        (None, Some(_)) => return Some(format!("they do not part{said}")),
        (Some(at), _) => at,
    };
    let line = |lines: &[String], at: usize| lines.get(at).map_or("nothing", String::as_str).to_owned();
    let (in_c, here) = (line(c, at_c), line(port, at_port));
    let is_said = |line: &str, said: &str| said.split(" or ").any(|said| said == name(line));
    let is_so = then.is_some_and(|(c, port)| is_said(&in_c, c) && is_said(&here, port));
    (!is_so).then(|| format!("they differ{said}: in C {in_c}, here {here}"))
}

/// Where the traces part: the first lines, one of each, that are not the same, and none of the calls
/// that a scene names as those that differ.
fn first_other(c: &[String], port: &[String], differs: &[String]) -> Option<(usize, usize)> {
    let is_other = |line: &String| {
        !differs.iter().any(|said| {
            let (call, text) = said.split_once(' ').unwrap_or((said, ""));
            call == name(line) && line.contains(text)
        })
    };
    let other = |lines: &[String], from: usize| lines[from..].iter().position(is_other).map_or(lines.len(), |at| from + at);
    capture_diff_slices(Algorithm::Myers, c, port).into_iter().find_map(|op| {
        let (of_c, of_port) = (op.old_range(), op.new_range());
        let differ = !matches!(op, DiffOp::Equal { .. });
        (differ && c[of_c.clone()].iter().chain(&port[of_port.clone()]).any(is_other)).then(|| (other(c, of_c.start), other(port, of_port.start)))
    })
}

/// What of a C program's own calls a comparison with the port needs, where the scene shows a fix.
pub fn up_to_divergence(own: Vec<String>, port: &[String], divergence: Option<&Divergence>) -> Vec<String> {
    let len = match divergence {
        // What is not defined may be the same all the same, in this build of the C programs.
        Some(Divergence::Undefined) if own != port => 0,
        Some(Divergence::Defined { differs, then: Some(_) }) => first_other(&own, port, differs).map_or(own.len(), |(at, _)| at + 1),
        _ => own.len(),
    };
    own.into_iter().take(len).collect()
}

/// The traces of a run with C programs beside those of a run with the ports.
///
/// A process that only one of them has comes with an empty trace of the other.
pub fn pair(c: Vec<Trace>, port: Vec<Trace>) -> Vec<(Trace, Trace)> {
    let empty = |trace: &Trace| Trace { lines: Vec::new(), ..trace.clone() };
    let mut rest = c;
    let mut pairs = Vec::new();
    for port in port {
        let c = match rest.iter().position(|c| c.who == port.who) {
            Some(at) => rest.remove(at),
            None => empty(&port),
        };
        pairs.push((c, port));
    }
    pairs.extend(rest.into_iter().map(|c| (c.clone(), empty(&c))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const C: [&str; 4] = ["socket(AF_INET) = 3", "bind(3, 16) = 0", "close(3) = 0", "+++ exited with 0 +++"];

    #[test]
    fn equal_traces_are_the_same() {
        let rows = rows(&lines(&C), &lines(&C));
        assert_eq!(count(&rows), (3, 3));
        assert_eq!(judge(&lines(&C), &lines(&C), None), None);
    }

    #[test]
    fn a_changed_argument_is_reported() {
        let port = lines(&[C[0], "bind(3, 110) = 0", C[2], C[3]]);
        let rows = rows(&lines(&C), &port);
        assert_eq!(count(&rows), (3, 2));
        assert_eq!(rows[1], Row::Differ(Some(C[1].into()), Some(port[1].clone())));
        assert_eq!(judge(&lines(&C), &port, None).unwrap(), "they differ: in C bind(3, 16) = 0, here bind(3, 110) = 0");
    }

    #[test]
    fn an_extra_call_is_reported() {
        let port = lines(&[C[0], "getpid() = ‹pid 1›", C[1], C[2], C[3]]);
        let rows = rows(&lines(&C), &port);
        assert_eq!(count(&rows), (4, 3));
        assert_eq!(rows[1], Row::Differ(None, Some(port[1].clone())));
        assert!(judge(&lines(&C), &port, None).is_some());
    }

    #[test]
    fn a_missing_call_is_reported() {
        let port = lines(&[C[0], C[1], C[3]]);
        assert_eq!(count(&rows(&lines(&C), &port)), (3, 2));
        assert!(judge(&lines(&C), &port, None).is_some());
        assert_eq!(judge(&lines(&C), &lines(&C[..3]), None).unwrap(), "they differ: in C +++ exited with 0 +++, here nothing");
    }

    #[test]
    fn a_changed_order_is_reported() {
        let port = lines(&[C[1], C[0], C[2], C[3]]);
        assert!(count(&rows(&lines(&C), &port)).1 < 3);
        assert!(judge(&lines(&C), &port, None).is_some());
    }

    #[test]
    fn a_parting_is_held_to_what_the_scene_says() {
        let port = lines(&[C[0], "write(2) = 1", "exit_group(1) = ?"]);
        let part = |c: &str, port: &str| Some(Divergence::Defined { differs: Vec::new(), then: Some((c.into(), port.into())) });
        assert_eq!(judge(&lines(&C), &port, part("bind", "write").as_ref()), None);
        assert_eq!(judge(&lines(&C), &port, part("close or bind", "write").as_ref()), None);
        assert!(judge(&lines(&C), &port, part("close", "write").as_ref()).is_some());
        assert!(judge(&lines(&C), &port, part("bind", "close").as_ref()).is_some());
        assert!(judge(&lines(&C), &lines(&C), part("bind", "write").as_ref()).is_some());
        assert_eq!(judge(&lines(&C), &lines(&C), Some(&Divergence::Undefined)), None);
        assert_eq!(up_to_divergence(lines(&C), &port, part("bind", "write").as_ref()), lines(&C[..2]));
        assert!(up_to_divergence(lines(&C), &port, Some(&Divergence::Undefined)).is_empty());
        assert_eq!(up_to_divergence(lines(&C), &lines(&C), Some(&Divergence::Undefined)), lines(&C));
    }

    #[test]
    fn a_difference_is_held_to_the_call_that_the_scene_names() {
        let port = lines(&[C[0], "bind(3, 110) = 0", C[2], C[3]]);
        let differs = |calls: &[&str]| Some(Divergence::Defined { differs: lines(calls), then: None });
        assert_eq!(judge(&lines(&C), &port, differs(&["bind"]).as_ref()), None);
        assert!(judge(&lines(&C), &port, differs(&["close"]).as_ref()).is_some());
        assert!(judge(&lines(&C), &lines(&C), differs(&["bind"]).as_ref()).is_some());
        let without_close = lines(&[C[0], "bind(3, 110) = 0", C[3]]);
        assert!(judge(&lines(&C), &without_close, differs(&["bind"]).as_ref()).is_some());
        assert_eq!(judge(&lines(&C), &without_close, differs(&["bind", "close"]).as_ref()), None);
        // By a text in their lines.
        assert_eq!(judge(&lines(&C), &port, differs(&["bind (3, 1"]).as_ref()), None);
        assert!(judge(&lines(&C), &port, differs(&["bind (3, 16"]).as_ref()).is_some());
    }

    #[test]
    fn a_difference_may_come_before_the_parting() {
        let port = lines(&[C[0], "setsockopt(3) = 0", C[1], "write(2) = 1", "exit_group(1) = ?"]);
        let part = |differs: &[&str], c: &str, port: &str| Some(Divergence::Defined { differs: lines(differs), then: Some((c.into(), port.into())) });
        let said = part(&["setsockopt"], "close", "write");
        assert_eq!(judge(&lines(&C), &port, said.as_ref()), None);
        assert_eq!(up_to_divergence(lines(&C), &port, said.as_ref()), lines(&C[..3]));
        assert_eq!(judge(&lines(&C[..3]), &port, said.as_ref()), None);
        assert!(judge(&lines(&C), &port, part(&["setsockopt"], "bind", "write").as_ref()).is_some());
        assert!(judge(&lines(&C), &port, part(&[], "close", "write").as_ref()).is_some());
        let port = lines(&[C[0], "setsockopt(3) = 0", C[1], C[2], C[3]]);
        let text = judge(&lines(&C), &port, said.as_ref()).unwrap();
        assert_eq!(text, "they do not part, where the scene says 'differs: setsockopt; in C: close, here: write'");
    }

    #[test]
    fn a_call_has_parts() {
        assert_eq!(parts(r#"sendto(3, "a, (\"b", 2, {sa_family=AF_INET, port=1}, 16) = 2"#), ["sendto(", "3,", r#" "a, (\"b","#, " 2,", " {sa_family=AF_INET, port=1},", " 16", ") = 2"]);
    }
}
