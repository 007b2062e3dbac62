//! The questions that the READMEs answer, and the claims that they put right, in English and Chinese.
//!
//! A question is a folded block, a claim a paragraph; each ends with the scenes that show its answer, or with
//! a reference. The first line of a README.zh.md holds the [`stamp`] of the README.md that it was last
//! compared with: a test fails when the English text has changed since, and prints the new stamp.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use regex_lite::Regex;

use crate::args::one_of;
use crate::programs::{GROUPS, root};
use crate::scene::Scene;

/// A language of the READMEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Chinese,
}

impl Language {
    /// That of the environment.
    pub fn of_environment() -> Language {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(env::var_os).find(|value| !value.is_empty());
        if set.is_some_and(|value| value.to_string_lossy().starts_with("zh")) { Language::Chinese } else { Language::English }
    }

    /// The name of a README in this language.
    pub fn readme(self) -> &'static str {
        match self {
            Language::English => "README.md",
            Language::Chinese => "README.zh.md",
        }
    }

    /// What comes before the names of scenes, before a reference, and before and after a claim's number.
    fn words(self) -> [&'static str; 4] {
        match self {
            Language::English => ["Shown by: ", "Reference: ", "**Claim ", ".**"],
            Language::Chinese => ["见场景：", "依据：", "**说法 ", "。**"],
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Language, String> {
        one_of(text, &[("en", Language::English), ("zh", Language::Chinese)])
    }
}

/// The heading and the text above a scene, in this language if its text has it, else in English.
/// Fails if the README cannot be read.
pub fn introduction(scene: &Scene, language: Language) -> Result<(String, String)> {
    let text = |file: &Path| fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {}", file.display()));
    let chinese = scene.file.with_file_name(Language::Chinese.readme());
    if language == Language::Chinese && scene.file.ends_with(Language::English.readme()) && root().join(&chinese).is_file() {
        Ok(above(&text(&chinese)?, &format!("场景 [`{}`]", scene.name)))
    } else {
        Ok(above(&text(&scene.file)?, &format!("```scene {}", scene.name)))
    }
}

/// The last heading above the line that begins so, and the paragraphs between: not those about a scene before.
fn above(text: &str, begin: &str) -> (String, String) {
    let (mut heading, mut paragraphs) = (String::new(), String::new());
    let mut is_about_it = true;
    for line in text.lines().take_while(|line| !line.starts_with(begin)) {
        if let Some(title) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            title.clone_into(&mut heading);
        }
        if line.starts_with(['#', '`', '<', '场']) {
            paragraphs.clear();
            is_about_it = true;
        } else if line.starts_with("**") {
            is_about_it = false;
        } else if line.is_empty() {
            is_about_it = true;
            paragraphs += "\n";
        } else if is_about_it {
            paragraphs += line;
            paragraphs += "\n";
        }
    }
    (heading, paragraphs.trim().to_owned())
}

/// A question with its answer, or a claim of the lectures or the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `Q14-1`; `C12` if it is a claim.
    pub id: String,
    /// The question and its source; of a claim nothing.
    pub text: String,
    /// As in the README, the scenes at its end included.
    pub answer: String,
    pub scenes: Vec<String>,
    pub has_reference: bool,
    pub language: Language,
    /// The README, relative to the workspace's root.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl Question {
    pub fn is_claim(&self) -> bool {
        self.id.starts_with('C')
    }
}

/// The questions and claims of all groups in this language, in the groups' order.
/// Fails if a README cannot be read, or a question in it is not complete.
pub fn read_all(language: Language) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for group in GROUPS {
        let file = Path::new(group).join(language.readme());
        let text = fs::read_to_string(root().join(&file)).with_context(|| format!("cannot read {}", file.display()))?;
        questions.extend(parse(&file, &text, language)?);
    }
    Ok(questions)
}

/// The questions and claims in the text of one README.
/// Fails if a question is not complete.
pub fn parse(file: &Path, text: &str, language: Language) -> Result<Vec<Question>> {
    let [_, _, before, after] = language.words();
    let mut questions = Vec::new();
    let lines = prose(text);
    let mut rest = lines.as_slice();
    while let Some(&(number, line)) = rest.first() {
        let at = || format!("{}:{number}", file.display());
        let (id, text, answer, used) = if line.starts_with("<details><summary>") {
            let used = rest.iter().position(|(_, line)| *line == "</details>").with_context(|| format!("{}: no </details>", at()))?;
            let block = join(&rest[..used]);
            let (head, answer) = block.split_once("</summary>").with_context(|| format!("{}: no </summary>", at()))?;
            let head = head.strip_prefix("<details><summary><b>").and_then(|head| head.split_once("</b> "));
            let (id, text) = head.with_context(|| format!("{}: not <summary><b>ID</b> QUESTION</summary>", at()))?;
            (id.to_owned(), text.replace("<code>", "`").replace("</code>", "`").replace('\n', " "), answer.trim().to_owned(), used + 1)
        } else if let Some((id, _)) = line.strip_prefix(before).and_then(|rest| rest.split_once(after)) {
            let used = rest.iter().position(|(_, line)| line.is_empty()).unwrap_or(rest.len());
            (id.to_owned(), String::new(), join(&rest[..used]), used)
        } else {
            rest = &rest[1..];
            continue;
        };
        let (scenes, has_reference) = shown(&answer, language);
        if scenes.is_empty() && !has_reference {
            bail!("{}: {id} has neither scenes nor a reference", at());
        }
        questions.push(Question { id, text, answer, scenes, has_reference, language, file: file.to_owned(), line: number });
        rest = &rest[used..];
    }
    Ok(questions)
}

/// The lines of a README with their numbers, those of its blocks left out.
pub fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_block = false;
    let outside = |(_, line): &(usize, &str)| {
        let is_border = line.starts_with("```");
        is_block ^= is_border;
        !is_block && !is_border
    };
    (1..).zip(text.lines()).filter(outside).collect()
}

/// A text of a README as a terminal shows it: links and emphasis without their marks.
pub fn plain(text: &str) -> String {
    let links = Regex::new(r"\[([^\]]*)\]\([^)]*\)").expect("this is a pattern");
    let emphasis = Regex::new(r"(^|[^\w*{}])\*{1,2}([^*\s][^*]*)\*{1,2}").expect("this is a pattern");
    emphasis.replace_all(&links.replace_all(text, "$1"), "$1$2").into_owned()
}

/// What a README.zh.md remembers of its README.md: a checksum of all that is not in a block.
pub fn stamp(english: &str) -> String {
    // FNV-1a, as it is short.
    let hash = join(&prose(english)).bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

/// The scenes that an answer names, and whether it has a reference.
fn shown(answer: &str, language: Language) -> (Vec<String>, bool) {
    let [shown, reference, ..] = language.words();
    // A line may end after the colon.
    let answer = answer.replace('\n', " ");
    let names = answer.rsplit_once(shown).map(|(_, names)| names.split(['.', '。']).next().unwrap_or_default()).unwrap_or_default();
    (names.split('`').skip(1).step_by(2).map(str::to_owned).collect(), answer.contains(reference))
}

fn join(lines: &[(usize, &str)]) -> String {
    lines.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_above_a_scene_is_found() {
        let text = "## Lecture\nfor all\n### One\n\nTry *this*,\nand look.\n\nExpect?\n\n```scene a\n```\n\n**Notice.** it\nhere.\n\nAgain.\n\n```scene b\n```\n";
        assert_eq!(above(text, "```scene a"), ("One".to_owned(), "Try *this*,\nand look.\n\nExpect?".to_owned()));
        assert_eq!(above(text, "```scene b"), ("One".to_owned(), "Again.".to_owned()));
        assert_eq!(above("### 一\n\n试试。\n\n场景 [`a`](x)\n", "场景 [`a`]"), ("一".to_owned(), "试试。".to_owned()));
    }

    const ENGLISH: &str = "## Lecture 6\n\n```scene a\n**Claim C9.** not one\n```\n\n<a id=\"Q6-1\"></a>\n<details><summary><b>Q6-1</b> What does\n<code>recvfrom</code> do? (a reader)</summary>\n\nIt waits.\n\nShown by: `a`,\n`b-c`. More.\n\n</details>\n\n**Claim C2.** It is\nslow. Reference: a measurement.\n\nText.\n";

    fn english(text: &str) -> Result<Vec<Question>> {
        parse(Path::new("udp-basic/README.md"), text, Language::English)
    }

    #[test]
    fn questions_and_claims() {
        let [question, claim] = english(ENGLISH).unwrap().try_into().unwrap();
        assert_eq!((question.id.as_str(), question.text.as_str(), question.line), ("Q6-1", "What does `recvfrom` do? (a reader)", 8));
        assert_eq!(question.answer, "It waits.\n\nShown by: `a`,\n`b-c`. More.");
        assert_eq!((question.scenes.as_slice(), question.has_reference), (["a".to_owned(), "b-c".to_owned()].as_slice(), false));
        assert_eq!((claim.id.as_str(), claim.answer.as_str()), ("C2", "**Claim C2.** It is\nslow. Reference: a measurement."));
        assert!(claim.scenes.is_empty() && claim.has_reference && claim.is_claim() && !question.is_claim());
    }

    #[test]
    fn a_terminal_shows_no_marks() {
        assert_eq!(plain("**Claim C2.** See [the\nscene](../README.md#x) and *two*, not `{x*4}` or `{y*5}`."), "Claim C2. See the\nscene and two, not `{x*4}` or `{y*5}`.");
    }

    #[test]
    fn what_is_not_complete() {
        for (text, why) in [
            ("<details><summary><b>Q6-1</b> Why?</summary>\n\nSo.\n\n</details>", "README.md:1: Q6-1 has neither scenes nor a reference"),
            ("\n**Claim C1.** No.", "README.md:2: C1 has neither"),
            ("<details><summary><b>Q6-1</b> Why?</summary>", "no </details>"),
            ("<details><summary><b>Q6-1</b> Why?\n</details>", "no </summary>"),
            ("<details><summary>Why?</summary>\n</details>", "not <summary>"),
        ] {
            let error = english(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
