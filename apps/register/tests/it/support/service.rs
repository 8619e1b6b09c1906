//! Running copy of the service, killed on drop.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};
use trunkline::{Pool, Session, Timeouts};

use super::{PATIENCE, ServiceFigures, TempDir, TestResponse, until};

pub(crate) struct Service {
    child: Child,
    log: PathBuf,
    /// `http://127.0.0.1:…`, without a slash; empty until it serves.
    site: String,
    ops: String,
    session: Session,
    _dir: Arc<TempDir>,
}

/// Exit of a copy.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

impl Service {
    pub(super) fn new(child: Child, log: PathBuf, dir: Arc<TempDir>) -> Self {
        // The connection limit exceeds every test's need.
        let pool = Pool::builder().limit(2000).build().unwrap();
        let session = Session::builder().pool(pool).timeouts(Timeouts::new().total(PATIENCE)).build().unwrap();
        Self { child, log, site: String::new(), ops: String::new(), session, _dir: dir }
    }

    /// Waits until the log contains the addresses and the service is ready.
    pub(crate) async fn ready(mut self) -> Self {
        let (site, ops) = until("the service says where it is", async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended, {status}, and said:\n{}", self.log());
            }
            addresses(&self.log())
        })
        .await;
        (self.site, self.ops) = (site, ops);
        until("the service is ready", async || (self.get("/readyz").await.ok()?.status == 200).then_some(())).await;
        self
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.site)
    }

    pub(crate) fn ops_url(&self, path: &str) -> String {
        format!("{}{path}", self.ops)
    }

    /// Address `127.0.0.1:…`, for raw connections.
    pub(crate) fn address(&self) -> &str {
        self.site.strip_prefix("http://").unwrap()
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) async fn get(&self, path: &str) -> trunkline::Result<TestResponse> {
        TestResponse::of(self.session.get(self.url(path))).await
    }

    pub(crate) async fn get_ops(&self, path: &str) -> trunkline::Result<TestResponse> {
        TestResponse::of(self.session.get(self.ops_url(path))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> trunkline::Result<TestResponse> {
        TestResponse::of(self.session.post(self.url(path)).json(body)).await
    }

    pub(crate) async fn register(&self, email: &str, password: &str) -> trunkline::Result<TestResponse> {
        self.post("/api/register", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn activate(&self, token: &str) -> trunkline::Result<TestResponse> {
        self.post("/api/activate", &json!({ "token": token })).await
    }

    pub(crate) async fn metrics(&self) -> ServiceFigures {
        let answer = self.get_ops("/metrics").await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        ServiceFigures::new(answer.body)
    }

    /// Output so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Private memory in bytes, now and at its maximum.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
        };
        (bytes("VmRSS:"), bytes("VmHWM:"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Repeats the signal until the process has ended: a signal that follows another of its kind at
    /// once is merged with it.
    pub(crate) async fn insist(mut self, name: &str) -> Finished {
        until("the service ends", async || {
            let ended = self.has_ended();
            if ended.is_none() {
                self.signal(name);
            }
            ended
        })
        .await;
        self.finish().await
    }

    /// Ends the process without notice, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until the process has ended.
    pub(crate) async fn finish(mut self) -> Finished {
        let status = until("the service ends", async || self.has_ended()).await;
        Finished { code: status.code(), log: self.log() }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("---- the service's last words:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Addresses of the service and of its console, from its output.
fn addresses(log: &str) -> Option<(String, String)> {
    let line = log.lines().find(|line| line.contains("/console"))?;
    let mut found = line.split("http://").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c))).unwrap_or(rest.len());
        (format!("http://{}", &rest[..end]), rest[end..].starts_with("/console"))
    });
    let site = found.clone().find(|(_, console)| !console)?.0;
    let ops = found.find(|(_, console)| *console)?.0;
    Some((site, ops))
}

#[test]
fn addresses_are_read_from_what_it_prints() {
    let line = "Open http://127.0.0.1:3000 to register; mail appears at http://127.0.0.1:3000/dev/mail (development mailbox); \
                console: http://127.0.0.1:3001/console";
    let expected = ("http://127.0.0.1:3000".to_owned(), "http://127.0.0.1:3001".to_owned());
    assert_eq!(addresses(line), Some(expected));
    assert_eq!(addresses("nothing"), None);
}
