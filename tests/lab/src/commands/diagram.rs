//! `lab diagram`: who sends what to whom in a scene, as text and as mermaid.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::replay::choose;
use lab::args::{Args, Long, Value, text, unexpected};
use lab::call::Call;
use lab::mask::portable;
use lab::programs::{self, Builds, Profile};
use lab::questions::Language;
use lab::sandbox::Isolation;
use lab::scene;
use lab::sequence::{self, Column, Kind, Sequence, Step, What};
use lab::strace::{self, Stacks};
use lab::terminal::columns;
use lab::trace;

pub const HELP: &str = "\
Draws who sends what to whom in a scene: one column for each process

Usage: cargo lab diagram SCENE|FILE

  --mermaid        for a README: GitHub draws it
  --lang LANG      the texts in en or zh (that of the environment; en with --mermaid)
  --programs DIR   take the programs from this folder, by file name, instead of building them
  --no-namespaces  play on the network and the /tmp of the machine
";

/// How many columns of a terminal the bytes of a message may take.
const SHOWN: usize = 24;

/// Runs `lab diagram`.
pub fn run(mut args: Args) -> Result<()> {
    let (mut names, mut mermaid, mut language, mut folder, mut namespaces) = (Vec::new(), false, None, None, true);
    while let Some(arg) = args.next()? {
        match arg {
            Long("mermaid") => mermaid = true,
            Long("lang") => language = Some(args.parse("lang")?),
            Long("programs") => folder = Some(args.path("programs")?),
            Long("no-namespaces") => namespaces = false,
            Value(name) if names.is_empty() => names.push(text(name)?),
            other => return Err(unexpected(other, "lab diagram")),
        }
    }
    let Some(name) = names.first() else { bail!("which scene? 'cargo lab list' names them") };
    let scenes = choose(&names)?;
    let [scene] = scenes.as_slice() else { bail!("{name} has {} scenes, and a diagram is of one; 'cargo lab list' names them", scenes.len()) };
    strace::available()?;
    let ports = programs::find_or_build(folder.as_deref(), &scene.programs(), Profile::Dev)?;
    let sequence = sequence::play(Isolation::enter(namespaces), scene, &Builds { ports, c: None }, Stacks::Own)?;
    let language = language.unwrap_or_else(|| if mermaid { Language::English } else { Language::of_environment() });
    if mermaid {
        let option = if language == Language::Chinese { " --lang zh" } else { "" };
        lab::print(&format!("%% cargo lab diagram {} --mermaid{option}\n{}", scene.name, to_mermaid(&sequence, language)));
    } else {
        lab::print(&to_text(&sequence, language));
    }
    Ok(())
}

/// A line of the diagram; a column of `None` is the kernel.
enum Item {
    Note(usize, String),
    Arrow { from: Option<usize>, to: Option<usize>, text: String, dashed: bool, lost: bool },
}

/// What is worth a line, in an order that is the same in each run.
fn items(sequence: &Sequence, language: Language) -> Vec<Item> {
    let [blocked, ends, by, untaken, unaccepted] = match language {
        Language::English => ["blocked in ", "exit status ", "killed by ", "nobody takes it", "nobody accepts it"],
        Language::Chinese => ["阻塞在 ", "退出状态 ", "被终止：", "没有人接收", "没有人 accept"],
    };
    let column = |at: usize| sequence.steps[at].column;
    let place = |at: usize| place(&sequence.steps[at]);
    let mut items = Vec::new();
    for at in sequence.order() {
        let step = &sequence.steps[at];
        let call = Call::parse(&step.line);
        let mut has_arrow = false;
        for arrow in sequence.arrows.iter().filter(|arrow| arrow.to == Some(at) || arrow.to.is_none() && arrow.from == Some(at)) {
            has_arrow = true;
            let ways: Vec<String> = [arrow.from, arrow.to].into_iter().flatten().filter(|end| matches!(sequence.steps[*end].kind, Kind::Call { .. } | Kind::End)).map(place).collect();
            let ways = ways.join(" → ");
            let lost = arrow.to.is_none();
            let text = match arrow.what {
                What::Data if lost => format!("{} ({ways}) {untaken}", quote(&arrow.bytes)),
                What::Data => format!("{} ({ways})", quote(&arrow.bytes)),
                What::Connection if lost => format!("{ways} {unaccepted}"),
                What::Connection => ways,
                What::End => format!("EOF ({ways})"),
                What::Refusal => format!("{} ({})", call.as_ref().and_then(|call| call.result.split(' ').nth(1)).unwrap_or("ICMP"), place(at)),
            };
            let from = if arrow.what == What::Refusal { None } else { arrow.from.map(column) };
            items.push(Item::Arrow { from, to: arrow.to.map(column), text, dashed: arrow.what == What::Refusal, lost });
        }
        match step.kind {
            Kind::Person | Kind::Tool => items.push(Item::Note(step.column, step.line.text.clone())),
            Kind::End => {
                let words = step.line.trim_matches(['+', ' ']);
                let end = words.strip_prefix("exited with ").map(|status| format!("{ends}{status}"));
                items.push(Item::Note(step.column, end.unwrap_or_else(|| format!("{by}{}", words.trim_start_matches("killed by ")))));
            }
            Kind::Signal if !step.line.contains("SIGINT") => items.push(Item::Note(step.column, trace::name(&step.line).to_owned())),
            Kind::Call { own: true } if !has_arrow => {
                if let Some(error) = call.as_ref().and_then(|call| call.result.strip_prefix("-1 ")) {
                    items.push(Item::Note(step.column, format!("{} = {}", place(at), error.split(' ').next().unwrap_or_default())));
                }
            }
            _ => {}
        }
        // What it waits for next, if that is no key.
        let next = sequence.steps[at + 1..].iter().find(|next| next.column == step.column && next.kind != Kind::Person);
        if let Some(next) = next.filter(|next| next.blocked && step.kind != Kind::Person)
            && !Call::parse(&next.line).is_some_and(|call| call.name == "read" && call.fd() == Some(0))
        {
            items.push(Item::Note(step.column, format!("{blocked}{}", self::place(next))));
        }
    }
    items
}

/// `sendto:40`, as on every architecture.
fn place(step: &Step) -> String {
    let line = portable(&step.line);
    let name = trace::name(&line);
    step.line.at.line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"))
}

/// These bytes as a short text.
fn quote(bytes: &[u8]) -> String {
    let text = scene::notation(bytes);
    if columns(&text) <= SHOWN { format!("\"{text}\"") } else { format!("\"{}…\" {}", text.chars().take(SHOWN / 2).collect::<String>(), bytes.len()) }
}

fn to_mermaid(sequence: &Sequence, language: Language) -> String {
    let mut out = "sequenceDiagram\n".to_owned();
    let items = items(sequence, language);
    let name = |at: Option<usize>| at.map_or("kernel".to_owned(), |at| format!("p{at}"));
    for (at, title) in lanes(sequence, &items, language, "<br/>") {
        let _ = writeln!(out, "    participant {} as {title}", name(at));
    }
    for item in &items {
        let _ = match item {
            Item::Note(at, text) => writeln!(out, "    Note over {}: {}", name(Some(*at)), escape(text)),
            Item::Arrow { from, to, text, dashed, lost } => {
                let line = match (dashed, lost) {
                    (true, _) => "-->>",
                    (_, true) => "-x",
                    _ => "->>",
                };
                writeln!(out, "    {}{line}{}: {}", name(*from), name(*to), escape(text))
            }
        };
    }
    out
}

/// The columns from left to right, with their titles: the kernel is between the processes, if something begins or
/// ends there.
fn lanes(sequence: &Sequence, items: &[Item], language: Language, between: &str) -> Vec<(Option<usize>, String)> {
    let title = |column: &Column| {
        let Column { who, program, .. } = column;
        if who == program { who.clone() } else { format!("{who}{between}{program}") }
    };
    let mut lanes: Vec<_> = sequence.columns.iter().enumerate().map(|(at, column)| (Some(at), title(column))).collect();
    if items.iter().any(|item| matches!(item, Item::Arrow { from, to, .. } if from.is_none() || to.is_none())) {
        let kernel = if language == Language::Chinese { "内核" } else { "kernel" };
        lanes.insert((lanes.len() / 2).max(1), (None, kernel.to_owned()));
    }
    lanes
}

/// What mermaid would read as its own signs, as it wants them.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '#' | ';' | '<' | '>' | '{' | '}' | '%' => out += &format!("#{};", u32::from(c)),
            c => out.push(c),
        }
        out
    })
}

/// The diagram for a terminal.
fn to_text(sequence: &Sequence, language: Language) -> String {
    let items = items(sequence, language);
    let (lanes, titles): (Vec<Option<usize>>, Vec<String>) = lanes(sequence, &items, language, ": ").into_iter().unzip();
    let lane = |of: Option<usize>| lanes.iter().position(|lane| *lane == of).unwrap_or(0);
    // Each column has room for the longest text that begins at it.
    let width = |item: &Item| match item {
        Item::Note(at, text) => (lane(Some(*at)), columns(text) + 3),
        Item::Arrow { from, to, text, .. } => {
            let (from, to) = (lane(*from), lane(*to));
            (from.min(to), (columns(text) + 6).div_ceil(from.abs_diff(to).max(1)))
        }
    };
    let mut widths: Vec<usize> = titles.iter().map(|title| columns(title) + 2).collect();
    for (lane, width) in items.iter().map(width) {
        widths[lane] = widths[lane].max(width);
    }
    let begins: Vec<usize> = widths.iter().scan(0, |at, width| Some(std::mem::replace(at, *at + width))).collect();
    let mut out = String::new();
    let mut line = |texts: &[(usize, String)]| {
        let mut at = 0;
        for (begin, text) in texts {
            let _ = write!(out, "{:pad$}{text}", "", pad = begin.saturating_sub(at));
            at = (*begin).max(at) + columns(text);
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    };
    line(&begins.iter().copied().zip(titles).collect::<Vec<_>>());
    for item in &items {
        let mut row: Vec<(usize, String)> = begins.iter().map(|begin| (*begin, "│".to_owned())).collect();
        match item {
            Item::Note(at, text) => row[lane(Some(*at))].1 += &format!(" {text}"),
            Item::Arrow { from, to, text, dashed, lost } => {
                let (from, to) = (lane(*from), lane(*to));
                let (left, right) = (from.min(to), from.max(to));
                let room = (begins[right] - begins[left]).saturating_sub(columns(text) + 4);
                let stroke = if *dashed { "╌" } else { "─" };
                let head = match (lost, from < to) {
                    (true, _) => "×",
                    (_, true) => "▶",
                    _ => "◀",
                };
                let body = if from < to {
                    format!("{} {text} {}{head}", stroke.repeat(room / 2), stroke.repeat(room - room / 2))
                } else {
                    format!("{head}{} {text} {}", stroke.repeat(room / 2), stroke.repeat(room - room / 2))
                };
                row.drain(left + 1..right);
                row[left].1 = format!("{}{body}", if from < to { '├' } else { '│' });
                row[left + 1].1 = if from < to { "│" } else { "┤" }.to_owned();
            }
        }
        line(&row);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_signs_are_shown_as_text() {
        assert_eq!(quote(b"g1\n"), "\"g1{LF}\"");
        assert_eq!(quote(&[b'x'; 4096]), "\"{x*4096}\"");
        assert_eq!(quote("ab".repeat(50).as_bytes()), "\"abababababab…\" 100");
        assert_eq!(escape("<b>; #1 {NUL}"), "#60;b#62;#59; #35;1 #123;NUL#125;");
    }
}
