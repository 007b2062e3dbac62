//! `lab page` and `lab diagram`: the arrows against the traces, the page in a browser, the diagrams of the
//! READMEs.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab::programs::{self, GROUPS, Profile};
use lab::questions::Language;
use lab::scene::{self, Action};
use lab::sources;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{self, Browser, Shared};
use crate::support::{self, Builds, Machine};

/// Its name, what it does, and what this machine lacks for it beside strace and the lines of calls.
type Test<'a> = (&'a str, fn(&Path, &Shared), Option<&'a str>);

pub fn trials(machine: &Machine, builds: &Builds) -> Vec<Trial> {
    let no_lines = machine.no_strace.as_deref().or(sources::unavailable());
    let (no_browser, browser) = (browser::missing(), Arc::new(Browser::shared()));
    let no_browser = no_browser.as_deref();
    let tests: [Test; 7] = [
        // It plays so many scenes that it cannot wait for a turn for each.
        ("each_message_has_one_arrow", |programs, _| each_message_has_one_arrow(programs), machine.no_namespaces.as_deref()),
        ("the_diagrams_of_the_readmes_are_up_to_date", |programs, _| the_diagrams_of_the_readmes_are_up_to_date(programs), None),
        ("what_cannot_be_opened_is_named", |programs, _| what_cannot_be_opened_is_named(programs), None),
        ("keys_and_links_step", keys_and_links_step, no_browser),
        ("both_languages_and_both_colours", both_languages_and_both_colours, no_browser),
        ("c_stands_beside_rust", c_stands_beside_rust, no_browser),
        ("what_programs_say_is_text", what_programs_say_is_text, no_browser),
    ];
    let trial = |(name, test, lacking): Test| {
        let (folder, browser) = (builds.folder(Profile::Dev), browser.clone());
        support::trial(format!("page/{name}"), no_lines.or(lacking), move || {
            test(&folder, &browser);
            Ok(())
        })
    };
    tests.map(trial).into()
}

/// A page of these scenes, and the folder that it is in.
fn page(programs: &Path, args: &[&str]) -> (PathBuf, TempDir) {
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("page.html");
    let mut command = support::command(env!("CARGO_BIN_EXE_lab"));
    command.args(["page", "--lang", "en", "--output"]).arg(&page).arg("--programs").arg(programs).args(args).env("LAB_ORIGINALS", folder.path());
    let output = support::output(&mut command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), page.to_string_lossy());
    (page, folder)
}

/// What the page knows.
fn data(page: &Path) -> Value {
    let text = fs::read_to_string(page).unwrap();
    let (_, rest) = text.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// A call as the trace has it: name, descriptor, the rest, what it returned.
fn call(text: &str) -> Option<(&str, &str, &str, i64)> {
    let (name, rest) = text.split_once('(')?;
    let (rest, result) = rest.rsplit_once(") = ")?;
    let (fd, rest) = rest.split_once(", ").unwrap_or((rest, ""));
    Some((name, fd, rest, result.split(' ').next()?.parse().ok()?))
}

/// Counts what was sent and received with the calls' own descriptors and results: of the page only the texts of
/// the calls and the arrows are used.
fn each_message_has_one_arrow(programs: &Path) {
    // Without a table of lines, which nothing here needs, they are traced faster.
    let (page, _folder) = page(&programs.with_file_name(Profile::Release.name()), &[]);
    assert!(fs::metadata(&page).unwrap().len() < 2_000_000, "the page of all lectures has 2 MB");
    let data = data(&page);
    let (mut messages, mut untaken, mut blocked) = (0, 0, 0);
    let written = scene::read_all().unwrap();
    let parts = data["parts"].as_array().unwrap();
    for (scene, texts) in parts.iter().flat_map(|part| part["scenes"].as_array().unwrap().iter().map(|scene| (scene, &part["texts"]))) {
        let name = scene["name"].as_str().unwrap();
        let text = |step: &Value| texts[step[2].as_u64().unwrap() as usize].as_str().unwrap();
        let mut sockets: BTreeMap<i64, BTreeMap<String, bool>> = BTreeMap::new();
        let (mut sends, mut receives) = (BTreeMap::new(), BTreeMap::new());
        for (at, step) in scene["steps"].as_array().unwrap().iter().enumerate() {
            let (column, text) = (step[0].as_i64().unwrap(), text(step));
            if step[1] != 1 {
                continue;
            }
            let Some((call, fd, rest, result)) = call(text).filter(|(.., result)| *result >= 0) else { continue };
            if text.ends_with("(INJECTED)") {
                continue;
            }
            let mine = sockets.entry(column).or_default();
            match call {
                "socket" => drop(mine.insert(result.to_string(), rest.contains("SOCK_DGRAM"))),
                "accept" | "accept4" => drop(mine.insert(result.to_string(), false)),
                "socketpair" => {
                    for fd in rest.rsplit_once('[').unwrap().1.trim_end_matches(']').split(", ") {
                        mine.insert(fd.to_owned(), rest.contains("SOCK_DGRAM"));
                    }
                }
                "close" => drop(mine.remove(fd)),
                "clone" | "fork" | "vfork" => {
                    let child = scene["columns"].as_array().unwrap().iter().position(|one| one[2] == column && one[0] != scene["columns"][column as usize][0]);
                    let mine = mine.clone();
                    sockets.insert(child.unwrap() as i64, mine);
                }
                "sendto" | "send" | "write" | "sendmsg" if mine.contains_key(fd) => drop(sends.insert(at as i64, result)),
                "recvfrom" | "recv" | "read" | "recvmsg" if mine.contains_key(fd) && !rest.contains("MSG_PEEK") && !rest.contains("MSG_ERRQUEUE") => {
                    receives.insert(at as i64, (result, mine[fd]));
                }
                _ => {}
            }
        }
        // Where the scene says that a program is blocked, there is a bar.
        for step in &written.iter().find(|written| written.name == name).unwrap().steps {
            let Action::Blocked(call) = &step.action else { continue };
            let is_it = |one: &Value| {
                one[8] == 1 && scene["columns"][one[0].as_u64().unwrap() as usize][0].as_str().is_some_and(|who| who.starts_with(&step.actor)) && text(one).starts_with(&format!("{call}("))
            };
            assert!(scene["steps"].as_array().unwrap().iter().any(is_it), "{name}: {} is not blocked in {call}", step.actor);
            blocked += 1;
        }
        let (mut from, mut to): (BTreeMap<i64, Vec<i64>>, BTreeMap<i64, Vec<i64>>) = Default::default();
        for arrow in scene["arrows"].as_array().unwrap().iter().filter(|arrow| arrow[2] == 1) {
            let [sent, taken, length] = [0, 1, 4].map(|at| arrow[at].as_i64().unwrap());
            assert!(sends.contains_key(&sent), "{name}: an arrow from step {sent}, which sends nothing: {arrow}");
            assert!(taken == -1 || receives.contains_key(&taken), "{name}: an arrow to step {taken}, which receives nothing: {arrow}");
            // Long runs of a byte are folded, in the one and perhaps not in the other.
            let bytes = texts[arrow[3].as_u64().unwrap() as usize].as_str().unwrap();
            let says = |at: i64| at == -1 || bytes.contains(['{', '"']) || [bytes, "*"].iter().any(|part| text(&scene["steps"][at as usize]).contains(part));
            assert!(says(sent) && says(taken) && (taken == -1 || sent < taken), "{name}: the calls of {arrow} have other bytes, or another order");
            from.entry(sent).or_default().push(length);
            to.entry(taken).or_default().push(length);
            messages += 1;
            untaken += usize::from(taken == -1);
        }
        for (at, sent) in &sends {
            let lengths = from.remove(at).unwrap_or_else(|| panic!("{name}: no arrow from step {at}"));
            // Of a datagram that is cut the rest is gone.
            assert!(lengths.iter().sum::<i64>() <= *sent, "{name}: step {at} sends {sent} bytes, its arrows have {lengths:?}");
        }
        for (at, (received, datagram)) in receives {
            let lengths = to.remove(&at).unwrap_or_default();
            let is_end = lengths.is_empty() && received == 0 && !datagram;
            assert!(is_end || lengths.iter().sum::<i64>() == received && (!datagram || lengths.len() == 1), "{name}: step {at} receives {received} bytes, its arrows have {lengths:?}");
        }
    }
    assert!(messages > 150 && untaken > 20 && blocked > 10, "{messages} messages, {untaken} of them not taken; {blocked} blocked");
}

fn the_diagrams_of_the_readmes_are_up_to_date(programs: &Path) {
    for (group, language) in GROUPS.iter().flat_map(|group| [(group, Language::English), (group, Language::Chinese)]) {
        let file = programs::root().join(group).join(language.readme());
        let text = fs::read_to_string(&file).unwrap();
        let diagrams: Vec<&str> = text.split("\n```mermaid\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!diagrams.is_empty(), "{} has no diagram", file.display());
        for diagram in diagrams {
            let command = diagram.lines().next().unwrap().strip_prefix("%% cargo lab ").unwrap_or_else(|| panic!("{}: a diagram begins with its command", file.display()));
            let output = support::output(support::command(env!("CARGO_BIN_EXE_lab")).args(command.split(' ')).arg("--programs").arg(programs)).unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(diagram, String::from_utf8_lossy(&output.stdout), "{}: make it again with 'cargo lab {command}'", file.display());
        }
    }
}

fn what_cannot_be_opened_is_named(programs: &Path) {
    // Not in /tmp, which scenes have for themselves.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    symlink(support::find("strace").unwrap(), folder.path().join("strace")).unwrap();
    let page = folder.path().join("page.html");
    let lab = |options: &[&str]| {
        let mut command = support::command(env!("CARGO_BIN_EXE_lab"));
        command.args(["page", "client-alone", "--open", "--programs"]).arg(programs).args(options).env("PATH", folder.path());
        let output = support::output(&mut command).unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).lines().last().unwrap().to_owned()
    };
    assert_eq!(lab(&["--output", &page.to_string_lossy()]), format!("lab: xdg-open does not work here; open {} in a browser", page.display()));
    let nowhere = folder.path().join("none/page.html");
    assert_eq!(lab(&["--output", &nowhere.to_string_lossy()]), format!("lab: cannot write {}: No such file or directory (os error 2)", nowhere.display()));
    let empty = folder.path().display().to_string();
    assert_eq!(lab(&["--originals", &empty]), format!("lab: none of the C files is under {empty}"));
}

const RIGHT: &str = "\u{e014}";
const LEFT: &str = "\u{e012}";
const HOME: &str = "\u{e011}";
const END: &str = "\u{e010}";

fn keys_and_links_step(programs: &Path, browser: &Shared) {
    let (page, _folder) = page(programs, &["one-client", "connected-alone"]);
    let browser = Browser::take(browser);
    browser.open(&page, "");
    assert_eq!(browser.text("document.querySelector('#count').textContent.split(' / ')[0]"), "1");
    let all: usize = browser.text("document.querySelector('#count').textContent.split(' / ')[1]").parse().unwrap();
    browser.press(&RIGHT.repeat(3));
    assert_eq!(browser.text("location.hash"), "#one-client/4");
    browser.press(LEFT);
    assert_eq!(browser.text("location.hash"), "#one-client/3");
    browser.press(END);
    assert_eq!(browser.text("location.hash"), format!("#one-client/{all}"));
    // The terminals are as the scene has them.
    let terminal = |who: &str| browser.text(&format!("document.querySelector('.terminal[data-who={who}] pre').textContent"));
    assert_eq!(terminal("client"), "$ udpclient 127.0.0.1\ng1\nnow sending g1\nsend bytes: 2 \nHi, g1\ng2\nnow sending g2\nsend bytes: 2 \nHi, g2\n^D\n");
    assert_eq!(terminal("server"), "$ udpserver\nreceived 2 bytes: g1\nreceived 2 bytes: g2\n^C\n\nreceived 2 datagrams\n");
    // A message leads from its receiver to its sender and back.
    browser.press(HOME);
    let hash = |script: &str| browser.text(&format!("({script}, location.hash)"));
    let click = "document.querySelector('g.data').dispatchEvent(new MouseEvent('click'))";
    let now = "document.querySelector('#now').textContent";
    hash(click);
    assert!(browser.text(now).contains("recvfrom(3, \"g1\""), "{}", browser.text(now));
    hash(click);
    assert!(browser.text(now).contains("sendto(3, \"g1\""), "{}", browser.text(now));
    assert_eq!(browser.text("document.querySelector('#source td.rust.here').parentNode.dataset.line"), "40");
    // A line of the source leads to its next call, a call to itself.
    hash("document.querySelector('#source tr[data-line=\"47\"]').click()");
    assert!(browser.text(now).contains("recvfrom(3, \"Hi, g1\""), "{}", browser.text(now));
    hash("document.querySelector('#calls li').click()");
    assert!(browser.text(now).contains("socket(AF_INET"), "{}", browser.text(now));
    // An address names a scene and a step; another scene is a key away.
    browser.press("]");
    assert_eq!(browser.text("location.hash"), "#connected-alone/1");
    browser.open(&page, "#connected-alone/9");
    browser.wait("location.hash === '#connected-alone/9' && document.querySelector('#count').textContent.startsWith('9 / ')");
    assert_eq!(browser.value("document.querySelectorAll('g.refusal').length + 10 * document.querySelectorAll('g.lost').length"), json!(11));
    browser.press(END);
    let sockets = browser.text("document.querySelector('#sockets').textContent");
    assert!(sockets.contains("127.0.0.1:43211"), "{sockets}");
    // Space plays; the loader's calls can be shown.
    browser.press(HOME);
    browser.press(" ");
    browser.wait("document.querySelector('#count').textContent.startsWith('2 / ')");
    browser.press(" ");
    let count = "Number(document.querySelector('#count').textContent.split(' / ')[1])";
    let own = browser.value(count).as_u64().unwrap();
    browser.press("a");
    assert!(browser.value(count).as_u64().unwrap() > own + 10);
    browser.is_content();
}

fn both_languages_and_both_colours(programs: &Path, browser: &Shared) {
    let (page, _folder) = page(programs, &["two-clients"]);
    let browser = Browser::take(browser);
    let mut colours = BTreeSet::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        browser.open(&page, "#two-clients/14");
        assert_eq!(browser.text("document.querySelector('#title').textContent"), "Lecture 6: Two clients two-clients");
        let [text, ground] = ["color", "backgroundColor"].map(|what| browser.text(&format!("getComputedStyle(document.body).{what}")));
        assert_ne!(text, ground);
        colours.insert(ground);
        browser.press("l");
        assert_eq!(browser.text("document.documentElement.lang + document.querySelector('#title').textContent"), "zh第 6 讲：两个客户端 two-clients");
        let question = browser.text("document.querySelector('#questions details').textContent");
        assert!(question.contains("Q6-t9") && question.contains('端'), "{question}");
        browser.press("l");
        let question = browser.text("document.querySelector('#questions details').textContent");
        assert!(question.contains("How can one socket serve two clients?"), "{question}");
        assert_eq!(browser.value("document.querySelector('#questions details').open"), json!(false));
        browser.is_content();
    }
    assert_eq!(colours.len(), 2, "light and dark are the same");
    // Nothing is wider than a narrow window.
    browser.resize(500);
    assert_eq!(browser.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), json!(true));
}

fn c_stands_beside_rust(programs: &Path, browser: &Shared) {
    let originals = TempDir::new().unwrap();
    fs::write(originals.path().join("udpclient.c"), "first line\n\tsecond </script><b>line\n").unwrap();
    let browser = Browser::take(browser);
    for with_c in [true, false] {
        let folder = originals.path().to_string_lossy();
        let args = ["client-alone", "--originals", &folder];
        let (page, _folder) = page(programs, if with_c { &args } else { &args[..1] });
        browser.open(&page, "#client-alone/2");
        let cells = browser.value("[...document.querySelectorAll('#source td.c')].slice(0, 2).map(cell => cell.textContent)");
        assert_eq!(cells, if with_c { json!(["first line", "    second </script><b>line"]) } else { json!([]) });
        let rust = browser.text("document.querySelectorAll('#source td.rust')[15].textContent");
        assert!(rust.contains("check(socket(AF_INET, SOCK_DGRAM, 0)"), "{rust}");
        assert_eq!(browser.value("document.querySelector('#source td.fixed').title.startsWith('C: goes on with descriptor -1')"), json!(true));
        browser.is_content();
    }
}

fn what_programs_say_is_text(programs: &Path, browser: &Shared) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("scenes.md");
    let typed = ["<script>alert(1)</script>", "&lt;b&gt; <img src=x onerror=alert(1)>", "</script><!-- é 你好 {xff}{x80}", "{x*4000}"];
    let exchange = |line: &&str| {
        let length = scene::expand(line).len();
        format!("client < {line}\nclient > now sending {line}\nclient > send bytes: {length}\nserver > received {length} bytes: {line}\nclient > Hi, {line}\n")
    };
    let exchanges: String = typed.iter().map(exchange).collect();
    fs::write(&file, format!("```scene texts\nserver $ udpserver\nclient $ udpclient 127.0.0.1\n{exchanges}client ^D\nclient = 0\nserver ^C\nserver > received 4 datagrams\nserver = 0\n```\n"))
        .unwrap();
    let (page, _folder) = page(programs, &[&file.to_string_lossy()]);
    let browser = Browser::take(browser);
    browser.open(&page, "");
    browser.press(END);
    let terminal = browser.text("document.querySelector('.terminal[data-who=client] pre').textContent");
    for line in typed {
        assert!(terminal.contains(&format!("\n{line}\nnow sending {line}\n")), "{terminal}");
    }
    assert_eq!(browser.value("document.querySelectorAll('script').length + document.querySelectorAll('img').length"), json!(2));
    browser.is_content();
}
