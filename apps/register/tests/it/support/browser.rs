//! Chromium, driven through WebDriver, with a profile that is removed with the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

use super::process::{Guarded, blocking};
use super::{PATIENCE, TempDir};

pub(crate) struct Browser {
    client: Client,
    /// Prefix of the screenshots.
    name: String,
    _driver: Guarded,
}

impl Browser {
    /// Starts a browser; the name is the prefix of its screenshots.
    pub(crate) async fn open(name: &str, javascript: bool) -> Self {
        let (driver, port, profile) = blocking(start_driver).await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&profile, javascript))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", driver.output()));
        Self { client, name: name.to_owned(), _driver: driver }
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(crate) async fn url(&self) -> Url {
        self.client.current_url().await.unwrap()
    }

    pub(crate) async fn title(&self) -> String {
        self.client.title().await.unwrap()
    }

    /// Visible text of the page.
    pub(crate) async fn text(&self) -> String {
        self.find("body").await.text().await.unwrap()
    }

    /// Waits for the element.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("no {css}: {error}\n{}", self.client.source().await.unwrap_or_default()),
        }
    }

    pub(crate) async fn find_all(&self, css: &str) -> Vec<Element> {
        self.client.find_all(Locator::Css(css)).await.unwrap()
    }

    /// Element with the focus.
    pub(crate) async fn active(&self) -> Element {
        self.client.active_element().await.unwrap()
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Enters a frame: later searches happen in it.
    pub(crate) async fn enter(&self, css: &str) {
        self.find(css).await.enter_frame().await.unwrap();
    }

    /// Leaves the frame.
    pub(crate) async fn leave(&self) {
        self.client.clone().enter_parent_frame().await.unwrap();
    }

    /// Runs a script. Needs JavaScript.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until the page contains this text.
    pub(crate) async fn sees(&self, words: &str) {
        let mut text = String::new();
        let begun = std::time::Instant::now();
        while begun.elapsed() < PATIENCE {
            // During a navigation there may be no page.
            if let Ok(body) = self.client.find(Locator::Css("body")).await {
                text = body.text().await.unwrap_or_default();
            }
            if text.to_lowercase().contains(&words.to_lowercase()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{words:?} is not in {text:?}");
    }

    /// Saves a screenshot as `target/tmp/screenshots/NAME-STEP.png`.
    pub(crate) async fn screenshot(&self, step: &str) {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&dir).unwrap();
        let picture = self.client.screenshot().await.unwrap();
        fs::write(dir.join(format!("{}-{step}.png", self.name)), picture).unwrap();
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.unwrap();
    }

    /// Console messages since the last call: errors of scripts, violations of the CSP,
    /// resources that are missing.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.client.issue_cmd(ConsoleLog).await.unwrap();
        let entries = entries.as_array().unwrap();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Starts chromedriver. Returns it, its port and a directory for a profile.
fn start_driver() -> (Guarded, u16, PathBuf) {
    // Chromedriver checks the port in only one of IPv4 and IPv6; another process may hold it in the
    // other.
    let mut attempts = (0..5).map(|_| attempt_driver());
    match attempts.find_map(Result::ok) {
        Some(started) => started,
        None => panic!(
            "chromedriver (run ./test once, it installs what tests need): {}",
            attempt_driver().err().unwrap_or_default()
        ),
    }
}

fn attempt_driver() -> Result<(Guarded, u16, PathBuf), String> {
    let dir = TempDir::new("browser");
    let profile = dir.join("profile");
    // Files in the user and temporary directories are removed with it.
    let [home, temporary] = ["HOME", "TMPDIR"].map(|name| format!("{name}={}", dir.path().display()));
    let mut driver = Guarded::start(dir, ["env", &home, &temporary, "chromedriver", "--port=0"]);
    let port = driver.until(|driver| {
        let output = driver.output();
        let (_, rest) = output.split_once("started successfully on port ")?;
        rest.split_once('.')?.0.parse().ok()
    })?;
    Ok((driver, port, profile))
}

fn capabilities(profile: &Path, javascript: bool) -> Capabilities {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        "--window-size=1000,900".to_owned(),
        // Containers have a small /dev/shm.
        "--disable-dev-shm-usage".to_owned(),
        // No requests except to the page's own server.
        "--disable-background-networking".to_owned(),
        "--no-first-run".to_owned(),
    ];
    if am_root() {
        // The sandbox does not work for root.
        arguments.push("--no-sandbox".to_owned());
    }
    let scripts = if javascript { 1 } else { 2 };
    let capabilities = json!({
        "goog:chromeOptions": {
            "args": arguments,
            "prefs": { "profile.managed_default_content_settings.javascript": scripts },
        },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    serde_json::from_value(capabilities).unwrap()
}

fn am_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Log entries since the last call, by chromedriver's own command.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}
