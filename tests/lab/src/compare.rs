//! Two traces of one process, the C program's and the port's, line by line.

use diff::Result as Found;

use crate::scene::Divergence;
use crate::sources;
use crate::trace::{Line, Trace, is_call, name};

/// A line of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// C's and the port's, which may be of different places.
    Same(Line, Line),
    /// What C has there and what the port has; one of them may have nothing.
    Differ(Option<Line>, Option<Line>),
}

/// The rows of the comparison of two lists of lines.
pub fn rows(c: &[Line], port: &[Line]) -> Vec<Row> {
    let is_same = |result: &Found<&Line>| matches!(result, Found::Both(..));
    let mut rows = Vec::new();
    for run in diff::slice(c, port).chunk_by(|a, b| is_same(a) == is_same(b)) {
        let (mut in_c, mut here) = (Vec::new(), Vec::new());
        for result in run {
            match *result {
                Found::Both(c, port) => rows.push(Row::Same(c.clone(), port.clone())),
                Found::Left(c) => in_c.push(c.clone()),
                Found::Right(port) => here.push(port.clone()),
            }
        }
        rows.extend((0..in_c.len().max(here.len())).map(|at| Row::Differ(in_c.get(at).cloned(), here.get(at).cloned())));
    }
    rows
}

/// How many of the rows are calls, and how many of those are the same.
pub fn count(rows: &[Row]) -> (usize, usize) {
    let calls = rows.iter().filter(|row| match row {
        Row::Same(line, _) => is_call(line),
        Row::Differ(c, port) => c.iter().chain(port).any(|line| is_call(line)),
    });
    let same = rows.iter().filter(|row| matches!(row, Row::Same(line, _) if is_call(line)));
    (calls.count(), same.count())
}

/// Which of the same calls the port made from the C program's line.
#[derive(Debug, Default)]
pub struct Places {
    pub same: usize,
    /// One line late, as lines.tsv says.
    pub late: usize,
    /// The others, one line for each.
    pub elsewhere: Vec<String>,
}

/// The places of the calls that are the same; none if it is not known which lines made those of C or of the port.
pub fn places(program: &str, rows: &[Row]) -> Option<Places> {
    let same = || rows.iter().filter_map(|row| if let Row::Same(c, port) = row { Some((c, port)) } else { None }).filter(|(c, _)| is_call(c));
    let known = same().any(|(c, _)| c.at.line.is_some()) && same().any(|(_, port)| port.at.line.is_some());
    let mut places = Places::default();
    for (c, port) in same() {
        match (c.at.line, port.at.line) {
            (None, None) => {}
            (in_c, here) if in_c == here => places.same += 1,
            (Some(in_c), Some(here)) if here == in_c + 1 && sources::is_late(program, in_c) => places.late += 1,
            (in_c, here) => {
                let of = |line: Option<u32>| line.map_or("no line".to_owned(), |line| format!("line {line}"));
                places.elsewhere.push(format!("{} in C, {} here: {}", of(in_c), of(here), port.text));
            }
        }
    }
    known.then_some(places)
}

/// One line on how the traces' own calls differ; nothing if they differ as the scene says.
pub fn judge(c: &[Line], port: &[Line], divergence: Option<&Divergence>) -> Option<String> {
    if c == port {
        return match divergence {
            None | Some(Divergence::Undefined) => None,
            Some(divergence) => Some(format!("the scene says '{divergence}', but the traces are the same")),
        };
    }
    let (differs, then) = match divergence {
        None => (&[][..], None),
        Some(Divergence::Undefined) => return None,
        Some(Divergence::Defined { differs, then }) => (differs.as_slice(), then.as_ref()),
    };
    let said = divergence.map(|divergence| format!(", but the scene says '{divergence}'")).unwrap_or_default();
    let (at_c, at_port) = match (first_other(c, port, differs), then) {
        (None, None) => return None,
        (None, Some(_)) => return Some(format!("the traces do not differ{said}")),
        (Some(at), _) => at,
    };
    let line = |lines: &[Line], at: usize| lines.get(at).map_or("nothing", |line| line).to_owned();
    let (in_c, here) = (line(c, at_c), line(port, at_port));
    let is_said = |line: &str, said: &str| said.split(" or ").any(|said| said == name(line));
    let is_so = then.is_some_and(|(c, port)| is_said(&in_c, c) && is_said(&here, port));
    (!is_so).then(|| format!("the traces differ{said}: in C {in_c}, here {here}"))
}

/// Where the traces part: the first lines that differ, one in each trace, without the calls that the
/// scene says differ.
fn first_other(c: &[Line], port: &[Line], differs: &[String]) -> Option<(usize, usize)> {
    let is_other = |line: &Line| {
        !differs.iter().any(|said| {
            let (call, text) = said.split_once(' ').unwrap_or((said, ""));
            call == name(line) && line.contains(text)
        })
    };
    let results = diff::slice(c, port);
    let first = results.iter().position(|result| matches!(result, Found::Left(line) | Found::Right(line) if is_other(line)))?;
    let in_c = results[..first].iter().filter(|result| !matches!(result, Found::Right(_))).count();
    let here = results[..first].iter().filter(|result| !matches!(result, Found::Left(_))).count();
    let other = |lines: &[Line], from: usize| lines[from..].iter().position(is_other).map_or(lines.len(), |at| from + at);
    Some((other(c, in_c), other(port, here)))
}

/// What of a C program's own calls a comparison with the port needs, where the scene shows a fix.
pub fn up_to_divergence(own: Vec<Line>, port: &[Line], divergence: Option<&Divergence>) -> Vec<Line> {
    let len = match divergence {
        // Undefined behaviour may happen to be the same in this build of the C programs.
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
    use crate::sources::At;

    fn lines(names: &[&str]) -> Vec<Line> {
        names.iter().map(|name| (*name).into()).collect()
    }

    const C: [&str; 4] = ["socket(AF_INET) = 3", "bind(3, 16) = 0", "close(3) = 0", "+++ exited with 0 +++"];

    #[test]
    fn each_difference_is_reported() {
        let other_order = [C[1], C[0], C[2], C[3]];
        for (port, calls, same, why) in [
            (&C[..], 3, 3, None),
            (&[C[0], "bind(3, 110) = 0", C[2], C[3]], 3, 2, Some("bind(3, 16) = 0, here bind(3, 110) = 0")),
            (&[C[0], "getpid() = ‹pid 1›", C[1], C[2], C[3]], 4, 3, Some("bind(3, 16) = 0, here getpid() = ‹pid 1›")),
            (&[C[0], C[1], C[3]], 3, 2, Some("close(3) = 0, here +++ exited with 0 +++")),
            (&C[..3], 3, 3, Some("+++ exited with 0 +++, here nothing")),
            (&other_order, 4, 2, Some("socket(AF_INET) = 3, here bind(3, 16) = 0")),
        ] {
            assert_eq!(count(&rows(&lines(&C), &lines(port))), (calls, same), "{port:?}");
            assert_eq!(judge(&lines(&C), &lines(port), None), why.map(|why| format!("the traces differ: in C {why}")));
        }
    }

    #[test]
    fn a_difference_is_held_to_what_the_scene_says() {
        let parts = [C[0], "write(2) = 1", "exit_group(1) = ?"];
        let parts_later = [C[0], "setsockopt(3) = 0", C[1], "write(2) = 1", "exit_group(1) = ?"];
        let does_not_part = [C[0], "setsockopt(3) = 0", C[1], C[2], C[3]];
        let other_bind = [C[0], "bind(3, 110) = 0", C[2], C[3]];
        let without_close = [C[0], "bind(3, 110) = 0", C[3]];
        for (port, said, is_so) in [
            (&parts[..], "in C: bind, here: write", true),
            (&parts, "in C: close or bind, here: write", true),
            (&parts, "in C: close, here: write", false),
            (&parts, "in C: bind, here: close", false),
            (&C, "in C: bind, here: write", false),
            (&C, "in C: undefined", true),
            (&other_bind, "differs: bind", true),
            (&other_bind, "differs: close", false),
            (&C, "differs: bind", false),
            (&without_close, "differs: bind", false),
            (&without_close, "differs: bind, close", true),
            // By a text in their lines.
            (&other_bind, "differs: bind 1", true),
            (&other_bind, "differs: bind 16", false),
            (&parts_later, "differs: setsockopt; in C: close, here: write", true),
            (&parts_later, "differs: setsockopt; in C: bind, here: write", false),
            (&parts_later, "in C: close, here: write", false),
            (&does_not_part, "differs: setsockopt; in C: close, here: write", false),
        ] {
            let said: Divergence = said.parse().unwrap();
            assert_eq!(judge(&lines(&C), &lines(port), Some(&said)).is_none(), is_so, "{port:?}: {said}");
        }
        let said = "differs: setsockopt; in C: close, here: write".parse().unwrap();
        let text = judge(&lines(&C), &lines(&does_not_part), Some(&said)).unwrap();
        assert_eq!(text, "the traces do not differ, but the scene says 'differs: setsockopt; in C: close, here: write'");
    }

    #[test]
    fn c_is_compared_up_to_where_it_parts() {
        let parts = [C[0], "setsockopt(3) = 0", C[1], "write(2) = 1", "exit_group(1) = ?"];
        for (port, said, len) in [
            (&parts[..], "differs: setsockopt; in C: close, here: write", 3),
            (&[C[0], parts[3]], "in C: bind, here: write", 2),
            (&parts, "in C: undefined", 0),
            // It may happen to be the same.
            (&C, "in C: undefined", 4),
        ] {
            let said: Divergence = said.parse().unwrap();
            let c = up_to_divergence(lines(&C), &lines(port), Some(&said));
            assert_eq!(c, lines(&C[..len]));
            assert!(len == 0 || judge(&c, &lines(port), Some(&said)).is_none(), "{said}");
        }
    }

    #[test]
    fn a_call_of_another_line_is_reported() {
        let at = |text: &str, line| Line { text: text.into(), at: At { line, inside: None }, ..Line::default() };
        let c = [at(C[0], Some(14)), at("write(4) = 1", Some(112)), at(C[2], None), at(C[3], Some(1))];
        let places = |program: &str, socket, write, close| super::places(program, &rows(&c, &[at(C[0], socket), at("write(4) = 1", write), at(C[2], close), at(C[3], None)]));
        let of = |program, socket, write, close| places(program, socket, write, close).map(|places| (places.same, places.late, places.elsewhere.join(" ")));
        assert_eq!(of("upperserver", Some(14), Some(112), None), Some((2, 0, String::new())));
        // lines.tsv says that this one is late.
        assert_eq!(of("upperserver", Some(14), Some(113), None), Some((1, 1, String::new())));
        assert_eq!(of("udpserver", Some(14), Some(113), None), Some((1, 0, "line 112 in C, line 113 here: write(4) = 1".into())));
        assert_eq!(of("upperserver", Some(15), Some(112), None), Some((1, 0, "line 14 in C, line 15 here: socket(AF_INET) = 3".into())));
        assert_eq!(of("upperserver", Some(14), Some(112), Some(9)), Some((2, 0, "no line in C, line 9 here: close(3) = 0".into())));
        assert_eq!(of("upperserver", None, None, None), None);
    }
}
