//! The log, as a program reads it.

use serde_json::Value;

use crate::support::{Database, Settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_line_has_its_request_once() {
    let service = Settings::new(&Database::sqlite()).with("--log-format", "json").start().await;
    let id = service.get("/").await.unwrap().header("x-request-id").to_owned();
    let line = until("it is logged", async || {
        let log = service.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["span"]["id"] == *id)
    });
    let line = line.await;
    assert_eq!((&line["message"], &line["span"]["path"]), (&"answered".into(), &"/".into()), "{line}");
    assert_eq!(line.get("spans"), None, "{line}");
}
