//! A browser that a test drives: Chromium's DevTools protocol over two pipes.
//!
//! With `--remote-debugging-pipe` Chromium reads commands from descriptor 3 and writes answers to 4, as JSON that NUL
//! ends. A shell makes these two of its own stdin and stdout. The browser is gone when its value is.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Bound against hangs; nothing here takes a tenth of it.
const HANG: Duration = Duration::from_secs(90);

/// Where a shell finds the browser under one of its names.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Without a sandbox of its own, because CI is root; without a GPU and without /dev/shm, because CI has neither.
const FLAGS: [&str; 12] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
];

/// One tab of a browser of its own.
pub(crate) struct Page {
    child: Child,
    commands: Option<ChildStdin>,
    messages: Receiver<Value>,
    dir: tempfile::TempDir,
    session: Option<String>,
    sent: u64,
    events: Vec<Value>,
    url: String,
}

/// The browser's program, if there is one.
pub(crate) fn chromium() -> Option<&'static str> {
    let found = |name: &&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
    };
    NAMES.into_iter().find(found)
}

impl Page {
    /// Starts a browser and opens an empty tab.
    pub(crate) fn new(program: &str) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let errors = fs::File::create(dir.path().join("stderr")).unwrap();
        let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, program])
            .args(FLAGS)
            .arg(profile)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let (to, messages) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while answers.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                let message = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes));
                bytes.clear();
                if to.send(message.unwrap_or(Value::Null)).is_err() {
                    break;
                }
            }
        });
        let (session, events) = (None, Vec::new());
        let mut page = Self { child, commands, messages, dir, session, sent: 0, events, url: String::new() };
        let target = page.call("Target.createTarget", &json!({"url": "about:blank"}));
        let params = json!({"targetId": target["targetId"], "flatten": true});
        page.session = page.call("Target.attachToTarget", &params)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        page
    }

    /// Sends a command and waits for its answer; what happens meanwhile is kept.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&command).unwrap();
        bytes.push(0);
        let written = self.commands.as_mut().unwrap().write_all(&bytes);
        assert!(written.is_ok(), "{method}: the browser is gone: {}", self.complaint());
        let id = self.sent;
        let mut answer = self.until(method, |message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }

    fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let Ok(message) = self.messages.recv_timeout(HANG) else {
                panic!("{what}: no answer from the browser: {}", self.complaint());
            };
            if wanted(&message) {
                return message;
            }
            self.events.push(message);
        }
    }

    fn complaint(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// Width in CSS pixels, and whether the reader likes it dark. Pointers can hover, nothing moves.
    pub(crate) fn view(&mut self, width: u32, dark: bool) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        self.media("", dark);
    }

    /// The same for a medium: `print`, or nothing for a screen.
    pub(crate) fn media(&mut self, medium: &str, dark: bool) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.call("Emulation.setEmulatedMedia", &json!({"media": medium, "features": features}));
    }

    /// Opens a file, with a fragment such as `#claims` or without, and forgets what was seen of another.
    pub(crate) fn open(&mut self, file: &Path, fragment: &str) {
        // From one fragment to another a browser does not load anew.
        self.navigate("about:blank");
        self.url = format!("file://{}", file.display());
        self.navigate(&format!("{}{fragment}", self.url.clone()));
        assert_eq!(self.eval("location.protocol"), "file:", "{}", self.url);
    }

    fn navigate(&mut self, url: &str) {
        let loaded = |message: &Value| message["method"] == "Page.loadEventFired";
        self.events.clear();
        self.call("Page.navigate", &json!({"url": url}));
        if !self.events.iter().any(loaded) {
            self.until(url, loaded);
        }
    }

    /// The value of an expression or of a promise.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", &params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Asserts that an expression is true.
    #[track_caller]
    pub(crate) fn holds(&mut self, expression: &str) {
        let found = self.eval(expression);
        assert_eq!(found, true, "{expression}");
    }

    /// Middle of the element that a selector finds first, brought into view.
    pub(crate) fn middle(&mut self, selector: &str) -> (f64, f64) {
        let expression = format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; }})()",
            json!(selector)
        );
        let found = self.eval(&expression);
        (found[0].as_f64().unwrap(), found[1].as_f64().unwrap())
    }

    pub(crate) fn hover(&mut self, (x, y): (f64, f64)) {
        self.call("Input.dispatchMouseEvent", &json!({"type": "mouseMoved", "x": x, "y": y}));
    }

    pub(crate) fn click(&mut self, selector: &str) {
        let (x, y) = self.middle(selector);
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &params);
        }
    }

    /// Presses a key that has a name: `Tab`, `Enter`, `ArrowRight`.
    pub(crate) fn key(&mut self, name: &str) {
        let code = match name {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "Space" => 32,
            "ArrowRight" => 39,
            _ => panic!("no code for the key {name}"),
        };
        let text = match name {
            "Enter" => "\r",
            "Space" => " ",
            _ => "",
        };
        let key = if name == "Space" { " " } else { name };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({"type": kind, "key": key, "code": name, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", &params);
        }
    }

    /// Types into what has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Everything that the page asked for beside itself, and everything that the browser complained about.
    pub(crate) fn trouble(&mut self) -> Vec<String> {
        // An answer comes after all events before it.
        self.eval("0");
        let own = self.url.clone();
        let said = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str()?;
                    let page = url.split('#').next() == Some(&own);
                    (!page && !url.starts_with("data:")).then(|| format!("asks for {url}"))
                }
                "Runtime.exceptionThrown" => Some(format!("throws {}", params["exceptionDetails"])),
                "Runtime.consoleAPICalled" => Some(format!("console: {}", params["args"])),
                "Log.entryAdded" => Some(format!("log: {}", params["entry"]["text"])),
                _ => None,
            }
        };
        self.events.iter().filter_map(said).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // A browser whose pipe is closed ends by itself, with all of its processes.
        drop(self.commands.take());
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        // It does not: all that is left is to end the first of its processes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
