//! What `lab` says to someone who does something wrong: one line, and a status that is not 0.

use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::proc;
use lab::programs::{self, PROGRAMS, Profile};
use lab::sandbox;
use lab::signals;
use lab::sources;
use libtest_mimic::Trial;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::isolation;
use crate::support::{self, Machine, Running};

/// Its name, what it does, and what this machine lacks for it.
type Test<'a> = (&'a str, fn(), Option<&'a str>);

pub fn trials(machine: &Machine) -> Vec<Trial> {
    let (no_strace, no_namespaces) = (machine.no_strace.as_deref(), machine.no_namespaces.as_deref());
    let no_lines = no_strace.or(sources::unavailable());
    let tests: [Test; 22] = [
        ("list_names_every_program", list_names_every_program, None),
        ("a_question_is_answered_in_both_languages", a_question_is_answered_in_both_languages, None),
        ("a_missing_program_is_named", a_missing_program_is_named, None),
        ("a_program_that_does_something_else_fails_the_scene_with_a_diff", a_program_that_does_something_else_fails_the_scene_with_a_diff, None),
        ("what_is_wrong_with_strace_is_named", what_is_wrong_with_strace_is_named, None),
        ("what_cannot_be_traced_is_named", what_cannot_be_traced_is_named, no_strace),
        ("sock_makes_the_calls_asked_for_and_no_others", sock_makes_the_calls_asked_for_and_no_others, no_strace),
        ("sock_gives_up_a_call_that_blocks", sock_gives_up_a_call_that_blocks, None),
        ("each_call_has_its_line", each_call_has_its_line, no_lines),
        ("what_hides_the_lines_is_named", what_hides_the_lines_is_named, no_lines),
        ("a_near_name_is_suggested_and_completed", a_near_name_is_suggested_and_completed, None),
        ("a_port_is_shown_beside_its_original", a_port_is_shown_beside_its_original, None),
        ("sockets_are_listed_by_number_and_by_name", sockets_are_listed_by_number_and_by_name, None),
        ("a_process_that_is_not_there_or_not_ours_is_named", a_process_that_is_not_there_or_not_ours_is_named, None),
        ("ctrl_c_works_where_a_shell_ignores_it", ctrl_c_works_where_a_shell_ignores_it, None),
        ("inherited_descriptors_are_closed", inherited_descriptors_are_closed, None),
        ("nobody_has_to_read_to_the_end", nobody_has_to_read_to_the_end, None),
        ("a_signal_leaves_nothing_behind", || a_signal_leaves_nothing_behind("udpclient-usage", "udpclient", "udpclient"), None),
        ("a_signal_leaves_no_strace_behind", || a_signal_leaves_nothing_behind("socketpair-fails", "unix10", "strace"), no_strace),
        ("a_signal_ends_a_pause", a_signal_ends_a_pause, None),
        ("a_signal_that_is_ignored_stays_so", a_signal_that_is_ignored_stays_so, None),
        ("what_a_killed_lab_leaves_the_next_one_removes", what_a_killed_lab_leaves_the_next_one_removes, no_namespaces),
    ];
    let trial = |(name, test, lacking): Test| {
        support::trial(format!("cli/{name}"), lacking, move || {
            test();
            Ok(())
        })
    };
    tests.map(trial).into()
}

fn lab(args: &[&str]) -> Output {
    support::output(support::command(env!("CARGO_BIN_EXE_lab")).args(args)).expect("lab can be run")
}

/// What lab prints; it must succeed.
fn printed(args: &[&str]) -> String {
    let output = lab(args);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What lab said on stderr, without its line on where it plays.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.split_inclusive('\n').filter(|line| !line.starts_with("lab: no namespaces here (")).collect()
}

/// Its one line of complaint.
pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = said(&output.stderr);
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// With these arguments lab complains, and says this.
fn complains(args: &[&str], why: &str) {
    assert_eq!(complaint(&lab(args)), format!("lab: {why}\n"));
}

/// A folder that holds the files `as_names`, each a copy of this program.
fn folder_with(program: &str, profile: Profile, as_names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = &programs::build(&[program], profile).unwrap()[program];
    for name in as_names {
        fs::copy(path, folder.path().join(name)).unwrap();
    }
    folder
}

fn list_names_every_program() {
    let text = printed(&["list"]);
    for program in PROGRAMS {
        assert!(text.contains(&format!("  {} ", program.name)), "{} is missing", program.name);
    }
    assert!(!text.contains('\x1b'), "colour in a pipe");
}

fn a_question_is_answered_in_both_languages() {
    let ask = |args: &[&str]| printed(&[&["ask"], args].concat());
    for (language, question, answer) in
        [("en", "May one connect a UDP socket several times?", "The last peer counts"), ("zh", "可以对一个 UDP 套接字进行多次 connect 操作吗？", "以最后一次的对端为准")]
    {
        let text = ask(&["q14-1", "--lang", language]);
        let places = [question, "client | connect 127.0.0.1:9501", answer].map(|part| text.find(part).unwrap_or_else(|| panic!("no '{part}' in {text}")));
        assert!(places.is_sorted(), "{text}");
    }
    let several = ask(&["--lang", "en", "多次", "CONNECT"]);
    assert!(several.contains("Q14-1 ") && several.contains("Q14-r68 ") && !several.contains("Q14-2 "), "{several}");
    assert!(ask(&["--lang", "en"]).contains("  Q6-1 "));
    assert!(ask(&["--all", "--lang", "en"]).starts_with("78 questions: "));
    complains(&["ask", "no", "such", "question"], "no question has the id or the words 'no such question'; 'cargo lab ask' lists the questions");
}

fn a_missing_program_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    complains(&["replay", "two-clients", "--programs", path], &format!("no executable called udpclient, udpserver under {path}"));
    complains(&["replay", "two-clients", "--programs", "/no/such/folder"], "cannot read the folder /no/such/folder: No such file or directory (os error 2)");
}

fn a_program_that_does_something_else_fails_the_scene_with_a_diff() {
    let folder = folder_with("udpserver", Profile::Dev, &["udpclient"]);
    let output = lab(&["replay", "udpclient-usage", "--limit", "1", "--programs", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output.stderr);
    assert!(text.starts_with("lab: scene udpclient-usage differs at udp-basic/"), "{text}");
    assert!(text.contains("client did not write this line: time-out after 1 s; client is blocked in recvfrom"), "{text}");
    assert!(text.contains("\n-client  > usage: udpclient <IPaddress>\n"), "{text}");
}

/// A folder with a strace that is this shell script.
fn strace_in_folder(script: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("strace");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// What lab says with a PATH on which strace is this script, or is not.
fn with_strace(script: Option<&str>, args: &[&str]) -> String {
    let folder = script.map_or_else(|| TempDir::new().unwrap(), strace_in_folder);
    let output = support::command(env!("CARGO_BIN_EXE_lab")).args(args).env("PATH", folder.path()).output().unwrap();
    complaint(&output)
}

fn what_is_wrong_with_strace_is_named() {
    let strace_with = |script| with_strace(script, &["strace", "two-clients"]);
    let missing = "lab: strace is not installed; on Debian and Ubuntu: apt-get install strace\n";
    assert_eq!(strace_with(None), missing);
    // Nothing is built or played before that is said.
    assert_eq!(with_strace(None, &["replay", "one-client", "socketpair-fails"]), missing);
    let old = "echo 'strace -- version 4.26-2+b1'";
    assert_eq!(strace_with(Some(old)), "lab: this strace is version 4.26; 5.11 or later is needed\n");
    let other = "echo 'another tool'";
    assert_eq!(strace_with(Some(other)), "lab: this strace does not say its version; 5.11 or later is needed\n");
    let forbidden = "[ \"$1\" = -V ] && echo 'strace -- version 6.1' && exit\necho 'strace: PTRACE_TRACEME: Operation not permitted' >&2\nexit 1";
    assert_eq!(strace_with(Some(forbidden)), "lab: strace may not trace here (strace: PTRACE_TRACEME: Operation not permitted); a container needs the capability SYS_PTRACE\n");
}

fn what_cannot_be_traced_is_named() {
    complains(&["strace", "no-such-thing"], "no scene or program is called 'no-such-thing'; 'cargo lab list' names them");
    complains(&["check", "one-client", "no-server", "--stdout", "pipe"], "scene no-server has no golden of a pipe; --originals DIR compares with the C programs instead");
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let text = complaint(&lab(&["check", "two-clients", "--originals", path]));
    assert!(text.starts_with("lab: no executable called udpclient, udpserver under "), "{text}");
}

fn sock_makes_the_calls_asked_for_and_no_others() {
    let folder = TempDir::new().unwrap();
    let commands = "socket dgram; bind a; getsockname; socket dgram; connect a; send x; 3 recv; 4 close";
    let options = ["-qqq", "-o", "log", "-e", "trace=%network,close,poll,read,write"];
    let sock = [env!("CARGO_BIN_EXE_lab"), "sock", "-c", commands];
    let output = support::output(support::command("strace").args(options).args(sock).current_dir(&folder)).unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let lines = log.lines().skip_while(|line| !line.starts_with("socket("));
    let calls = lines.filter_map(|line| line.split('(').next()).filter(|call| *call != "write");
    assert_eq!(calls.collect::<Vec<_>>(), ["socket", "bind", "getsockname", "socket", "connect", "sendto", "recvfrom", "close"], "{log}");
}

fn sock_gives_up_a_call_that_blocks() {
    // The queue of a local socket is full, and nobody connects or sends.
    let fill = "socketpair dgram; setsockopt SO_SNDBUF 1; send {x*4000}; send {x*4000}; send {x*4000}; send x";
    thread::scope(|scope| {
        for (commands, name) in [("socket udp; recv", "recv"), ("socket stream; bind s; listen; accept", "accept"), (fill, "send"), ("socket dgram; poll -1", "poll")] {
            scope.spawn(move || {
                let (start, folder) = (Instant::now(), TempDir::new().unwrap());
                let output = support::output(support::command(env!("CARGO_BIN_EXE_lab")).args(["sock", "--limit", "1", "-c", commands]).current_dir(&folder)).unwrap();
                assert_eq!(complaint(&output), format!("lab: {name}: time-out after 1 s\n"));
                assert!(start.elapsed() > Duration::from_secs(1));
            });
        }
    });
}

/// What `lab strace udpclient-usage` prints with the programs of this build, and this PATH.
fn usage_traced(profile: Profile, path: &str) -> String {
    let programs = folder_with("udpclient", profile, &["udpclient"]);
    let mut command = support::command(env!("CARGO_BIN_EXE_lab"));
    // With the /tmp of the machine, for a strace may be there.
    command.args(["strace", "udpclient-usage", "--no-namespaces", "--programs", programs.path().to_str().unwrap()]).env("PATH", path).env("LAB_ORIGINALS", "/no/such/folder");
    if sandbox::refusal().is_none() {
        isolation::apart(&mut command, || Ok(()));
    }
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

fn each_call_has_its_line() {
    let text = usage_traced(Profile::Dev, &std::env::var("PATH").unwrap());
    assert!(text.contains("\n 12  write(2, \"usage: udpclient <IPaddress>\", 28) = 28  in common/src/lib.rs:"), "{text}");
    assert!(text.contains("udp-basic/udpclient/src/main.rs\n") && text.ends_with("\n     +++ exited with 1 +++\n2 calls\n"), "{text}");
}

fn what_hides_the_lines_is_named() {
    let path = std::env::var("PATH").unwrap();
    let text = usage_traced(Profile::Release, &path);
    assert!(text.ends_with("2 calls; no lines: this build has no line table; --profile dev has one\n"), "{text}");
    let strace = support::find("strace").unwrap();
    let folder = strace_in_folder(&format!("[ \"$1\" = -V ] && echo 'strace -- version 6.1' && exit\nexec {} \"$@\"", strace.display()));
    let text = usage_traced(Profile::Dev, &format!("{}:{path}", folder.path().display()));
    assert!(text.ends_with("2 calls; no lines: this strace does not show stacks (-k)\n"), "{text}");
}

fn a_near_name_is_suggested_and_completed() {
    complains(&["replay", "two-client"], "no scene or group is called 'two-client'; did you mean 'two-clients'?");
    complains(&["raed", "udpclient"], "no command is called 'raed'; did you mean 'read'?");
    for shell in ["bash", "zsh", "fish"] {
        let text = printed(&["completions", shell]);
        assert!(["replay", " two-clients ", " udpclient ", " --originals "].iter().all(|word| text.contains(word)), "{text}");
    }
    let script = "COMP_WORDS=(cargo lab strace two-c); COMP_CWORD=3; eval \"$1\"; _lab_of_cargo; echo ${COMPREPLY[*]}";
    let text = printed(&["completions", "bash"]);
    if let Ok(output) = Command::new("bash").args(["-c", script, "bash", &text]).output() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "two-clients\n", "{output:?}");
    }
}

fn a_port_is_shown_beside_its_original() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("chap-6")).unwrap();
    fs::write(folder.path().join("chap-6/udpclient.c"), "first\n\tsecond\n").unwrap();
    let text = printed(&["read", "udpclient", "--originals", folder.path().to_str().unwrap()]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("  2     second") && lines[1].ends_with("| #![no_std]"), "{}", lines[1]);
    assert!(lines[15].contains("socket(AF_INET, SOCK_DGRAM, 0)") && lines[15].starts_with(" 16 "), "{}", lines[15]);
    complains(&["read", "nothing"], "no program is called 'nothing'; 'cargo lab list' names them");
    let text = complaint(&lab(&["read", "udpserver", "--originals", folder.path().to_str().unwrap()]));
    assert!(text.starts_with("lab: no file udpserver.c under "), "{text}");
}

fn sockets_are_listed_by_number_and_by_name() {
    let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
    let text = printed(&["sockets", &process::id().to_string()]);
    let row = text.lines().find(|line| line.contains(&ours.local_addr().unwrap().to_string())).unwrap_or_else(|| panic!("{text}"));
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[2], cells[4], cells[5], cells[6], cells[7]), ("udp", "-", "CLOSE", "0", "0"));

    // A name longer than the 15 characters that the kernel keeps.
    let name = "a-program-that-sleeps";
    let mut sleeper = Command::new("sleep").arg0(format!("/bin/{name}")).arg("60").spawn().unwrap();
    let output = lab(&["sockets", name]);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, format!("{name}  process {}\nhas no socket\n", sleeper.id()));
}

fn a_process_that_is_not_there_or_not_ours_is_named() {
    complains(&["sockets", "999999999"], "there is no process 999999999");
    complains(&["sockets"], "the sockets of which program? 'cargo lab sockets PID|PROGRAM' takes one");
    complains(&["sockets", "no-such-program"], "no program called no-such-program is running; start it first, or give a process number");

    let mut other = support::command(env!("CARGO_BIN_EXE_lab"));
    other.args(["sockets", "1"]);
    if nix::unistd::getuid().is_root() {
        // Nobody.
        other.uid(65534);
    }
    // It may not be allowed to run lab from here.
    let Ok(output) = other.output() else { return };
    assert_eq!(complaint(&output), "lab: only its user and root may see the descriptors of process 1\n");
}

fn ctrl_c_works_where_a_shell_ignores_it() {
    let mut command = support::command(env!("CARGO_BIN_EXE_lab"));
    command.args(["replay", "datagram-pair", "--limit", "3"]);
    let output = with_signals(&mut command, &[Signal::SIGINT], SigHandler::SigIgn).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The scene shows that its second socket is descriptor 4.
fn inherited_descriptors_are_closed() {
    let script = "exec 4</dev/null; exec \"$0\" replay connect-twice --pause 0";
    let output = support::output(support::command("sh").args(["-c", script, env!("CARGO_BIN_EXE_lab")])).unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn nobody_has_to_read_to_the_end() {
    let mut lab = Running(support::command(env!("CARGO_BIN_EXE_lab")).arg("list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    drop(lab.0.stdout.take());
    let (end, text) = ended(&mut lab);
    assert_eq!((end.code(), text.as_str()), (Some(0), ""));
}

/// The signals that end lab.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The command with this action for these signals.
fn with_signals<'a>(command: &'a mut Command, signals: &'static [Signal], action: SigHandler) -> &'a mut Command {
    // SAFETY: the closure makes system calls alone.
    unsafe {
        command.pre_exec(move || {
            for number in signals {
                signal(*number, action)?;
            }
            Ok(())
        })
    }
}

/// `lab replay` of a scene, with an option and its value; its folders are in `folders`.
fn replay(programs: &Path, scene: &str, folders: &Path, option: [&str; 2]) -> Command {
    let mut command = support::command(env!("CARGO_BIN_EXE_lab"));
    command.args(["replay", scene]).args(option).arg("--programs").arg(programs).env("TMPDIR", folders);
    // A shell ignores SIGINT for what it starts in the background, as these tests may be.
    with_signals(&mut command, &SIGNALS, SigHandler::SigDfl).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The same, with programs of which one waits for a message and `lab` for a line.
fn waiting_lab(programs: &Path, scene: &str, folders: &Path) -> Running {
    Running(replay(programs, scene, folders, ["--limit", "60"]).spawn().unwrap())
}

/// How it has ended, and what it said.
fn ended(lab: &mut Running) -> (ExitStatus, String) {
    let mut text = Vec::new();
    lab.0.stderr.take().unwrap().read_to_end(&mut text).unwrap();
    (lab.0.wait().unwrap(), said(&text))
}

/// The processes that work in a folder below this one, by name.
fn at_work_in(folder: &Path) -> Vec<String> {
    let is_there = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    proc::processes().into_iter().filter(is_there).filter_map(|pid| Some(proc::stat(pid)?.0)).collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let was_so = signals::wait(Duration::from_secs(30), Duration::from_millis(5), || Ok(is_so().then_some(()))).unwrap();
    assert!(was_so.is_some(), "time-out: {what}");
}

fn lab_folders(folders: &Path) -> Vec<PathBuf> {
    fs::read_dir(folders).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn a_signal_leaves_nothing_behind(scene: &str, program: &str, starts: &str) {
    let programs = folder_with("udpserver", Profile::Dev, &[program]);
    for signal in SIGNALS {
        let folders = TempDir::new().unwrap();
        let mut lab = waiting_lab(programs.path(), scene, folders.path());
        let at_work = || at_work_in(folders.path());
        wait_until("the programs", || ["lab", starts, program].iter().all(|name| at_work().iter().any(|at_work| at_work == name)));
        kill(Pid::from_raw(lab.0.id() as i32), signal).unwrap();
        let (end, text) = ended(&mut lab);
        assert_eq!((end.signal(), text.as_str()), (Some(signal as i32), ""), "{signal}: {end}");
        assert_eq!(lab_folders(folders.path()), Vec::<PathBuf>::new(), "{signal}");
        wait_until("the programs' end", || at_work().is_empty());
    }
}

fn a_signal_ends_a_pause() {
    let programs = folder_with("udpclient", Profile::Dev, &["udpclient"]);
    let folders = TempDir::new().unwrap();
    let mut lab = Running(replay(programs.path(), "udpclient-usage", folders.path(), ["--pause", "60000"]).spawn().unwrap());
    let pid = lab.0.id() as i32;
    // poll for no descriptor, for 60,000 milliseconds.
    let pauses = || fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|text| text.split(' ').skip(2).take(2).eq(["0x0", "0xea60"]));
    wait_until("the pause", pauses);
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    wait_until("its end", || lab.0.try_wait().unwrap().is_some_and(|end| end.signal() == Some(Signal::SIGINT as i32)));
    assert_eq!(lab_folders(folders.path()), Vec::<PathBuf>::new());
}

fn a_signal_that_is_ignored_stays_so() {
    let programs = folder_with("udpserver", Profile::Dev, &["udpclient"]);
    let folders = TempDir::new().unwrap();
    let mut command = replay(programs.path(), "udpclient-usage", folders.path(), ["--limit", "2"]);
    let mut lab = Running(with_signals(&mut command, &[Signal::SIGHUP], SigHandler::SigIgn).spawn().unwrap());
    wait_until("the program", || at_work_in(folders.path()).iter().any(|name| name == "udpclient"));
    kill(Pid::from_raw(lab.0.id() as i32), Signal::SIGHUP).unwrap();
    let (end, text) = ended(&mut lab);
    assert_eq!(end.code(), Some(1), "{text}");
    assert!(text.contains("time-out after 2 s"), "{text}");
}

fn what_a_killed_lab_leaves_the_next_one_removes() {
    let programs = folder_with("udpserver", Profile::Dev, &["udpclient"]);
    let folders = TempDir::new().unwrap();
    let mut killed = waiting_lab(programs.path(), "udpclient-usage", folders.path());
    let is_at_work = |times: usize| at_work_in(folders.path()).iter().filter(|name| *name == "udpclient").count() == times;
    wait_until("the program", || is_at_work(1));
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    // Its terminal is gone, and so is the program.
    wait_until("the program's end", || is_at_work(0));
    let left = lab_folders(folders.path());
    assert_eq!(left.len(), 1, "{left:?}");

    let mut lives = waiting_lab(programs.path(), "udpclient-usage", folders.path());
    wait_until("the program", || is_at_work(1));
    let kept = lab_folders(folders.path());
    assert!(kept.len() == 1 && kept != left, "{kept:?}");
    let mut third = waiting_lab(programs.path(), "udpclient-usage", folders.path());
    wait_until("the programs", || is_at_work(2));
    assert!(lab_folders(folders.path()).contains(&kept[0]));
    for lab in [&mut lives, &mut third] {
        kill(Pid::from_raw(lab.0.id() as i32), Signal::SIGTERM).unwrap();
        lab.0.wait().unwrap();
    }
}
