//! A browser without a window, led by WebDriver: Debian's chromium and its chromedriver. It reaches
//! this machine and nothing else.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::part::{Part, Seal};
use crate::place::Place;
use crate::port::Port;
use crate::process::{Plan, Process};
use crate::programs::listens;
use crate::tools;

const START_LIMIT: Duration = Duration::from_secs(60);

/// How long the browser may take for one step.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// How often a page that somebody waits for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What WebDriver calls a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    port: Port,
    session: String,
}

impl Browser {
    /// Whether a test of `what` can have a browser. Where it cannot, says so and why, and past the
    /// test harness, which keeps to itself what a test that passes prints.
    pub fn or_skip(what: &str) -> bool {
        let installed = ["chromedriver", "chromium"]
            .into_iter()
            .try_for_each(|name| tools::installed(name).map(drop));
        if let Err(reason) = &installed {
            // Nothing is left to do where even this cannot be written.
            let _ = writeln!(io::stderr(), "skipped: {what}: {reason}");
        }
        installed.is_ok()
    }

    /// Starts a browser with an empty window.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub fn start(place: &Place) -> Result<Self> {
        let home = place.home("browser")?;
        let port = home.port("port")?;
        let profile = home.folder.join("profile");
        let plan = Plan {
            program: tools::installed("chromedriver")?,
            arguments: vec![format!("--port={}", port.number()).into()],
            environment: vec![("HOME", home.folder.clone().into())],
            home,
            ready_within: START_LIMIT,
            probe: listens(&port),
        };
        let mut browser = Self {
            process: Process::start(place, plan)?,
            port,
            session: String::new(),
        };
        let arguments = [
            "--headless=new".to_owned(),
            format!("--user-data-dir={}", profile.display()),
            // It ends together with its driver.
            "--remote-debugging-pipe".to_owned(),
            // Tests run as root in a container; what is opened here is our own.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let opened = browser.ask("POST", "/session", &wanted)?;
        let session = text(&opened, "sessionId").context("no session")?;
        browser.session = format!("/session/{session}");
        Ok(browser)
    }

    /// Opens a page.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// Runs a script in the page, and returns what it returns.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that somebody sees of the first element of a CSS selector, or of an XPath that
    /// begins with a slash.
    ///
    /// # Errors
    /// If there is none.
    pub fn text(&self, selector: &str) -> Result<String> {
        let element = self.element(selector)?;
        let text = self.ask(
            "GET",
            &format!("{}{element}/text", self.session),
            &Value::Null,
        )?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until somebody sees this text there.
    ///
    /// # Errors
    /// If nobody does in time; what is on the page instead is in the message.
    pub fn await_text(&self, selector: &str, text: &str, patience: Duration) -> Result<()> {
        let since = Instant::now();
        loop {
            let seen = self.text(selector).unwrap_or_default();
            if seen.contains(text) {
                return Ok(());
            }
            if since.elapsed() > patience {
                let page = self.text("body").unwrap_or_default();
                bail!("{selector} is {seen:?} and not {text:?} on:\n{page}");
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Clicks on it as soon as it can be clicked on. What is covered or not shown cannot be, as with
    /// a mouse.
    ///
    /// # Errors
    /// If it cannot be in time.
    pub fn await_click(&self, selector: &str, patience: Duration) -> Result<()> {
        insist(selector, patience, || self.click(selector))
    }

    /// Types into it as soon as it takes text.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn await_fill(&self, selector: &str, text: &str, patience: Duration) -> Result<()> {
        insist(selector, patience, || self.fill(selector, text))
    }

    /// Presses keys, one after the other, wherever the focus is. `\u{e004}` is Tab, `\u{e007}` Enter,
    /// `\u{e00c}` Escape.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn press(&self, keys: &str) -> Result<()> {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|stroke| json!({ "type": stroke, "value": key.to_string() }))
        });
        let strokes: Vec<Value> = strokes.collect();
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": strokes }]);
        self.post("/actions", &json!({ "actions": actions }))
            .map(drop)
    }

    /// A command of the developer tools, which no page can give.
    ///
    /// # Errors
    /// If the browser refuses.
    pub fn tool(&self, command: &str, parameters: &Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("/goog/cdp/execute", &body)
    }

    /// The whole page as a PNG, or where a dialog stands before it, what is in the window.
    ///
    /// # Errors
    /// If the browser refuses.
    pub fn picture(&self) -> Result<Vec<u8>> {
        let all = self.run("return document.querySelector('dialog[open]') === null")?;
        let whole = json!({ "format": "png", "captureBeyondViewport": all });
        let picture = self.tool("Page.captureScreenshot", &whole)?;
        let picture = text(&picture, "data").context("no picture")?;
        Ok(STANDARD.decode(picture)?)
    }

    /// What the page has complained about in its console since this was last asked, refused scripts
    /// and styles among it.
    ///
    /// # Errors
    /// If the browser does not answer.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let log = self.post("/se/log", &json!({ "type": "browser" }))?;
        let lines = log.as_array().into_iter().flatten();
        let bad = lines.filter(|line| matches!(text(line, "level"), Some("SEVERE" | "WARNING")));
        let messages = bad.filter_map(|line| text(line, "message"));
        Ok(messages.map(str::to_owned).collect())
    }

    fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("{element}/click"), &json!({})).map(drop)
    }

    fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("{element}/value"), &json!({ "text": text }))
            .map(drop)
    }

    fn element(&self, selector: &str) -> Result<String> {
        let using = match selector.starts_with('/') {
            true => "xpath",
            false => "css selector",
        };
        let found = self.post("/element", &json!({ "using": using, "value": selector }))?;
        let id = text(&found, ELEMENT).context("no element")?;
        Ok(format!("/element/{id}"))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let address = self.port.address();
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let mut stream = TcpStream::connect(&address)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let answer = read(&mut stream).with_context(|| format!("chromedriver: {method} {path}"))?;
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let value = answer.get_mut("value").map(Value::take).unwrap_or_default();
        if let Some(error) = text(&value, "error") {
            let message = text(&value, "message").unwrap_or_default();
            bail!("{error}: {}", message.lines().next().unwrap_or_default());
        }
        Ok(value)
    }
}

/// Tries until it works.
fn insist(selector: &str, patience: Duration, act: impl Fn() -> Result<()>) -> Result<()> {
    let since = Instant::now();
    loop {
        match act() {
            Ok(()) => return Ok(()),
            Err(error) if since.elapsed() > patience => {
                return Err(error).with_context(|| selector.to_owned());
            }
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

/// The body of an answer, which is as long as its head says.
fn read(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut part = [0; 65536];
    loop {
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default()).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            let length = length.context("an answer without a length")?;
            let mut body = answer.split_off(end + 4);
            let have = body.len();
            body.resize(length, 0);
            let rest = body.get_mut(have..).ok_or_else(|| anyhow!("too long"))?;
            stream.read_exact(rest)?;
            return Ok(body);
        }
        match stream.read(&mut part)? {
            0 => bail!("an answer without an end"),
            n => answer.extend_from_slice(part.get(..n).unwrap_or_default()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Else the browser would see its driver die, and that may take a moment.
            let _ = self.ask("DELETE", &self.session, &Value::Null);
        }
    }
}

impl Seal for Browser {
    fn process(&self) -> &Process {
        &self.process
    }

    fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Part for Browser {}
