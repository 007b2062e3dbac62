//! `lab ask`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::Style;
use anyhow::{Result, bail};

use super::replay;
use lab::args::{Args, Long, Value, text, unexpected};
use lab::questions::{self, Language, Question};
use lab::terminal;

pub const HELP: &str = "\
Answers the questions of the lectures, the notes and their readers

Usage: cargo lab ask [ID|WORDS ...]

  cargo lab ask               lists the questions
  cargo lab ask Q14-1         shows the question, plays a scene, and shows the answer
  cargo lab ask C12           the same for a claim that is wrong or loose
  cargo lab ask client 2      the same for the question with these words, in
                              English or Chinese; lists them if there are several

  --lang LANG  en or zh (default: from LC_ALL, LC_MESSAGES or LANG)
  --all        count the questions and the claims
  --pause MS   wait MS milliseconds before each line that is typed (default: 400
               at a terminal, else 0)
";

/// Runs `lab ask`.
pub fn run(mut args: Args) -> Result<()> {
    let (mut words, mut language, mut count, mut pause) = (Vec::new(), Language::of_environment(), false, None::<u64>);
    while let Some(arg) = args.next()? {
        match arg {
            Long("lang") => language = args.parse("lang")?,
            Long("all") => count = true,
            Long("pause") => pause = Some(args.parse("pause")?),
            Value(word) => words.extend(Some(text(word)?).filter(|word| !word.is_empty())),
            other => return Err(unexpected(other, "lab ask")),
        }
    }
    let all = questions::read_all(language)?;
    if count {
        lab::print(&counts(&all, language));
        return Ok(());
    }
    if words.is_empty() {
        let questions: Vec<&Question> = all.iter().filter(|question| !question.is_claim()).collect();
        lab::print(&list(&questions));
        lab::print(match language {
            Language::English => "\n'cargo lab ask ID' plays a scene and shows the answer; 'cargo lab ask --all' counts.\n",
            Language::Chinese => "\n'cargo lab ask ID' 演示场景并给出答案，'cargo lab ask --all' 统计。\n",
        });
        return Ok(());
    }
    let ids = find(&words)?;
    let found: Vec<&Question> = all.iter().filter(|question| ids.contains(&question.id)).collect();
    match found.as_slice() {
        [] => bail!("no question has the id or the words '{}'; 'cargo lab ask' lists the questions", words.join(" ")),
        [question] => show(question, pause)?,
        several => lab::print(&list(several)),
    }
    Ok(())
}

/// The ids of the questions that have all these words in one of the languages; of the one with this id.
fn find(words: &[String]) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for language in [Language::English, Language::Chinese] {
        for question in questions::read_all(language)? {
            if matches!(words, [id] if id.eq_ignore_ascii_case(&question.id)) {
                return Ok(BTreeSet::from([question.id]));
            }
            let text = question.text.to_lowercase();
            if words.iter().all(|word| text.contains(&word.to_lowercase())) {
                ids.insert(question.id);
            }
        }
    }
    Ok(ids)
}

/// The question, its first scene, and the answer.
fn show(question: &Question, pause: Option<u64>) -> Result<()> {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let at = format!("{dim}{}:{}{dim:#}", question.file.display(), question.line);
    if question.is_claim() {
        lab::print(&format!("{bold}{}{bold:#}  {at}\n\n", question.id));
    } else {
        lab::print(&format!("{bold}{}  {}{bold:#}  {at}\n\n", question.id, question.text));
    }
    if let Some(scene) = question.scenes.first() {
        let language = if question.language == Language::Chinese { "zh" } else { "en" };
        let pause = pause.map(|pause| ["--pause".to_owned(), pause.to_string()]);
        let args = ["--lang", language, scene].map(str::to_owned).into_iter().chain(pause.into_iter().flatten()).map(Into::into);
        replay::run(Args::new("lab replay", replay::HELP, args))?;
        lab::print("\n");
    }
    lab::print(&format!("{}\n", terminal::filled(&questions::plain(&question.answer))));
    Ok(())
}

/// One line for each question, under its README.
fn list(questions: &[&Question]) -> String {
    let bold = Style::new().bold();
    let mut out = String::new();
    let mut file = None;
    for question in questions {
        if file != Some(&question.file) {
            file = Some(&question.file);
            let _ = writeln!(out, "{bold}{}{bold:#}", question.file.display());
        }
        let line = format!("  {:<8} {}", question.id, question.text);
        let _ = writeln!(out, "{}", terminal::wrap(&line, terminal::width().unwrap_or(0), 11).join("\n"));
    }
    out
}

fn counts(all: &[Question], language: Language) -> String {
    let count = |is_claim: bool, by_scene: bool| all.iter().filter(|question| question.is_claim() == is_claim && question.scenes.is_empty() != by_scene).count();
    let [questions, claims] = [false, true].map(|is_claim| (count(is_claim, true), count(is_claim, false)));
    let scenes = all.iter().flat_map(|question| &question.scenes).collect::<BTreeSet<_>>().len();
    let line = |(shown, told): (usize, usize), english: &str, chinese: &str| match language {
        Language::English => format!("{} {english}: {shown} by scenes, {told} by a reference\n", shown + told),
        Language::Chinese => format!("{} {chinese}：{shown} 个由场景演示，{told} 个有依据\n", shown + told),
    };
    let used = match language {
        Language::English => format!("{scenes} scenes show them\n"),
        Language::Chinese => format!("共用到 {scenes} 个场景\n"),
    };
    line(questions, "questions", "个问题") + &line(claims, "claims", "个说法") + &used
}
