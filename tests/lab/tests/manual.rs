//! The manual: every question and claim once, with a scene that shows it, in English and in Chinese.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lab::programs::{GROUPS, root};
use lab::questions::{self, Language, Question};
use lab::scene;
use regex_lite::Regex;

fn read(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every README in this language: its text and its name.
fn readmes(language: Language) -> Vec<(String, String)> {
    let folders = GROUPS.map(|group| format!("{group}/")).into_iter().chain(["", "common/", "tests/trials/"].map(str::to_owned));
    folders.map(|folder| folder + language.readme()).map(|file| (read(Path::new(&file)), file)).collect()
}

fn in_both_languages() -> impl Iterator<Item = (String, String)> {
    [Language::English, Language::Chinese].into_iter().flat_map(readmes)
}

/// Its text outside blocks.
fn prose(text: &str) -> String {
    questions::prose(text).into_iter().map(|(_, line)| format!("{line}\n")).collect()
}

fn all(language: Language) -> Vec<Question> {
    questions::read_all(language).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What the group matches of each place where the pattern does.
fn captures(pattern: &str, text: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// The lectures' own questions, those their texts raise (t), those of their readers (r), and the claims.
fn expected() -> BTreeSet<String> {
    let own = ["Q6-1", "Q6-2", "Q7-1", "Q7-2", "Q7-3", "Q14-1", "Q14-2"].map(str::to_owned);
    let texts = (8..=35).map(|number| match number {
        8..=14 => format!("Q6-t{number}"),
        15..=22 => format!("Q14-t{number}"),
        23..=25 => format!("Q7-t{number}"),
        _ => format!("QN-t{number}"),
    });
    let readers = (36..=78).map(|number| if number < 59 { format!("Q7-r{number}") } else { format!("Q14-r{number}") });
    own.into_iter().chain(texts).chain(readers).chain((1..=38).map(|number| format!("C{number}"))).collect()
}

#[test]
fn every_question_and_every_claim_is_there_once() {
    let expected = expected();
    assert_eq!(expected.len(), 78 + 38);
    for language in [Language::English, Language::Chinese] {
        let mut ids = BTreeSet::new();
        for question in all(language) {
            assert!(ids.insert(question.id.clone()), "{}:{}: {} is there a second time", question.file.display(), question.line, question.id);
        }
        let missing: Vec<_> = expected.difference(&ids).collect();
        let unknown: Vec<_> = ids.difference(&expected).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{}: missing {missing:?}, unknown {unknown:?}", language.readme());
    }
}

#[test]
fn the_scenes_of_the_answers_exist() {
    let scenes = scene::read_all().unwrap();
    for question in all(Language::English) {
        let missing = question.scenes.iter().find(|name| !scenes.iter().any(|scene| scene.name == **name));
        assert_eq!(missing, None, "{}:{}: {}", question.file.display(), question.line, question.id);
    }
}

#[test]
fn a_question_has_the_anchor_of_its_id() {
    for (text, file) in in_both_languages() {
        let anchors = captures(r#"(?m)^<a id="(Q[^"]*)"></a>$"#, &text);
        let ids = captures(r"(?m)^<details><summary><b>(.*?)</b> ", &text);
        assert_eq!(anchors, ids, "{file}");
    }
}

#[test]
fn both_languages_have_the_same() {
    for ((english, _), (chinese, file)) in readmes(Language::English).into_iter().zip(readmes(Language::Chinese)) {
        let same = |what: &str, pattern: &str| {
            let [english, chinese] = [&english, &chinese].map(|text| captures(pattern, &prose(text)));
            assert_eq!(english, chinese, "{file}: {what}");
        };
        same("anchors", r#"(?m)^<a id="(.*?)"></a>$"#);
        same("headings", r"(?m)^(#+) ");
        // The name of a scene is a link there, and a block here.
        let links = |text: &str| -> Vec<String> {
            let text: String = prose(text).lines().filter(|line| !line.starts_with("场景 ")).map(|line| format!("{line}\n")).collect();
            captures(r"\]\(([^)]*)\)", &text).into_iter().map(|link| link.replace(".zh.md", ".md")).collect()
        };
        assert_eq!(links(&english), links(&chinese), "{file}: links");

        let scenes = captures(r"(?m)^```scene (\S+)$", &english);
        assert_eq!(scenes, captures(r"(?m)^场景 \[`(.*?)`\]\(README\.md#", &chinese), "{file}: scenes");
        let mut anchor = "";
        let mut anchors = Vec::new();
        for line in english.lines() {
            if let Some(id) = line.strip_prefix("<a id=\"").and_then(|rest| rest.strip_suffix("\"></a>"))
                && !id.starts_with('Q')
            {
                anchor = id;
            } else if line.starts_with("```scene ") {
                anchors.push(anchor.to_owned());
            }
        }
        assert_eq!(anchors, captures(r"(?m)^场景 \[`.*?`\]\(README\.md#(.*?)\)$", &chinese), "{file}: where the scenes are");
    }
    let shown = |language| all(language).into_iter().map(|question| (question.id, question.scenes, question.has_reference)).collect::<Vec<_>>();
    for (english, chinese) in shown(Language::English).into_iter().zip(shown(Language::Chinese)) {
        assert_eq!(english, chinese);
    }
}

#[test]
fn a_changed_english_text_has_been_looked_at_in_chinese() {
    let mut changed = String::new();
    for ((english, from), (chinese, file)) in readmes(Language::English).into_iter().zip(readmes(Language::Chinese)) {
        let first = format!("<!-- README.md {} -->\n", questions::stamp(&english));
        if !chinese.starts_with(&first) {
            changed += &format!("{from} has changed since {file} was compared with it. Compare them, then let the first line of {file} be\n{first}");
        }
    }
    assert!(changed.is_empty(), "{changed}");
}

#[test]
fn every_heading_has_an_anchor_and_every_link_to_one_leads_there() {
    for (text, file) in in_both_languages() {
        let lines: Vec<&str> = questions::prose(&text).into_iter().map(|(_, line)| line).filter(|line| !line.is_empty()).collect();
        for pair in lines.windows(2).filter(|pair| pair[1].starts_with("##")) {
            assert!(pair[0].starts_with("<a id="), "{file}: no <a id> before {}", pair[1]);
        }
        for link in captures(r"\]\(([^):]*#[^)]*)\)", &prose(&text)) {
            let (to, anchor) = link.split_once('#').unwrap();
            let to = if to.is_empty() { file.clone() } else { Path::new(&file).with_file_name("").join(to).display().to_string() };
            let text = read(Path::new(&to));
            let is_heading = |line: &str| line.starts_with('#') && slug(line) == anchor;
            let is_there = questions::prose(&text).into_iter().any(|(_, line)| line == format!("<a id=\"{anchor}\"></a>") || is_heading(line));
            assert!(is_there, "{file}: nothing in {to} is called #{anchor}");
        }
    }
}

/// The anchor that a heading has by itself.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn no_line_of_a_table_is_wider_than_120_characters() {
    for (text, file) in in_both_languages() {
        for (number, line) in questions::prose(&text) {
            assert!(!line.starts_with('|') || line.chars().count() <= 120, "{file}:{number}: {} characters", line.chars().count());
        }
    }
}
