//! Log as JSON lines.

use std::collections::VecDeque;

use serde_json::Value;

use crate::support::{Database, Raw, Settings, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_line_names_its_request_once() {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_limit_is_logged_once() {
    const LIMIT: usize = 20;
    let service = Settings::new(&Database::sqlite()).with("--connections", LIMIT).start().await;
    // The test's own session holds one connection, from the wait for readiness.
    let mut inside = VecDeque::new();
    for number in 0..3 * LIMIT {
        let mut raw = Raw::connect(service.address()).await.unwrap();
        raw.send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        if number >= LIMIT - 1 {
            // It waits until another connection ends.
            drop(inside.pop_front());
        }
        assert_eq!(raw.answer().await.unwrap().0, 200);
        inside.push_back(raw);
    }
    let listener = format!("listener=\"{}\"", service.address());
    let figure = async |name: &str| service.metrics().await.sum(name, &[&listener]) as usize;
    until("all places are taken", async || (figure("http_server_open_connections").await == LIMIT).then_some(())).await;
    assert_eq!(figure("http_server_connections_limit").await, LIMIT);
    assert_eq!(figure("http_server_connections_full_total").await, 1);
    drop(inside);
    until("it is over", async || service.log().contains("connections are accepted again").then_some(())).await;
    let log = service.log();
    let said: Vec<_> = log.lines().filter(|line| line.contains("connection limit reached")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("WARN") && said[0].contains("\"limit\":20"), "{log}");
}
