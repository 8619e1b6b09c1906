//! Headless Chromium, started once and driven over WebDriver: by a session of ours, for it is JSON
//! over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use trunkline::{Session, Timeouts};

use super::cases::{Case, Given};
use super::process::Guarded;
use super::temp_dir::TempDir;

pub(crate) struct Chromium {
    driver: Guarded,
    session: Session,
    /// Of the browser's window.
    base: String,
}

/// The key by its name in WebDriver.
const ENTER: &str = "\u{e007}";
/// The name of an element in WebDriver's responses.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Chromium {
    pub(crate) async fn start() -> Self {
        let mut driver = Guarded::start(TempDir::new(), &["chromedriver", "--port=0"]);
        let port = driver.port_behind("started successfully on port ").await;
        // A browser takes its time to start where others are at work.
        let session = Session::builder().timeouts(Timeouts::new().read(Duration::from_secs(200))).build().unwrap();
        let options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": { "args": options } } } });
        let mut chromium = Self { driver, session, base: format!("http://127.0.0.1:{port}") };
        let started = chromium.tell("/session", &wanted).await;
        chromium.base = format!("{}/session/{}", chromium.base, started["sessionId"].as_str().unwrap());
        // As we do not: what is in <noscript> counts.
        let off = json!({ "cmd": "Emulation.setScriptExecutionDisabled", "params": { "value": true } });
        chromium.tell("/goog/cdp/execute", &off).await;
        chromium
    }

    pub(crate) async fn version(&self) -> String {
        let got = self.tell("/goog/cdp/execute", &json!({ "cmd": "Browser.getVersion", "params": {} })).await;
        got["product"].as_str().unwrap().to_owned()
    }

    /// Opens the page, fills in its form and sends it. `folder` has the files.
    pub(crate) async fn send(&self, url: &str, case: &Case, folder: &std::path::Path) {
        self.tell("/url", &json!({ "url": url })).await;
        for (name, files) in &case.files {
            let paths: Vec<_> = files.iter().map(|file| folder.join(file).to_str().unwrap().to_owned()).collect();
            let input = self.find(&format!("input[name='{name}']")).await;
            self.tell(&format!("/element/{input}/value"), &json!({ "text": paths.join("\n") })).await;
        }
        for (name, given) in &case.fill {
            let value = match given {
                Given::Tick(on) => json!(on),
                Given::Text(text) => json!([text]),
                Given::Texts(texts) => json!(texts),
            };
            self.run(FILL, json!([case.form, name, value])).await;
        }
        match (case.press.as_str(), case.at) {
            ("enter", _) => {
                let input = self.find("input:not([type])").await;
                self.tell(&format!("/element/{input}/value"), &json!({ "text": ENTER })).await;
            }
            (button, Some(_)) => {
                let image = self.find(&format!("#{button}")).await;
                self.tell(&format!("/element/{image}/click"), &json!({})).await;
            }
            (button, None) => drop(self.run(SUBMIT, json!([case.form, button])).await),
        }
    }

    pub(crate) async fn quit(self) {
        self.session.delete(&self.base).await.unwrap();
        self.session.close().await;
        drop(self.driver);
    }

    async fn find(&self, selector: &str) -> String {
        let found = self.tell("/element", &json!({ "using": "css selector", "value": selector })).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn run(&self, script: &str, arguments: Value) -> Value {
        self.tell("/execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    async fn tell(&self, path: &str, what: &Value) -> Value {
        let answer = self.session.post(format!("{}{path}", self.base)).json(what).await.unwrap();
        let status = answer.status();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {answer:#}");
        answer["value"].take()
    }
}

/// Types as a user at the keyboard does.
const FILL: &str = r"
    const [form, name, value] = arguments;
    const fields = [...document.querySelector(form).elements].filter(field => field.name === name && field.type !== 'hidden');
    if (typeof value === 'boolean') {
        fields[0].checked = value;
    } else if (['checkbox', 'radio'].includes(fields[0].type)) {
        for (const field of fields) field.checked = value.includes(field.value);
    } else if (fields[0].type === 'select-multiple') {
        for (const option of fields[0].options) option.selected = value.includes(option.value);
    } else {
        value.forEach((text, at) => { fields[at].value = text; });
    }
";

/// As a button does, or, without one, as a script does. What it holds is sent as it is.
const SUBMIT: &str = r"
    const form = document.querySelector(arguments[0]);
    form.noValidate = true;
    form.requestSubmit(arguments[1] === 'none' ? null : document.getElementById(arguments[1]));
";
