//! `lab page`: what happened in scenes, as one page for the browser.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs::{self, File};
use std::num::NonZero;
use std::path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::read::{c_file, is_fix};
use super::replay::{choose, introduction};
use lab::args::{Args, Long, Value, text, unexpected};
use lab::mask::{Mask, fold};
use lab::programs::{self, Builds, Profile, Program, root};
use lab::questions::{self, Language, Question};
use lab::sandbox::{self, Isolation, in_child};
use lab::scene::{self, Scene};
use lab::sequence::{self, Kind, Sequence, What};
use lab::sources;
use lab::strace::{self, Stacks};

pub const HELP: &str = "\
Makes a page for the browser: step through scenes, with the sources, the calls and the sockets

Usage: cargo lab page [SCENE|GROUP|FILE ...]

Without a name it plays the scenes of the lectures. The page is one file, and needs no network.

  --open           open it (xdg-open)
  --output FILE    write it here (page.html in the target folder)
  --lang LANG      the language it begins with: en or zh (that of the environment)
  --originals DIR  where the C files are, by name at any depth ($LAB_ORIGINALS, or ../originals); without
                   them the page has the Rust sources alone
  --programs DIR   take the programs from this folder, by file name, instead of building them
  --no-namespaces  play on the network and the /tmp of the machine
";

const LANGUAGES: [Language; 2] = [Language::English, Language::Chinese];

/// Runs `lab page`.
pub fn run(mut args: Args) -> Result<()> {
    let (mut names, mut open, mut output, mut language, mut originals, mut folder, mut namespaces) = (Vec::new(), false, None, Language::of_environment(), None, None, true);
    while let Some(arg) = args.next()? {
        match arg {
            Long("open") => open = true,
            Long("output") => output = Some(args.path("output")?),
            Long("lang") => language = args.parse("lang")?,
            Long("originals") => originals = Some(args.path("originals")?),
            Long("programs") => folder = Some(args.path("programs")?),
            Long("no-namespaces") => namespaces = false,
            Value(name) => names.push(text(name)?),
            other => return Err(unexpected(other, "lab page")),
        }
    }
    let scenes = choose(&names)?;
    strace::available()?;
    let used = scene::names(&scenes.iter().collect::<Vec<_>>());
    let used: Vec<&Program> = used.into_iter().filter_map(programs::find).collect();
    let in_c: Vec<Option<String>> = used.iter().map(|program| originals.clone().or_else(programs::default_originals).and_then(|folder| c_file(&folder, program).ok())).collect();
    if let (Some(folder), true) = (&originals, in_c.iter().all(Option::is_none)) {
        bail!("none of the C files is under {}", folder.display());
    }
    let sources = used.iter().zip(in_c).map(|(program, in_c)| Ok((program.name, source(program, in_c)?))).collect::<Result<Vec<_>>>()?;
    let names: Vec<&str> = used.iter().map(|program| program.name).collect();
    let ports = programs::find_or_build(folder.as_deref(), &names, Profile::Dev)?;
    let output = match output {
        Some(output) => path::absolute(output)?,
        None => env::current_exe()?.ancestors().nth(2).context("lab is in the target folder")?.join("page.html"),
    };
    // That it cannot be written is said before the scenes are played.
    File::options().write(true).create(true).truncate(false).open(&output).with_context(|| format!("cannot write {}", output.display()))?;
    let builds = Builds { ports, c: None };
    let all = LANGUAGES.map(questions::read_all);
    let all: Vec<Question> = all.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let parts = tell_all(&scenes, &builds, &all, namespaces)?;
    let is_asked = |question: &&Question| question.scenes.iter().any(|name| scenes.iter().any(|scene| scene.name == *name));
    let mut questions = BTreeMap::<&str, Vec<String>>::new();
    for question in all.iter().filter(is_asked) {
        questions.entry(&question.id).or_default().push(list([quote(&question.text), quote(&question.answer)]));
    }
    let questions = map(questions.into_iter().map(|(id, twins)| (id, list(twins))));
    let lang = quote(if language == Language::Chinese { "zh" } else { "en" });
    let data = map([("lang", lang), ("programs", map(sources)), ("questions", questions), ("parts", list(parts))]);
    fs::write(&output, html(&data)).with_context(|| format!("cannot write {}", output.display()))?;
    lab::print(&format!("{}\n", output.display()));
    if open {
        let opened = Command::new("xdg-open").arg(&output).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !opened.is_ok_and(|status| status.success()) {
            bail!("xdg-open does not work here; open {} in a browser", output.display());
        }
    }
    Ok(())
}

/// Plays the scenes, several at a time if each has a network of its own: they wait more than they run. What
/// each process has played comes as one part, the scenes of which know their order.
fn tell_all(scenes: &[Scene], builds: &Builds, questions: &[Question], namespaces: bool) -> Result<Vec<String>> {
    let part = |isolation: Isolation, nth: usize, of: usize| -> Result<String> {
        let mut texts = Texts::default();
        let mut told = Vec::new();
        for (order, scene) in scenes.iter().enumerate().skip(nth).step_by(of) {
            let sequence = sequence::play(isolation, scene, builds, Stacks::All).with_context(|| format!("scene {}", scene.name))?;
            told.push(tell(scene, order, &sequence, questions, &mut texts));
        }
        Ok(map([("scenes", list(told)), ("texts", list(texts.all.iter().map(|text| quote(text))))]))
    };
    let processes = scenes.len().min(2 * thread::available_parallelism().map_or(1, NonZero::get));
    if processes == 1 || !namespaces || sandbox::refusal().is_some() {
        return Ok(vec![part(Isolation::enter(namespaces), 0, 1)?]);
    }
    let play = |nth: usize| {
        set_pdeathsig(Signal::SIGTERM)?;
        part(Isolation::enter(true), nth, processes)
    };
    let children = (0..processes).map(|nth| in_child("a process that plays scenes was killed", move || play(nth)));
    let children = children.collect::<Result<Vec<_>>>()?;
    let parts: Vec<Result<String>> = children.into_iter().map(|outcome| outcome()).collect();
    // All have ended, whatever became of one.
    parts.into_iter().collect()
}

fn html(data: &str) -> String {
    let page = include_str!("../page/page.html");
    page.replace("/* page.css */", include_str!("../page/page.css")).replace("/* page.js */", include_str!("../page/page.js")).replace("/* data */", data)
}

/// The texts of a program: the port, C if it is at hand, and for each fix what C does.
fn source(program: &Program, c: Option<String>) -> Result<String> {
    let port = fs::read_to_string(root().join(program.source())).context("cannot read the port")?;
    let fixes = fs::read_to_string(root().join(program.group).join("FIXES.md")).with_context(|| format!("cannot read the FIXES.md of {}", program.group))?;
    let fix = |(number, line): (usize, &str)| {
        let here = format!("{}:{number}", program.name);
        let row = fixes.lines().map(|row| row.split(" | ").collect::<Vec<_>>()).find(|row| row.get(1).is_some_and(|places| places.split(", ").any(|place| place == here)));
        is_fix(line).then(|| list([number.to_string(), quote(row.map_or("", |row| row[2]))]))
    };
    let late = (1..=port.lines().count() as u32).filter(|line| sources::is_late(program.name, *line));
    Ok(map([
        ("path", quote(&program.source().to_string_lossy())),
        ("rust", quote(&port)),
        ("c", c.map_or("null".to_owned(), |c| quote(&c))),
        ("fixes", list((1..).zip(port.lines()).filter_map(fix))),
        ("late", list(late.map(|line| line.to_string()))),
    ]))
}

/// Texts that come again and again, each once.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    places: HashMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: String) -> String {
        let place = self.places.entry(text).or_insert_with_key(|text| {
            self.all.push(text.clone());
            self.all.len() - 1
        });
        place.to_string()
    }
}

/// A scene with what happened in it; page.js names the places in the lists.
fn tell(scene: &Scene, order: usize, sequence: &Sequence, all: &[Question], texts: &mut Texts) -> String {
    let [english, chinese] = LANGUAGES.map(|language| introduction(scene, language));
    let number = |number: Option<usize>| number.map_or("-1".to_owned(), |number| number.to_string());
    let first = sequence.steps.first().map_or(0, |step| step.line.time);
    let mut masks = BTreeMap::<usize, Mask>::new();
    let steps = sequence.steps.iter().map(|step| {
        let line = &step.line.text;
        let mask = masks.entry(step.column).or_default();
        if line.starts_with("execve(") {
            *mask = Mask::default();
        }
        let (kind, text) = match step.kind {
            Kind::Person => (0, line.clone()),
            Kind::Call { own: true } => (1, fold(line)),
            // Masked, it is the same for many.
            Kind::Call { own: false } => (2, fold(&mask.line(line))),
            Kind::Signal => (3, line.clone()),
            Kind::End => (4, line.clone()),
            Kind::Tool => (5, line.clone()),
        };
        list([
            step.column.to_string(),
            kind.to_string(),
            texts.place(text),
            number(step.line.at.line.map(|line| line as usize)),
            texts.place(step.line.at.inside.clone().unwrap_or_default()),
            texts.place(screen(&step.output)),
            number(step.during.map(|(first, _)| first)),
            number(step.during.map(|(_, last)| last)),
            i32::from(step.blocked).to_string(),
            (step.line.time.saturating_sub(first) / 1000).to_string(),
        ])
    });
    let steps = list(steps);
    let arrows = list(sequence.arrows.iter().map(|arrow| {
        let what = match arrow.what {
            What::Connection => 0,
            What::Data => 1,
            What::End => 2,
            What::Refusal => 3,
        };
        list([number(arrow.from), number(arrow.to), what.to_string(), texts.place(scene::notation(&arrow.bytes)), arrow.bytes.len().to_string()])
    }));
    let rests = list(sequence.rests.iter().map(|rest| {
        let sockets = list(rest.sockets.iter().map(|socket| texts.place(socket.to_string())));
        list([rest.before.to_string(), rest.column.to_string(), sockets])
    }));
    let columns = sequence.columns.iter().map(|column| list([quote(&column.who), quote(&column.program), column.terminal.to_string()]));
    let asked = all.iter().filter(|question| question.language == Language::English && question.scenes.contains(&scene.name));
    map([
        ("order", order.to_string()),
        ("name", quote(&scene.name)),
        ("place", quote(&scene.at(&scene.steps[0]))),
        ("title", list([quote(&english.0), quote(&chinese.0)])),
        ("intro", list([quote(&english.1), quote(&chinese.1)])),
        ("columns", list(columns)),
        ("steps", steps),
        ("arrows", arrows),
        ("rests", rests),
        ("questions", list(asked.map(|question| quote(&question.id)))),
    ])
}

/// What a terminal shows of these bytes: its lines in the notation of scenes.
fn screen(bytes: &[u8]) -> String {
    bytes.split(|byte| *byte == b'\n').map(|line| scene::notation(line.strip_suffix(b"\r").unwrap_or(line))).collect::<Vec<_>>().join("\n")
}

/// A list in JSON of items that are JSON already.
fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

/// The same with a name for each.
fn map<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|(name, json)| format!("{}:{json}", quote(name))).collect();
    format!("{{{}}}", entries.join(","))
}

/// A text in quotes; with no `<` in it, nothing can end the script that it is in.
fn quote(text: &str) -> String {
    let mut json = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\n' => json += "\\n",
            '<' | '\u{2028}' | '\u{2029}' => json += &format!("\\u{:04x}", u32::from(c)),
            c if c.is_control() => json += &format!("\\u{:04x}", u32::from(c)),
            c => json.push(c),
        }
    }
    json + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_leave_its_script() {
        let data = map([("a", list(["</script><!--", "\"\\\n\u{1b}\u{e9}"].map(quote))), ("b", list([]))]);
        assert_eq!(data, r#"{"a":["\u003c/script>\u003c!--","\"\\\n\u001bé"],"b":[]}"#);
    }
}
