//! `lab replay`.

use std::io::{self, IsTerminal, Write as _};
use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};

use lab::args::{Args, Long, Value, nearest, text, unexpected};
use lab::cast::{Cast, Side};
use lab::player::{Observer, Options};
use lab::programs::{self, Builds, GROUPS, Profile};
use lab::questions::{self, Language};
use lab::sandbox::Isolation;
use lab::scene::{self, Action, Scene, Step};
use lab::signals;
use lab::strace;
use lab::terminal;

pub const HELP: &str = "\
Plays scenes with the real programs; each terminal has a name and a colour

Usage: cargo lab replay [SCENE|GROUP|FILE ...]

Without a name it plays the scenes of the lectures, in their order.

  --lang LANG      the language of the texts, en or zh (default: from LC_ALL,
                   LC_MESSAGES or LANG)
  --pause MS       wait MS milliseconds before each line that is typed (default:
                   400 at a terminal, else 0)
  --limit S        time limit for each step, in seconds (default: 10)
  --profile NAME   which build of the programs: dev or release (default: dev)
  --programs DIR   take the programs from this folder, by file name, instead of
                   building them
  --no-namespaces  use the machine's own network and /tmp
";

/// Runs `lab replay`.
pub fn run(mut args: Args) -> Result<()> {
    let (mut names, mut pause, mut programs_folder, mut profile, mut namespaces) = (Vec::new(), None, None, Profile::Dev, true);
    let (mut options, mut language) = (Options::default(), Language::of_environment());
    while let Some(arg) = args.next()? {
        match arg {
            Long("pause") => pause = Some(args.parse("pause")?),
            Long("lang") => language = args.parse("lang")?,
            Long("limit") => options.limit = Duration::from_secs(args.limit()?.into()),
            Long("profile") => profile = args.parse("profile")?,
            Long("programs") => programs_folder = Some(args.path("programs")?),
            Long("no-namespaces") => namespaces = false,
            Value(name) => names.push(text(name)?),
            other => return Err(unexpected(other, "lab replay")),
        }
    }
    let scenes = choose(&names)?;
    let all = names.is_empty();
    if scenes.iter().any(|scene| scene.uses("strace")) {
        strace::available()?;
    }
    let names = scene::names(&scenes.iter().collect::<Vec<_>>());
    let ports = programs::find_or_build(programs_folder.as_deref(), &names, profile)?;
    let builds = Builds { ports, c: None };
    let pause = Duration::from_millis(pause.unwrap_or(if io::stdout().is_terminal() { 400 } else { 0 }));
    let isolation = Isolation::enter(namespaces);
    for (index, scene) in scenes.iter().enumerate() {
        if index > 0 {
            lab::print("\n");
        }
        let (title, text) = introduction(scene, language);
        let mut screen = Screen::new(scene, pause, &title, &text);
        isolation.play(scene, &Cast::new(scene, &builds, Side::Ports), &options, &mut screen)?.as_written()?;
    }
    if all {
        lab::print(&format!("\n{}\n", next(language)));
    }
    Ok(())
}

/// The title of a scene, with its lecture, and the text above it.
pub fn introduction(scene: &Scene, language: Language) -> (String, String) {
    let (title, text) = questions::introduction(scene, language).unwrap_or_else(|_| (scene.title.clone(), String::new()));
    let lecture = scene.lecture().map(|number| match language {
        Language::English => format!("Lecture {number}: "),
        Language::Chinese => format!("第 {number} 讲："),
    });
    let lecture = lecture.filter(|lecture| !title.starts_with(lecture)).unwrap_or_default();
    (format!("{lecture}{title}"), text)
}

/// What to try after the lectures.
fn next(language: Language) -> &'static str {
    match language {
        Language::English => {
            "What to try next:
  cargo lab ask                  the questions of the lectures and their readers, with answers
  cargo lab read udpclient       a port, line by line
  cargo lab strace two-clients   the system calls of each program
  cargo lab sock --help          make the socket calls yourself"
        }
        Language::Chinese => {
            "接下来可以试试：
  cargo lab ask                  课程和读者的问题与答案
  cargo lab read udpclient       逐行阅读一个移植
  cargo lab strace two-clients   每个程序的系统调用
  cargo lab sock --help          自己动手调用套接字函数"
        }
    }
}

/// The scenes with these names, in this order; without names, the scenes of the lectures in their order.
pub fn choose(names: &[String]) -> Result<Vec<Scene>> {
    if names.is_empty() {
        let mut chosen: Vec<Scene> = scene::read_all()?.into_iter().filter(|scene| scene.lecture().is_some()).collect();
        chosen.sort_by_key(Scene::lecture);
        return Ok(chosen);
    }
    let named = scene::read(|group, scene| names.iter().any(|name| name == group || name == scene))?;
    let mut chosen = Vec::new();
    for name in names {
        // A file of the user's own; it need not be a README.
        if Path::new(name).is_file() {
            chosen.extend(scene::read_file(Path::new(name))?);
            continue;
        }
        if name.contains('/') {
            bail!("{name} is not a file with scenes");
        }
        let before = chosen.len();
        chosen.extend(named.iter().filter(|scene| scene.name == *name || scene.group == *name).cloned());
        if chosen.len() == before {
            let all = scene::read_all()?;
            bail!("no scene or group is called '{name}'; {}", nearest(name, all.iter().map(|scene| scene.name.as_str()).chain(GROUPS)));
        }
    }
    Ok(chosen)
}

/// What the user sees: a line for each step, with the terminal's name in its colour in front.
struct Screen {
    /// In the order in which they first act.
    names: Vec<String>,
    pause: Duration,
}

const COLOURS: [AnsiColor; 5] = [AnsiColor::Green, AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Magenta, AnsiColor::Blue];

impl Screen {
    fn new(scene: &Scene, pause: Duration, title: &str, text: &str) -> Screen {
        let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
        lab::print(&format!("{bold}{title}{bold:#}  {dim}{} in {}{dim:#}\n", scene.name, scene.file.display()));
        if !text.is_empty() {
            lab::print(&format!("{}\n\n", terminal::filled(&questions::plain(text))));
        }
        let mut names: Vec<String> = Vec::new();
        for step in &scene.steps {
            if !names.contains(&step.actor) {
                names.push(step.actor.clone());
            }
        }
        Screen { names, pause }
    }
}

impl Observer for Screen {
    fn step(&mut self, step: &Step) {
        let at = self.names.iter().position(|name| *name == step.actor).unwrap_or(0);
        let colour = COLOURS[at % COLOURS.len()].on_default();
        let width = self.names.iter().map(String::len).max().unwrap_or(0);
        let (typed, dim) = (Style::new().bold(), Style::new().dimmed());
        let text = match &step.action {
            Action::Type(_) => format!("{typed}{}{typed:#}", step.rest()),
            Action::Expect(_) => step.rest().to_owned(),
            Action::Blocked(call) => format!("{dim}(blocked in {call}){dim:#}"),
            Action::Socket(_) => format!("{dim}(socket {}){dim:#}", step.rest()),
            Action::End(end) if end.parse::<u32>().is_ok() => format!("{dim}(exit status {end}){dim:#}"),
            Action::End(signal) => format!("{dim}(killed by {signal}){dim:#}"),
            // Only `lab strace` and `lab check` use these steps.
            Action::Diverge(_) => return,
            Action::Start(_) | Action::Interrupt | Action::EndOfInput | Action::Suspend | Action::Resume => format!("{typed}{}{typed:#}", step.text),
        };
        if step.action.is_by_a_person() {
            signals::sleep(self.pause);
        }
        if signals::noted().is_some() {
            return;
        }
        // An error means that the reader has quit (`| head`): the scene is still played to its end.
        let _ = writeln!(anstream::stdout(), "{colour}{:<width$} |{colour:#} {text}", step.actor);
    }
}
