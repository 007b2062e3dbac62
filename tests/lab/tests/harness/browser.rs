//! A browser for the tests: Chromium without a window, driven by ChromeDriver (WebDriver, over HTTP).

use std::cell::LazyCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lab::signals;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use tempfile::TempDir;

use crate::support::{self, Running};

/// How long the browser may take for a command, or a page to be as it should.
const LIMIT: Duration = Duration::from_secs(20);

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // It asks no name server: a scene beside it could need the port that it asks from.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    // It ends with its driver.
    "--remote-debugging-pipe",
];

/// What is missing for it here, if something is.
pub fn missing() -> Option<String> {
    let why = ["chromium", "chromedriver"].into_iter().find_map(support::missing)?;
    Some(format!("{why}; on Debian: apt-get install chromium chromium-driver"))
}

/// One browser for all tests, which take turns: starting it takes longer than a test. The first one starts it.
pub type Shared = Mutex<LazyCell<Browser>>;

pub struct Browser {
    driver: Running,
    /// Of the session: `http://127.0.0.1:1234/session/abc`.
    url: String,
    _profile: TempDir,
    /// Ends the thread that has started it.
    _thread: Sender<()>,
}

impl Browser {
    pub fn shared() -> Shared {
        Mutex::new(LazyCell::new(Browser::start))
    }

    /// The browser, with a wide window, light colours and nothing on the console, whatever the test before did.
    pub fn take(shared: &Shared) -> MutexGuard<'_, LazyCell<Browser>> {
        let browser = shared.lock().unwrap_or_else(PoisonError::into_inner);
        browser.resize(1400);
        browser.prefer("light");
        browser.console();
        browser
    }

    fn start() -> Browser {
        let profile = TempDir::new().unwrap();
        let mut command = support::command("chromedriver");
        // A group of its own: what it has started ends with it.
        command.arg("--port=0").env("TMPDIR", profile.path()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        // It is killed when the thread that started it ends. A test's thread may end before the last test here: it has
        // a thread of its own.
        let (thread, until_dropped) = mpsc::channel();
        let (to_us, started) = mpsc::channel();
        thread::spawn(move || {
            to_us.send(command.spawn().map(Running)).unwrap();
            let _ = until_dropped.recv();
        });
        let mut driver = started.recv().unwrap().unwrap();
        let lines = BufReader::new(driver.0.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| line.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok());
        let mut browser = Browser { driver, url: format!("http://127.0.0.1:{}/session", port.expect("chromedriver says its port")), _profile: profile, _thread: thread };
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).chain([folder]).collect();
        let wanted = json!({ "unhandledPromptBehavior": "dismiss", "goog:chromeOptions": { "args": flags }, "goog:loggingPrefs": { "browser": "ALL" } });
        let session = browser.post("", json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.url += &format!("/{}", session["sessionId"].as_str().expect("a session has an id"));
        browser
    }

    /// Sends a command; its value.
    pub fn post(&self, command: &str, body: Value) -> Value {
        let request = minreq::post(format!("{}{command}", self.url)).with_header("Content-Type", "application/json").with_body(body.to_string());
        let answer = request.with_timeout(LIMIT.as_secs()).send().unwrap_or_else(|error| panic!("{command}: {error}"));
        let mut value: Value = serde_json::from_slice(answer.as_bytes()).unwrap();
        assert_eq!(answer.status_code, 200, "{command}: {value}");
        value["value"].take()
    }

    pub fn open(&self, page: &Path, hash: &str) {
        self.post("/url", json!({ "url": format!("file://{}{hash}", page.display()) }));
    }

    /// The value of a JavaScript expression.
    pub fn value(&self, expression: &str) -> Value {
        self.post("/execute/sync", json!({ "script": format!("return {expression}"), "args": [] }))
    }

    pub fn text(&self, expression: &str) -> String {
        match self.value(expression) {
            Value::String(text) => text,
            other => panic!("{expression} is {other}, and no text"),
        }
    }

    /// Presses these keys, each and then the next; WebDriver names those without a letter by private characters.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys.chars().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))).collect();
        self.post("/actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Waits until the expression is true.
    pub fn wait(&self, expression: &str) {
        let is_true = signals::wait(LIMIT, Duration::from_millis(20), || Ok((self.value(expression) == json!(true)).then_some(()))).unwrap();
        assert!(is_true.is_some(), "time-out after {} s: {expression}", LIMIT.as_secs());
    }

    pub fn resize(&self, width: u32) {
        self.post("/window/rect", json!({ "width": width, "height": 900 }));
    }

    pub fn prefer(&self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.post("/goog/cdp/execute", json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": feature } }));
    }

    /// What is on the console; it is empty then.
    fn console(&self) -> Value {
        self.post("/se/log", json!({ "type": "browser" }))
    }

    /// Nothing is on the console, and nothing was asked of a network.
    pub fn is_content(&self) {
        assert_eq!(self.console(), json!([]), "on the console");
        assert_eq!(self.value("performance.getEntriesByType('resource').filter(one => !one.name.startsWith('data:')).length"), json!(0), "requests");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends the browser in order; errors mean that it is gone.
        let _ = minreq::delete(&self.url).with_timeout(5).send();
        let _ = killpg(Pid::from_raw(self.driver.0.id() as i32), Signal::SIGKILL);
    }
}
