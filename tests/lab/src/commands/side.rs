//! What `lab strace` prints: one trace, or two side by side.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use regex_lite::{Captures, Regex};

use lab::compare::{self, Row};
use lab::scene::{Divergence, Scene};
use lab::terminal;
use lab::trace::{self, Trace};

/// Narrower than this, two columns are of no use.
const TWO_COLUMNS: usize = 100;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ONLY_C: Style = AnsiColor::Red.on_default();
const ONLY_PORT: Style = AnsiColor::Green.on_default();

/// Prints the traces of one scene.
pub struct Side {
    /// The width of the terminal in columns; none in a pipe.
    width: Option<usize>,
}

impl Side {
    pub fn new(scene: &Scene) -> Side {
        anstream::println!("{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}", scene.name, scene.file.display());
        Side { width: terminal::width() }
    }

    /// One trace by itself.
    pub fn show(&self, trace: &Trace, lines: &[String]) {
        let mut out = format!("\n{BOLD}{}: {}{BOLD:#}\n", trace.who, trace.program);
        for line in lines {
            let _ = writeln!(out, "{}", masked(line));
        }
        let calls = lines.iter().filter(|line| trace::is_call(line)).count();
        let _ = writeln!(out, "{calls} calls");
        anstream::print!("{out}");
    }

    /// A trace of C and one of the port: what is the same, quietly, and what differs, marked.
    pub fn compare(&self, trace: &Trace, rows: &[Row], divergence: Option<&Divergence>, judgement: Option<&str>) {
        let mut out = format!("\n{BOLD}{}: {}{BOLD:#}\n", trace.who, trace.program);
        match self.width {
            Some(width) if width >= TWO_COLUMNS => two_columns(&mut out, rows, (width - 3) / 2),
            _ => one_column(&mut out, rows),
        }
        let (calls, same) = compare::count(rows);
        let _ = write!(out, "{BOLD}{calls} calls, {same} the same{BOLD:#}");
        let _ = match (judgement, divergence) {
            (Some(judgement), _) => writeln!(out, "; {judgement}"),
            (None, Some(divergence)) => writeln!(out, ", as the scene says: {divergence}"),
            (None, None) => writeln!(out),
        };
        anstream::print!("{out}");
    }
}

fn one_column(out: &mut String, rows: &[Row]) {
    for row in rows {
        match row {
            Row::Same(line) => {
                let _ = writeln!(out, "  {}", masked(line));
            }
            Row::Differ(c, port) => {
                for (sign, style, line, other) in [("-", ONLY_C, c, port), ("+", ONLY_PORT, port, c)] {
                    if let Some(line) = line {
                        let _ = writeln!(out, "{style}{sign}{style:#} {}", marked(line, other.as_deref(), style));
                    }
                }
            }
        }
    }
}

fn two_columns(out: &mut String, rows: &[Row], width: usize) {
    let _ = writeln!(out, "{DIM}{:<width$}   here{DIM:#}", "C");
    for row in rows {
        match row {
            Row::Same(line) => {
                let line = cut(&shortened(line), width);
                let _ = writeln!(out, "{}{}   {}", masked(&line), " ".repeat(width - line.chars().count()), masked(&line));
            }
            Row::Differ(c, port) => {
                let (left, right) = (wrap(c.as_deref().unwrap_or_default(), width), wrap(port.as_deref().unwrap_or_default(), width));
                let sign = match (c, port) {
                    (Some(_), Some(_)) => "|",
                    (Some(_), None) => "<",
                    _ => ">",
                };
                for at in 0..left.len().max(right.len()) {
                    let (left, right) = (left.get(at).map_or("", String::as_str), right.get(at).map_or("", String::as_str));
                    let sign = if at == 0 { sign } else { " " };
                    let fill = " ".repeat(width - left.chars().count());
                    let _ = writeln!(out, "{ONLY_C}{left}{ONLY_C:#}{fill} {sign} {ONLY_PORT}{right}{ONLY_PORT:#}");
                }
                if let (Some(c), Some(port)) = (c, port) {
                    // The whole line is marked above; this says which part of it differs.
                    let differing: Vec<String> = compare::parts(c).iter().zip(compare::parts(port)).filter(|(c, port)| *c != port).map(|(c, port)| format!("{} | {}", c.trim(), port.trim())).collect();
                    if compare::parts(c).len() == compare::parts(port).len() && trace::name(c) == trace::name(port) {
                        for differing in differing {
                            let _ = writeln!(out, "    {BOLD}{}{BOLD:#}", cut(&differing, 2 * width - 4));
                        }
                    }
                }
            }
        }
    }
}

/// `line` with each part that `other` has otherwise in the style, and all of it if there is no other.
fn marked(line: &str, other: Option<&str>, style: Style) -> String {
    let parts = compare::parts(line);
    let others = other.map(compare::parts).unwrap_or_default();
    if others.len() != parts.len() || other.is_none_or(|other| trace::name(other) != trace::name(line)) {
        return format!("{style}{line}{style:#}");
    }
    let mark = |(part, other): (&&str, &&str)| if part == other { masked(part) } else { format!("{style}{part}{style:#}") };
    parts.iter().zip(&others).map(mark).collect()
}

/// `line` with what is masked in it dimmed, and strings of more than 100 characters cut.
fn masked(line: &str) -> String {
    shortened(line).replace('‹', &format!("{DIM}‹")).replace('›', &format!("›{DIM:#}"))
}

/// `line` with the ends of long strings left out, as of those that the loader reads.
fn shortened(line: &str) -> String {
    let strings = Regex::new(r#""((?:\\.|[^"\\])*)""#).expect("a regular expression");
    let short = |found: &Captures| match found[1].char_indices().nth(100) {
        Some((at, _)) => format!("\"{}\"…", found[1][..at].trim_end_matches('\\')),
        None => found[0].to_owned(),
    };
    strings.replace_all(line, short).into_owned()
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width - 1).chain(['…']).collect()
}

fn wrap(line: &str, width: usize) -> Vec<String> {
    let chars: Vec<char> = line.chars().collect();
    chars.chunks(width).map(|chunk| chunk.iter().collect()).collect()
}
