//! What `lab strace` prints: one trace, or one beside that of C, each call with its line.

use std::fmt::Write as _;
use std::fs;

use anstyle::{AnsiColor, Style};
use regex_lite::{Captures, Regex};

use lab::call::Call;
use lab::compare::{self, Row};
use lab::programs;
use lab::scene::{Divergence, Scene};
use lab::sources::{self, At};
use lab::terminal;
use lab::trace::{self, Line, Trace};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ONLY_C: Style = AnsiColor::Red.on_default();
const ONLY_PORT: Style = AnsiColor::Green.on_default();
const OTHER_LINE: Style = AnsiColor::Yellow.on_default();

/// The heading above the traces of a scene.
pub fn heading(scene: &Scene) {
    lab::print(&format!("{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}\n", scene.name, scene.file.display()));
}

/// One trace of a port by itself, and beside each call the text of its line if there is room for it.
pub fn show(trace: &Trace, lines: &[Line]) {
    let width = terminal::width();
    let source = programs::find(&trace.program).map(programs::Program::source).filter(|_| trace::know_places(lines));
    let path = source.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let text = source.and_then(|path| fs::read_to_string(programs::root().join(path)).ok()).unwrap_or_default();
    let mut out = format!("\n{BOLD}{:<40}{BOLD:#}  {DIM}{path}{DIM:#}\n", format!("{}: {}", trace.who, trace.program));
    for line in lines {
        let call = fit(&format!("{}{}", line.text, inside(&line.at)), width, 5);
        let source = line.at.line.and_then(|at| text.lines().nth(at as usize - 1)).map_or("", str::trim);
        let column = width.unwrap_or(0) / 2;
        let pad = column.saturating_sub(call.chars().count());
        let has_room = trace::is_call(line) && call.chars().count() + pad + source.chars().count() + 8 <= width.unwrap_or(0);
        let source = if has_room { format!("{:pad$}   {DIM}{source}{DIM:#}", "") } else { String::new() };
        let _ = writeln!(out, "{}  {}{source}", number(&line.at), masked(&call));
    }
    let calls = lines.iter().filter(|line| trace::is_call(line)).count();
    let _ = writeln!(out, "{calls} calls{}", if trace::know_places(lines) { String::new() } else { format!("; no lines: {}", why(false)) });
    lab::print(&out);
}

/// A trace of C and one of the port: what is the same, once, and what differs, marked.
pub fn compare(trace: &Trace, rows: &[Row], divergence: Option<&Divergence>, judgement: Option<&str>) {
    let width = terminal::width();
    let mut out = format!("\n{BOLD}{}: {}{BOLD:#}\n{DIM}    C here{DIM:#}\n", trace.who, trace.program);
    for row in rows {
        match row {
            Row::Same(c, port) => {
                let style = if c.at.line == port.at.line { Style::new() } else { OTHER_LINE };
                let text = masked(&fit(&format!("{}{}", port.text, inside(&port.at)), width, 11));
                let _ = writeln!(out, "  {style}{} {}{style:#}  {text}", number(&c.at), number(&port.at));
            }
            Row::Differ(c, port) => {
                for (sign, style, line, other) in [("-", ONLY_C, c, port), ("+", ONLY_PORT, port, c)] {
                    if let Some(line) = line {
                        let (left, right) = if sign == "-" { (number(&line.at), "   ".into()) } else { ("   ".into(), number(&line.at)) };
                        let _ = writeln!(out, "{style}{sign}{style:#} {left} {right}  {}", marked(line, other.as_deref(), style));
                    }
                }
            }
        }
    }
    let (calls, same) = compare::count(rows);
    let _ = write!(out, "{BOLD}{calls} calls, {same} the same{}{BOLD:#}", on_lines(&trace.program, rows));
    let _ = match (judgement, divergence) {
        (Some(judgement), _) => writeln!(out, "; {judgement}"),
        (None, Some(divergence)) => writeln!(out, ", as the scene says: {divergence}"),
        (None, None) => writeln!(out),
    };
    lab::print(&out);
}

/// ", on the same lines", or what is not.
fn on_lines(program: &str, rows: &[Row]) -> String {
    let Some(places) = compare::places(program, rows) else {
        let knows = |side: fn(&Row) -> Option<&Line>| rows.iter().filter_map(side).any(|line| line.at.line.is_some());
        let is_c = !knows(|row| if let Row::Same(c, _) | Row::Differ(Some(c), _) = row { Some(c) } else { None });
        return format!("; no lines: {}", why(is_c));
    };
    match (places.same, places.late, places.elsewhere.as_slice()) {
        (_, 0, []) => ", on the same lines".to_owned(),
        (same, late, []) => format!(", {same} on the same line, {late} one line late"),
        (same, late, elsewhere) => format!(", {same} on the same line, {late} one line late, {} on another: {}", elsewhere.len(), elsewhere.join("; ")),
    }
}

/// Why there are no lines, and what helps.
fn why(is_c: bool) -> &'static str {
    let built = if is_c { "build the C programs with -g" } else { "this build has no line table; --profile dev has one" };
    sources::unavailable().unwrap_or(built)
}

fn number(at: &At) -> String {
    at.line.map_or_else(|| "   ".to_owned(), |line| format!("{line:>3}"))
}

fn inside(at: &At) -> String {
    at.inside.as_ref().map(|inside| format!("  in {inside}")).unwrap_or_default()
}

/// `line` with each argument and the result in the style if they are different in `other`, and all of it if there is no such call.
fn marked(line: &str, other: Option<&str>, style: Style) -> String {
    let calls = Call::parse(line).zip(other.and_then(Call::parse));
    let Some((call, other)) = calls.filter(|(call, other)| call.name == other.name && call.args.len() == other.args.len()) else {
        return format!("{style}{line}{style:#}");
    };
    let mark = |(part, other): (&&str, &&str)| if part == other { masked(part) } else { format!("{style}{part}{style:#}") };
    let args: Vec<String> = call.args.iter().zip(&other.args).map(mark).collect();
    format!("{}({}) = {}", call.name, args.join(", "), mark((&call.result, &other.result)))
}

/// `line` with what is masked in it dimmed, and strings of more than 100 characters cut.
fn masked(line: &str) -> String {
    shortened(line, 100).replace('‹', &format!("{DIM}‹")).replace('›', &format!("›{DIM:#}"))
}

/// `line` with the ends of long strings left out, as of those that the loader reads.
fn shortened(line: &str, longest: usize) -> String {
    let strings = Regex::new(r#""((?:\\.|[^"\\])*)""#).expect("a regular expression");
    let short = |found: &Captures| match found[1].char_indices().nth(longest) {
        Some((at, _)) => format!("\"{}\"…", found[1][..at].trim_end_matches('\\')),
        None => found[0].to_owned(),
    };
    strings.replace_all(line, short).into_owned()
}

/// `line` without the last fields of structs and the ends of strings that are too much for the terminal after
/// so many columns.
fn fit(line: &str, width: Option<usize>, before: usize) -> String {
    let width = width.map_or(usize::MAX, |width| width.saturating_sub(before));
    let fields = Regex::new(r"\{([^{}]*), ([^{},…]+)(, …)?\}").expect("a regular expression");
    let mut line = shortened(line, 100);
    while line.chars().count() > width
        && let Some(longest) = fields.captures_iter(&line).max_by_key(|found| found[0].len())
    {
        let (range, short) = (longest.get(0).expect("there is a match").range(), format!("{{{}, …}}", &longest[1]));
        line.replace_range(range, &short);
    }
    let over = line.chars().count().saturating_sub(width);
    if over > 0 { shortened(&line, 100_usize.saturating_sub(over).max(20)) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_fits() {
        let call = r#"sendto(3, "g1", 2, 0, {sa_family=AF_INET, sin_port=htons(43211), sin_addr=inet_addr("127.0.0.1")}, 16) = 2"#;
        assert_eq!(fit(call, Some(80), 2), r#"sendto(3, "g1", 2, 0, {sa_family=AF_INET, sin_port=htons(43211), …}, 16) = 2"#);
        assert_eq!(fit(call, Some(60), 2), r#"sendto(3, "g1", 2, 0, {sa_family=AF_INET, …}, 16) = 2"#);
        assert_eq!(fit(call, None, 2), call);
    }
}
